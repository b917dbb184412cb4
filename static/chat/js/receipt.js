// The receipt under an answer: what is going on and for how long while it runs, then what it took, and a small drawing
// of the characters over time.

import { part } from "chat/elements";
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

export class Receipt {
  #element;
  #summary;
  #clock = "";
  #since = 0;
  #until = null;
  #ttft = null;
  #first = null;
  #characters = 0;
  #length = 0; // with the reasoning
  #deltas = 0;
  #curve = new Curve();
  #timer = null;

  constructor(element) {
    this.#element = element;
    this.#summary = element.querySelector("summary");
    this.#summary.addEventListener("click", this.#fold);
    element.addEventListener("toggle", this.#show);
    if (element.dataset.curve) this.#draw(Curve.from(element.dataset.curve, Number(element.dataset.durationMs)));
  }

  // `status` is the frame, or only {phase, state}. Waiting for one's turn, or for another attempt, has its own clock.
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

  // What is here. How many deltas it came in, nobody says.
  count(characters, reasoning = 0) {
    this.#characters = characters;
    this.#length = characters + reasoning;
    this.#deltas = this.#length / CHARACTERS_A_TOKEN;
    this.#first = null;
  }

  countMore(characters, reasoning = 0) {
    if (this.#first === null) {
      this.#first = { at: performance.now(), written: this.#written };
      this.#point(this.#first.at);
    }
    this.#characters += characters;
    this.#length += characters + reasoning;
    this.#deltas += 1;
  }

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
    dataset.durationMs = timing.duration_ms ?? "";
    dataset.ttftMs = timing.ttft_ms ?? "";
    dataset.tokensPerSecond = timing.tokens_per_second?.toFixed(2) ?? "";
    dataset.promptTokens = usage.prompt_tokens ?? "";
    dataset.completionTokens = usage.completion_tokens ?? "";
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
    this.#element.querySelector("[data-fact=finish] .facts__more").textContent = reason ?? "";
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

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

  #speed(now) {
    if (this.#ttft !== null) return perSecond(this.#written, now - this.#since - this.#ttft);
    return this.#first === null ? null : perSecond(this.#written - this.#first.written, now - this.#first.at);
  }

  #point(now) {
    this.#curve.add(Math.max(0, Math.round(now - this.#since)), this.#length);
  }

  #draw(curve) {
    const spark = this.#element.querySelector(".spark");
    spark.toggleAttribute("hidden", curve.isEmpty);
    spark.querySelector("polyline").setAttribute("points", String(curve));
  }

  // What was unfolded is to be seen, and not behind the text box.
  #show = () => {
    if (this.#element.open) this.#element.scrollIntoView({ block: "nearest" });
  };

  // There is nothing to unfold before the end.
  #fold = (event) => {
    if (this.#element.classList.contains("receipt--live")) event.preventDefault();
  };

  #figure(name, value, source = null, isEstimated = false) {
    const item = this.#element.querySelector(`[data-figure=${name}]`);
    item.querySelector(".receipt__value").textContent = value;
    item.hidden = value === "" && source === null;
    if (source !== null) {
      const badge = item.querySelector(".badge");
      badge.dataset.source = source;
      badge.textContent = isEstimated ? text("estimated") : sourceWord(source);
    }
    return item;
  }

  #fact(name, value) {
    const item = this.#element.querySelector(`[data-fact=${name}]`);
    item.querySelector(".facts__text").textContent = value;
    item.hidden = value === "";
  }
}

// Characters over time: keeps at most 24 points of what goes on for as long as it likes, evenly over the time.
export class Curve {
  #points = [];

  // `data-curve`: "ms,characters ms,characters…" of the deltas; the answer ended after `endMs`.
  static from(written, endMs = 0) {
    const curve = new Curve();
    curve.add(0, 0);
    for (const pair of written.split(" ")) curve.add(...pair.split(",").map(Number));
    if (endMs > 0) curve.add(endMs, curve.#points.at(-1)[1]);
    return curve;
  }

  get isEmpty() {
    return this.#points.length < 2 || this.#points.at(-1)[1] === 0;
  }

  // So many characters were here after so many milliseconds; both never go back.
  add(ms, characters) {
    const last = this.#points.at(-1);
    if (ms <= last?.[0]) this.#points.pop();
    this.#points.push([Math.max(ms, last?.[0] ?? 0), characters]);
    if (this.#points.length > POINTS) this.#thin();
  }

  toString() {
    const [endMs, end] = this.#points.at(-1) ?? [];
    const x = (ms) => (endMs === 0 ? 0 : (ms / endMs) * WIDTH);
    const y = (characters) => HEIGHT - MARGIN - (end === 0 ? 0 : (characters / end) * (HEIGHT - 2 * MARGIN));
    return this.#points.map(([ms, characters]) => `${x(ms).toFixed(1)},${y(characters).toFixed(1)}`).join(" ");
  }

  // Takes out the point whose neighbours are closest to each other; the first and the last stay.
  #thin() {
    let closest = 1;
    const span = (index) => this.#points[index + 1][0] - this.#points[index - 1][0];
    for (let index = 2; index < this.#points.length - 1; index += 1) {
      if (span(index) < span(closest)) closest = index;
    }
    this.#points.splice(closest, 1);
  }
}

function perSecond(written, elapsed) {
  return elapsed < SOON_MS ? null : (written * 1000) / elapsed;
}

function phaseName({ phase, state, attempt, wait_ms: wait, position }) {
  if (state === "stopping") return text("phase_stopping");
  if (phase === "queued" && position) {
    return wait ? text("phase_queued_wait", { position, wait: roughly(wait) }) : text("phase_queued_at", { position });
  }
  if (phase === "retrying" && wait) return text("phase_retrying_in", { attempt });
  return text(`phase_${phase}`, { attempt });
}
