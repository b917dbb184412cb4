// The receipt under an answer: what is going on and for how long while it runs, then what it took.

import { finishInWords, grouped, rate, roughly, seconds, sourceWord, tokens } from "chat/figures";
import { text } from "chat/strings";

const TICK_MS = 250;

export class Receipt {
  #element;
  #phase = null;
  #since = 0;
  #until = null;
  #characters = 0;
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  // Begins to count the time of a phase. `status` is the frame, or only {phase}.
  live(status) {
    const name = phaseName(status);
    if (status.phase !== this.#phase || status.phase === "retrying") {
      this.#phase = status.phase;
      this.#since = performance.now();
      this.#until = status.phase === "retrying" && status.wait_ms ? this.#since + status.wait_ms : null;
    }
    this.#part("phase").hidden = false;
    this.#part("phase-name").textContent = name;
    this.#element.classList.add("receipt--live");
    this.#element.dataset.phase = status.phase;
    this.#timer ??= setInterval(this.#tick, TICK_MS);
    this.#tick();
  }

  // So many characters are here.
  count(characters) {
    this.#characters = characters;
  }

  // And so many more.
  countMore(characters) {
    this.#characters += characters;
  }

  // The end: what `finished` says, in the same row.
  freeze({ usage, timing, finish_reason: reason, state }) {
    this.stop();
    this.#element.classList.remove("receipt--live");
    delete this.#element.dataset.phase;
    this.#part("phase").hidden = true;
    this.#figure("characters", "");
    this.#keep({ durationMs: timing.duration_ms, ttftMs: timing.ttft_ms, promptTokens: usage.prompt_tokens });
    this.#keep({ completionTokens: usage.completion_tokens, usageSource: usage.source });
    this.#keep({ tokensPerSecond: timing.tokens_per_second === null ? null : Number(timing.tokens_per_second).toFixed(2) });
    this.#figure("duration", seconds(timing.duration_ms));
    this.#figure("ttft", seconds(timing.ttft_ms));
    this.#figure("speed", rate(timing.tokens_per_second));
    this.#figure("tokens", tokens(usage.prompt_tokens, usage.completion_tokens), usage.source);
    this.#figure("finish", finishInWords(reason, state));
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  // The tokens as the receipt shows them.
  get tokens() {
    return this.#element.querySelector("[data-figure=tokens]").textContent.trim().replace(/\s+/g, " ");
  }

  #tick = () => {
    const now = performance.now();
    const shown = this.#until === null ? now - this.#since : Math.max(0, this.#until - now);
    this.#part("phase-time").textContent = roughly(shown);
    this.#figure("characters", this.#characters > 0 ? grouped(this.#characters) : "");
  };

  #keep(values) {
    for (const [name, value] of Object.entries(values)) this.#element.dataset[name] = value ?? "";
  }

  #figure(name, value, source = null) {
    const item = this.#element.querySelector(`[data-figure=${name}]`);
    item.querySelector(".receipt__value").textContent = value;
    item.hidden = value === "" && source === null;
    if (source === null) return;
    const badge = item.querySelector(".badge");
    badge.dataset.source = source;
    badge.textContent = sourceWord(source);
  }

  #part(name) {
    return this.#element.querySelector(`[data-part=${name}]`);
  }
}

function phaseName({ phase, state, attempt, wait_ms: wait, position }) {
  if (state === "stopping") return text("phase_stopping");
  if (phase === "queued" && position) return text("phase_queued_at", { position });
  if (phase === "retrying" && wait) return text("phase_retrying_in", { attempt, wait: roughly(wait) });
  return text(`phase_${phase}`, { attempt });
}
