// @ts-check
// The receipt under an answer: what is going on and for how long while it runs, then what it took, and a small drawing
// of the characters over time.

/**
 * @import { FinishedFrame, StatusFrame } from "chat/wire"
 */

import { find, part } from "chat/elements";
import {
  count,
  estimate,
  finishInWords,
  milliseconds,
  money,
  rate,
  roughly,
  seconds,
  sourceWord,
  tokens,
} from "chat/figures";
import { text } from "chat/strings";

const TICK_MS = 250;
const SOON_MS = 500; // earlier than this after the first delta a speed says nothing
const CHARACTERS_A_TOKEN = 4;
const POINTS = 24;
const WIDTH = 56;
const HEIGHT = 16;
const MARGIN = 1;

/** @typedef {Partial<StatusFrame> & {phase: string}} Progress what a status frame says, or what is known without one */

export class Receipt {
  #element;
  #summary;
  #clock = "";
  #since = 0;
  /** @type {number | null} */
  #until = null;
  /** @type {number | null} */
  #ttft = null;
  /** @type {{at: number, written: number} | null} */
  #first = null;
  #characters = 0;
  #length = 0; // with the reasoning
  #deltas = 0;
  #curve = new Curve();
  /** @type {number | null} */
  #timer = null;

  /** @param {HTMLDetailsElement} element */
  constructor(element) {
    this.#element = element;
    /** @type {HTMLElement} */
    this.#summary = find(element, "summary");
    this.#summary.addEventListener("click", this.#fold);
    element.addEventListener("toggle", this.#show);
    if (element.dataset.curve) this.#draw(Curve.from(element.dataset.curve, Number(element.dataset.durationMs)));
  }

  /**
   * `status` is the frame, or only {phase, state}. Waiting for one's turn, or for another attempt, has its own clock.
   * @param {Progress} status
   */
  live(status) {
    const { phase, attempt = 1, elapsed_ms: elapsed, wait_ms: wait, ttft_ms: ttft } = status;
    const now = performance.now();
    const clock = ["queued", "retrying"].includes(phase) ? `${phase} ${attempt}` : "request";
    if (clock !== this.#clock) this.#begin(clock, now);
    if (elapsed !== undefined) this.#since = now - elapsed;
    this.#until = phase === "retrying" && wait ? this.#since + wait : null;
    this.#ttft = ttft ?? this.#ttft;
    part(this.#element, "phase").hidden = false;
    part(this.#element, "phase-name").textContent = phaseName(status);
    this.#element.classList.add("receipt--live");
    this.#element.dataset.phase = phase;
    this.#summary.tabIndex = -1;
    this.#timer ??= setInterval(this.#tick, TICK_MS);
    this.#tick();
  }

  /**
   * What is here. How many deltas it came in, nobody says.
   * @param {number} characters
   * @param {number} [reasoning]
   */
  count(characters, reasoning = 0) {
    this.#characters = characters;
    this.#length = characters + reasoning;
    this.#deltas = this.#length / CHARACTERS_A_TOKEN;
    this.#first = null;
  }

  /**
   * @param {number} characters
   * @param {number} [reasoning]
   */
  countMore(characters, reasoning = 0) {
    if (this.#first === null) {
      this.#first = { at: performance.now(), written: this.#written };
      this.#point(this.#first.at);
    }
    this.#characters += characters;
    this.#length += characters + reasoning;
    this.#deltas += 1;
  }

  /** @param {FinishedFrame} frame */
  freeze({ usage, timing, finish_reason: reason, state }) {
    // Who saw nothing of it being written has nothing to draw.
    if (this.#first !== null && timing.duration_ms !== null) this.#point(this.#since + timing.duration_ms);
    if (this.#first !== null) this.#draw(this.#curve);
    this.stop();
    const { dataset } = this.#element;
    this.#element.classList.remove("receipt--live");
    delete dataset.phase;
    this.#summary.removeAttribute("tabindex");
    part(this.#element, "phase").hidden = true;
    dataset.durationMs = String(timing.duration_ms ?? "");
    dataset.ttftMs = String(timing.ttft_ms ?? "");
    dataset.tokensPerSecond = timing.tokens_per_second?.toFixed(2) ?? "";
    dataset.promptTokens = String(usage.prompt_tokens ?? "");
    dataset.completionTokens = String(usage.completion_tokens ?? "");
    dataset.usageSource = usage.source;
    this.#figure("characters", "");
    this.#figure("duration", seconds(timing.duration_ms));
    this.#figure("ttft", seconds(timing.ttft_ms));
    this.#figure("speed", rate(timing.tokens_per_second));
    this.#figure("tokens", tokens(usage.prompt_tokens, usage.completion_tokens), usage.source, usage.estimated);
    this.#figure("cost", usage.cost ? money(usage.cost, usage.currency) : "");
    const finish = finishInWords(reason, state);
    this.#figure("finish", finish).dataset.finish = reason ?? "";
    this.#fact("gap", seconds(timing.longest_gap_ms));
    this.#fact("between", milliseconds(timing.inter_token_latency_ms));
    this.#fact("characters", rate(timing.characters_per_second));
    this.#fact("deltas", count(timing.deltas));
    this.#fact("reasoning", count(usage.reasoning_tokens));
    this.#fact("cached", count(usage.cached_tokens));
    this.#fact("finish", finish);
    find(this.#element, "[data-fact=finish] .facts__more").textContent = reason ?? "";
  }

  stop() {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /**
   * @param {string} clock
   * @param {number} now
   */
  #begin(clock, now) {
    this.#clock = clock;
    this.#since = now;
    this.#ttft = null;
    this.#first = null;
    this.#curve = new Curve();
    this.#curve.add(0, 0);
  }

  #tick = () => {
    const now = performance.now();
    const time = this.#until === null ? now - this.#since : Math.max(0, this.#until - now);
    part(this.#element, "phase-time").textContent = roughly(time);
    this.#figure("characters", count(this.#characters));
    this.#figure("ttft", this.#firstToken);
    const speed = this.#speed(now);
    this.#figure("speed", speed === null ? "" : estimate(speed));
    if (this.#clock !== "request" || this.#length === 0) return;
    this.#point(now);
    this.#draw(this.#curve);
  };

  // As the portal measured it; until it says so, as it looks from here.
  get #firstToken() {
    if (this.#ttft !== null) return seconds(this.#ttft);
    return this.#first === null || this.#length === 0
      ? ""
      : text("estimate", { number: roughly(this.#first.at - this.#since) });
  }

  // Tokens so far, nearly: a delta holds one or more, and a token four characters or so.
  get #written() {
    return Math.max(this.#deltas, this.#length / CHARACTERS_A_TOKEN);
  }

  /** @param {number} now */
  #speed(now) {
    if (this.#ttft !== null) return perSecond(this.#written, now - this.#since - this.#ttft);
    return this.#first === null ? null : perSecond(this.#written - this.#first.written, now - this.#first.at);
  }

  /** @param {number} now */
  #point(now) {
    this.#curve.add(Math.max(0, Math.round(now - this.#since)), this.#length);
  }

  /** @param {Curve} curve */
  #draw(curve) {
    const spark = find(this.#element, ".spark");
    spark.toggleAttribute("hidden", curve.isEmpty);
    find(spark, "polyline").setAttribute("points", String(curve));
  }

  // What was unfolded is to be seen, and not behind the text box.
  #show = () => {
    if (this.#element.open) this.#element.scrollIntoView({ block: "nearest" });
  };

  /**
   * There is nothing to unfold before the end.
   * @type {(event: Event) => void}
   */
  #fold = (event) => {
    if (this.#element.classList.contains("receipt--live")) event.preventDefault();
  };

  /**
   * @param {string} name
   * @param {string} value
   * @param {string | null} [source]
   * @param {boolean} [isEstimated]
   * @returns {HTMLElement}
   */
  #figure(name, value, source = null, isEstimated = false) {
    const item = find(this.#element, `[data-figure=${name}]`);
    find(item, ".receipt__value").textContent = value;
    item.hidden = value === "" && source === null;
    if (source !== null) {
      const badge = find(item, ".badge");
      badge.dataset.source = source;
      badge.textContent = isEstimated ? text("estimated") : sourceWord(source);
    }
    return item;
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  #fact(name, value) {
    const item = find(this.#element, `[data-fact=${name}]`);
    find(item, ".facts__text").textContent = value;
    item.hidden = value === "";
  }
}

// Characters over time: keeps at most 24 points of what goes on for as long as it likes, evenly over the time.
export class Curve {
  /** @type {[number, number][]} */
  #points = [];

  /**
   * `data-curve`: "ms,characters ms,characters…" of the deltas; the answer ended after `endMs`.
   * @param {string} written
   * @param {number} [endMs]
   */
  static from(written, endMs = 0) {
    const curve = new Curve();
    curve.add(0, 0);
    let end = 0;
    for (const pair of written.split(" ")) {
      const [ms, characters] = pair.split(",").map(Number);
      curve.add(ms, characters);
      end = characters;
    }
    if (endMs > 0) curve.add(endMs, end);
    return curve;
  }

  get isEmpty() {
    return this.#points.length < 2 || this.#points.at(-1)?.[1] === 0;
  }

  /**
   * So many characters were here after so many milliseconds; both never go back.
   * @param {number} ms
   * @param {number} characters
   */
  add(ms, characters) {
    const [lastMs] = this.#points.at(-1) ?? [-1];
    if (ms <= lastMs) this.#points.pop();
    this.#points.push([Math.max(ms, lastMs), characters]);
    if (this.#points.length > POINTS) this.#thin();
  }

  toString() {
    const [endMs, end] = this.#points.at(-1) ?? [0, 0];
    const x = (/** @type {number} */ ms) => (endMs === 0 ? 0 : (ms / endMs) * WIDTH);
    const y = (/** @type {number} */ characters) =>
      HEIGHT - MARGIN - (end === 0 ? 0 : (characters / end) * (HEIGHT - 2 * MARGIN));
    return this.#points.map(([ms, characters]) => `${x(ms).toFixed(1)},${y(characters).toFixed(1)}`).join(" ");
  }

  // Takes out the point whose neighbours are closest to each other; the first and the last stay.
  #thin() {
    let closest = 1;
    const span = (/** @type {number} */ index) => this.#points[index + 1][0] - this.#points[index - 1][0];
    for (let index = 2; index < this.#points.length - 1; index += 1) {
      if (span(index) < span(closest)) closest = index;
    }
    this.#points.splice(closest, 1);
  }
}

/**
 * @param {number} written
 * @param {number} elapsed
 */
function perSecond(written, elapsed) {
  return elapsed < SOON_MS ? null : (written * 1000) / elapsed;
}

/** @param {Progress} status */
function phaseName({ phase, state, attempt, wait_ms: wait, position }) {
  if (state === "stopping") return text("phase_stopping");
  if (phase === "queued" && position) {
    return wait ? text("phase_queued_wait", { position, wait: roughly(wait) }) : text("phase_queued_at", { position });
  }
  if (phase === "retrying" && wait) return text("phase_retrying_in", { attempt });
  return text(`phase_${phase}`, { attempt });
}
