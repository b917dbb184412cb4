// @ts-check
// The form of a provider: a kind fills in what is different for it, where nothing else was written yet; and only those
// fields of the credentials are shown that the authentication needs.

/** @typedef {Record<string, string | boolean>} Preset the value of each field, by its name */

const kind = /** @type {HTMLSelectElement | null} */ (document.getElementById("id_kind"));
const auth = /** @type {HTMLSelectElement | null} */ (document.getElementById("id_auth"));
/** @type {Record<string, string[]>} */
const NEEDED = { key_id: ["evolution"], token_url: ["evolution"], api_key: ["bearer", "api_key_header", "evolution"] };

if (kind?.dataset.presets && auth) {
  /** @type {Record<string, Preset>} */
  const presets = JSON.parse(kind.dataset.presets);
  const fieldOf = (/** @type {string} */ name) =>
    /** @type {HTMLInputElement | null} */ (document.getElementById(`id_${name}`));
  const chosen = /** @type {HTMLInputElement} */ (fieldOf("preset"));
  const valueIn = (/** @type {HTMLInputElement} */ field) => (field.type === "checkbox" ? field.checked : field.value);
  const untouched = new Map(Object.keys(presets[""]).map((name) => [name, presets[""][name]]));

  const preset = () => Object.entries({ ...presets[""], ...presets[kind.value] });

  const fill = () => {
    for (const [name, value] of preset()) {
      const field = fieldOf(name);
      if (field === null || valueIn(field) !== untouched.get(name)) continue;
      if (field.type === "checkbox") field.checked = value === true;
      else field.value = String(value);
      untouched.set(name, value);
    }
    chosen.value = kind.value;
    show();
  };

  const show = () => {
    for (const [name, ways] of Object.entries(NEEDED)) {
      /** @type {HTMLElement | null | undefined} */
      const row = fieldOf(name)?.closest(".form-row");
      if (row) row.hidden = !ways.includes(auth.value);
    }
  };

  kind.addEventListener("change", fill);
  auth.addEventListener("change", show);
  // A form that comes back with an error holds what this kind has filled in, and what was changed in that.
  if (kind.dataset.isNew && chosen.value !== kind.value) fill();
  else if (kind.dataset.isNew) for (const [name, value] of preset()) untouched.set(name, value);
  show();
}
