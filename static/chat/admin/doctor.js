// The doctor's page: each finding is shown as it comes. Without this script the same form answers with the whole card.

const LINES = "application/x-ndjson";

class Examination {
  #form;
  #parts = {};

  constructor(form) {
    this.#form = form;
    for (const name of ["status", "progress", "findings", "card", "card-body", "not-examined", "money"]) {
      this.#parts[name] = document.querySelector(`[data-part=${name}]`);
    }
  }

  start() {
    this.#form.addEventListener("submit", this.#submit);
    this.#form.elements.model.addEventListener("input", this.#showMoney);
  }

  #showMoney = ({ target }) => {
    const { money } = this.#parts;
    const at = [...target.list.options].find(({ value }) => value === target.value.trim())?.text;
    money.textContent = at ? money.dataset.priced.replace("{money}", () => at) : money.dataset.unpriced;
  };

  #submit = async (event) => {
    event.preventDefault();
    const { status, progress, findings, card } = this.#parts;
    const button = this.#form.querySelector("button");
    const { model } = this.#form.elements;
    model.value = model.value.trim();
    if (!this.#form.reportValidity()) return;
    const body = new FormData(this.#form);
    const hadFocus = button === document.activeElement;
    const hadCard = !card.hidden;
    findings.replaceChildren();
    this.#parts["not-examined"]?.remove();
    card.hidden = true;
    progress.hidden = false;
    progress.value = 0;
    status.textContent = this.#form.dataset.running;
    button.disabled = true;
    try {
      status.textContent = await this.#run(body);
    } catch {
      status.textContent = this.#form.dataset.broken;
    }
    progress.hidden = true;
    button.disabled = false;
    if (card.hidden) {
      card.hidden = !hadCard; // the one of the last time still holds
      if (hadFocus) button.focus();
    }
  };

  // → what is to be said at the end. Throws when the connection breaks off.
  async #run(body) {
    const response = await fetch(this.#form.action, { method: "POST", body, headers: { Accept: LINES } });
    if (!response.ok || !response.headers.get("Content-Type")?.startsWith(LINES)) throw new Error("no findings");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let end = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const lines = (rest + read.value).split("\n");
      rest = lines.pop();
      for (const line of lines) end = this.#take(JSON.parse(line)) || end;
    }
    if (!end) throw new Error("cut");
    return end;
  }

  #take({ finding, card, refusal }) {
    if (finding !== undefined) {
      this.#parts.findings.append(...pieces(finding));
      this.#parts.progress.value += 1;
    }
    if (card !== undefined) {
      this.#parts["card-body"].replaceChildren(...pieces(card));
      this.#parts.findings.replaceChildren();
      this.#parts.card.hidden = false;
      this.#parts.card.querySelector("h2").focus();
      return this.#form.dataset.done;
    }
    return refusal;
  }
}

// The elements of a piece of HTML that the portal has made.
function pieces(html) {
  return new DOMParser().parseFromString(html, "text/html").body.children;
}

for (const form of document.querySelectorAll("form[data-part=examine]")) new Examination(form).start();
