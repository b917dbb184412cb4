// @ts-check
// The page that examines a provider: each finding is shown as it comes. Without this script the same form answers with the whole card.

const LINES = "application/x-ndjson";

/**
 * @param {string} name
 * @returns {HTMLElement}
 */
const part = (name) => /** @type {HTMLElement} */ (document.querySelector(`[data-part=${name}]`));

class Examination {
  #form;
  #model;
  #progress = /** @type {HTMLProgressElement} */ (part("progress"));
  #status = part("status");
  #findings = part("findings");
  #card = part("card");
  #cardBody = part("card-body");
  #money = part("money");

  /** @param {HTMLFormElement} form */
  constructor(form) {
    this.#form = form;
    this.#model = /** @type {HTMLInputElement} */ (form.elements.namedItem("model"));
  }

  start() {
    this.#form.addEventListener("submit", this.#submit);
    this.#model.addEventListener("input", this.#showMoney);
  }

  /** @type {() => void} */
  #showMoney = () => {
    const { priced = "", unpriced = "" } = this.#money.dataset;
    const name = this.#model.value.trim();
    const at = [...(this.#model.list?.options ?? [])].find(({ value }) => value === name)?.text;
    this.#money.textContent = at ? priced.replace("{money}", () => at) : unpriced;
  };

  /** @type {(event: SubmitEvent) => Promise<void>} */
  #submit = async (event) => {
    event.preventDefault();
    const button = /** @type {HTMLButtonElement} */ (this.#form.querySelector("button"));
    this.#model.value = this.#model.value.trim();
    if (!this.#form.reportValidity()) return;
    const body = new FormData(this.#form);
    const hadFocus = button === document.activeElement;
    const hadCard = !this.#card.hidden;
    this.#findings.replaceChildren();
    document.querySelector("[data-part=not-examined]")?.remove();
    this.#card.hidden = true;
    this.#progress.hidden = false;
    this.#progress.value = 0;
    this.#status.textContent = this.#form.dataset.running ?? "";
    button.disabled = true;
    try {
      this.#status.textContent = await this.#run(body);
    } catch {
      this.#status.textContent = this.#form.dataset.broken ?? "";
    }
    this.#progress.hidden = true;
    button.disabled = false;
    if (this.#card.hidden) {
      this.#card.hidden = !hadCard; // the one of the last time still holds
      if (hadFocus) button.focus();
    }
  };

  /**
   * → what is to be said at the end. Throws when the connection breaks off.
   * @param {FormData} body
   */
  async #run(body) {
    const response = await fetch(this.#form.action, { method: "POST", body, headers: { Accept: LINES } });
    if (!response.ok || !response.headers.get("Content-Type")?.startsWith(LINES)) throw new Error("no findings");
    if (response.body === null) throw new Error("no findings");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let end = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const lines = (rest + read.value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) end = this.#take(JSON.parse(line)) || end;
    }
    if (!end) throw new Error("cut");
    return end;
  }

  /** @param {{finding?: string, card?: string, refusal?: string}} line */
  #take({ finding, card, refusal }) {
    if (finding !== undefined) {
      this.#findings.append(...pieces(finding));
      this.#progress.value += 1;
    }
    if (card !== undefined) {
      this.#cardBody.replaceChildren(...pieces(card));
      this.#findings.replaceChildren();
      this.#card.hidden = false;
      this.#card.querySelector("h2")?.focus();
      return this.#form.dataset.done;
    }
    return refusal;
  }
}

/**
 * The elements of a piece of HTML that the portal has made.
 * @param {string} html
 */
function pieces(html) {
  return new DOMParser().parseFromString(html, "text/html").body.children;
}

/** @type {NodeListOf<HTMLFormElement>} */
const forms = document.querySelectorAll("form[data-part=examine]");
for (const form of forms) new Examination(form).start();
