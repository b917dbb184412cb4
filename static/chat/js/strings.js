// @ts-check
// The texts of the page, in the reader's language; they come from the server (chat/texts/page.py).

/** @type {Record<string, string | Record<string, string>>} */
let texts = {};
let plural = new Intl.PluralRules("en");

/**
 * @param {Record<string, string | Record<string, string>>} given
 * @param {string} language
 */
export function use(given, language) {
  texts = given;
  plural = new Intl.PluralRules(language);
}

/**
 * The text called `name`, with %(parameters)s filled in. A text with plural forms takes the one for `number`.
 * @param {string} name
 * @param {Record<string, unknown>} [parameters]
 * @param {number | null} [number]
 * @returns {string}
 */
export function text(name, parameters = {}, number = null) {
  const found = texts[name] ?? name;
  if (typeof found === "string") return fill(found, parameters);
  return fill(found[plural.select(number ?? 0)] ?? found.other ?? name, parameters);
}

/**
 * @param {string} name
 * @returns {Record<string, string>}
 */
export function group(name) {
  const found = texts[name];
  return typeof found === "object" ? found : {};
}

/**
 * @param {string} template
 * @param {Record<string, unknown>} parameters
 */
function fill(template, parameters) {
  return template.replace(/%\((\w+)\)[sd]|%%/g, (_, name) => (name ? String(parameters[name] ?? "") : "%"));
}
