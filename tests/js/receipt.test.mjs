import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import "./resolve.mjs";

const { Receipt } = await import("chat/receipt");
const strings = await import("chat/strings");

strings.use(JSON.parse(readFileSync(new URL("strings_en.json", import.meta.url))), "en");

// One element for each selector, with what a receipt does to them.
class FakeElement extends EventTarget {
  textContent = "";
  hidden = true;
  dataset = {};
  attributes = {};
  classList = new Set();
  #inner = new Map();

  constructor() {
    super();
    this.classList.contains = (name) => this.classList.has(name);
    this.classList.remove = (name) => this.classList.delete(name);
  }

  querySelector(selector) {
    if (!this.#inner.has(selector)) this.#inner.set(selector, new FakeElement());
    return this.#inner.get(selector);
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  removeAttribute() {}

  toggleAttribute(name, isOn) {
    this.attributes[name] = isOn;
  }
}

const USAGE = { prompt_tokens: 18, completion_tokens: 2, source: "reported" };
const TIMING = {
  ttft_ms: 442,
  duration_ms: 5912,
  tokens_per_second: 46.7,
  deltas: 2,
  longest_gap_ms: 21,
  inter_token_latency_ms: 21.4,
  characters_per_second: 186.9,
};
const FINISHED = { usage: USAGE, timing: TIMING, finish_reason: "stop", state: "completed" };

// A receipt, and a clock that stands until it is moved.
function opened(context, dataset = {}) {
  context.mock.timers.enable({ apis: ["setInterval"] });
  let now = 1_000;
  context.mock.method(performance, "now", () => now);
  const element = new FakeElement();
  Object.assign(element.dataset, dataset);
  const receipt = new Receipt(element);
  context.after(() => receipt.stop());
  const shown = (selector) => element.querySelector(selector);
  const figure = (name) => shown(`[data-figure=${name}]`);
  return {
    receipt,
    element,
    pass(ms) {
      now += ms;
      context.mock.timers.tick(ms);
    },
    phase: () => `${shown("[data-part=phase-name]").textContent} ${shown("[data-part=phase-time]").textContent}`,
    figure: (name) => (figure(name).hidden ? "" : figure(name).querySelector(".receipt__value").textContent),
    fact: (name) =>
      shown(`[data-fact=${name}]`).hidden ? "" : shown(`[data-fact=${name}]`).querySelector(".facts__text").textContent,
    line: () => (shown(".spark").attributes.hidden ? "" : shown(".spark").querySelector("polyline").attributes.points),
  };
}

test("one clock runs from the request on; a queue and a pause have their own", (context) => {
  const { receipt, pass, phase } = opened(context);
  receipt.live({ phase: "queued", state: "queued" });
  pass(3_000);
  assert.equal(phase(), "Queued 3.0 s");
  receipt.live({ phase: "connecting", state: "running" });
  pass(1_000);
  receipt.live({ phase: "waiting", state: "running" });
  pass(1_000);
  assert.equal(phase(), "Waiting 2.0 s");
  receipt.live({ phase: "retrying", state: "running", attempt: 2, wait_ms: 5_000 });
  pass(1_000);
  assert.equal(phase(), "Attempt 2 in 4.0 s");
  receipt.live({ phase: "connecting", state: "running", attempt: 2 });
  pass(500);
  receipt.live({ phase: "writing", state: "running" });
  assert.equal(phase(), "Writing 0.5 s");
});

test("after a reload the clock goes on where the portal's is", (context) => {
  const { receipt, pass, phase, figure } = opened(context);
  receipt.live({ phase: "waiting", state: "running" });
  receipt.count(4_000);
  receipt.live({ phase: "writing", state: "running", elapsed_ms: 20_442, ttft_ms: 442 });
  assert.equal(phase(), "Writing 20.4 s");
  assert.equal(figure("ttft"), "0.442 s");
  assert.equal(figure("speed"), "≈ 50");
  pass(1_000);
  assert.equal(phase(), "Writing 21.4 s");
});

test("a speed is estimated from deltas or characters, whichever are more", (context) => {
  const { receipt, pass, figure } = opened(context);
  receipt.live({ phase: "waiting", state: "running" });
  pass(500);
  receipt.countMore(1);
  assert.equal(figure("speed"), "", "too early to tell");
  for (let number = 0; number < 20; number += 1) receipt.countMore(1);
  pass(1_000);
  assert.equal(figure("speed"), "≈ 21");
  receipt.countMore(379);
  pass(1_000);
  assert.equal(figure("speed"), "≈ 50");
  assert.equal(figure("characters"), "400");
  assert.equal(figure("ttft"), "≈ 0.5 s", "as seen from here, until the portal says it");
});

test("reasoning counts as written, but not as characters of the answer", (context) => {
  const { receipt, pass, figure } = opened(context);
  receipt.live({ phase: "writing", state: "running", ttft_ms: 0, elapsed_ms: 0 });
  receipt.countMore(0, 400);
  pass(2_000);
  assert.equal(figure("speed"), "≈ 50");
  assert.equal(figure("characters"), "");
});

test("at the end every figure is the stored one, and the drawing stands", (context) => {
  const { receipt, element, pass, figure, fact, line } = opened(context);
  receipt.live({ phase: "waiting", state: "running" });
  pass(500);
  receipt.countMore(40);
  pass(250);
  const live = line();
  assert.match(live, /^0\.0,15\.0 .* 56\.0,1\.0$/);
  receipt.freeze(FINISHED);
  assert.deepEqual(["duration", "ttft", "speed", "tokens", "characters"].map(figure), [
    "5.912 s",
    "0.442 s",
    "46.70",
    "18 in, 2 out",
    "",
  ]);
  assert.deepEqual(["gap", "between", "characters", "deltas", "finish", "reasoning"].map(fact), [
    "0.021 s",
    "21.40 ms",
    "186.90",
    "2",
    "finished",
    "",
  ]);
  assert.equal(element.dataset.tokensPerSecond, "46.70");
  assert.equal(element.classList.has("receipt--live"), false);
  const frozen = line();
  assert.notEqual(frozen, "");
  pass(5_000);
  assert.equal(line(), frozen);
});

test("a stored curve is drawn", (context) => {
  assert.equal(opened(context, { curve: "0,0 500,0 1000,50" }).line(), "0.0,15.0 28.0,15.0 56.0,1.0");
});

test("an answer whose writing nobody saw has no drawing", (context) => {
  const { receipt, line } = opened(context);
  receipt.live({ phase: "waiting", state: "running" });
  receipt.count(300);
  receipt.freeze(FINISHED);
  assert.equal(line() ?? "", "");
});

test("there is nothing to unfold before the end", (context) => {
  const { receipt, element } = opened(context);
  const press = () => element.querySelector("summary").dispatchEvent(new Event("click", { cancelable: true }));
  receipt.live({ phase: "waiting", state: "running" });
  assert.equal(press(), false);
  receipt.freeze(FINISHED);
  assert.equal(press(), true);
});
