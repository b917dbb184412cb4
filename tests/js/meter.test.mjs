import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Meter } = await import("chat/meter");

const PAUSE_MS = 500;
const FIGURES = { words: "281 of 32k tokens", used: "281", percent: 0.9, near: false };

// A meter on a page of its own; what it asks is answered when `answer` is called, in order.
function opened(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const parts = { words: {}, used: {}, share: {} };
  const classes = new Set();
  const element = {
    querySelector: (selector) => parts[selector.match(/=(\w+)/)[1]],
    classList: { toggle: (name, isOn) => (isOn ? classes.add(name) : classes.delete(name)) },
  };
  const asked = [];
  const waiting = [];
  const requests = {
    post: (address, fields) => {
      asked.push({ address, ...fields });
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
  const fields = { text: "", model: "1", conversation: "c", message: "", running: 0 };
  const meter = new Meter(element, { address: "/chat/tokens/", requests, read: () => ({ ...fields }) });
  const change = (more) => {
    Object.assign(fields, more);
    meter.ask();
  };
  const answer = async (json) => {
    waiting.shift()({ status: json === null ? 503 : 200, json });
    await new Promise(setImmediate);
  };
  return { answer, asked, change, classes, parts, pause: () => context.mock.timers.tick(PAUSE_MS) };
}

test("it asks when one pauses, once, with all that counts", (context) => {
  const { asked, change, pause } = opened(context);
  for (const text of ["h", "he", "hel"]) {
    change({ text });
    context.mock.timers.tick(PAUSE_MS - 1);
  }
  assert.deepEqual(asked, []);
  pause();
  assert.deepEqual(asked, [
    { address: "/chat/tokens/", text: "hel", model: "1", conversation: "c", message: "", running: 0 },
  ]);
});

test("it asks nothing while nothing has changed, and again for another model, conversation or end", (context) => {
  const { asked, change, pause } = opened(context);
  const asks = (more) => {
    change(more);
    pause();
    return asked.splice(0).length;
  };
  assert.equal(asks({ text: "hello" }), 1);
  assert.equal(asks({ text: "hello" }), 0);
  assert.deepEqual(
    [asks({ model: "2" }), asks({ conversation: "d" }), asks({ message: "m" }), asks({ running: 1 })],
    [1, 1, 1, 1],
  );
  assert.equal(asks({}), 0);
});

test("the figures stand in words and as a share, and near the window they warn", async (context) => {
  const { answer, change, classes, parts, pause } = opened(context);
  change({ text: "hello" });
  pause();
  await answer(FIGURES);
  assert.deepEqual(parts, {
    words: { textContent: FIGURES.words },
    used: { textContent: "281" },
    share: { value: 0.9 },
  });
  assert.equal(classes.size, 0);
  change({ text: "more" });
  pause();
  await answer({ ...FIGURES, near: true, percent: 92 });
  assert.deepEqual([[...classes], parts.share.value], [["tokens--near"], 92]);
  change({ text: "less" });
  pause();
  await answer({ ...FIGURES, percent: null });
  assert.deepEqual([classes.size, parts.share.value], [0, null]);
});

test("a failure leaves the last figure, and the next pause asks again", async (context) => {
  const { answer, asked, change, parts, pause } = opened(context);
  change({ text: "hello" });
  pause();
  await answer(FIGURES);
  change({ text: "hello!" });
  pause();
  await answer(null);
  assert.equal(parts.words.textContent, FIGURES.words);
  pause();
  assert.equal(asked.length, 2, "nobody paused: what failed is not asked for ever");
  change({});
  pause();
  assert.equal(asked.length, 3);
  await answer({ ...FIGURES, words: "282 of 32k tokens" });
  assert.equal(parts.words.textContent, "282 of 32k tokens");
  change({});
  pause();
  assert.equal(asked.length, 3, "what was answered is known");
});

test("a failure that was overtaken changes nothing", async (context) => {
  const { answer, asked, change, pause } = opened(context);
  for (const text of ["long", "short"]) {
    change({ text });
    pause();
  }
  await answer(null);
  change({});
  pause();
  assert.equal(asked.length, 2, "the last one is under way");
});

test("an answer that was overtaken is not shown", async (context) => {
  const { answer, change, parts, pause } = opened(context);
  change({ text: "long" });
  pause();
  change({ text: "" });
  pause();
  await answer({ ...FIGURES, words: "9,000 of 32k tokens" });
  assert.equal(parts.words.textContent, undefined);
  await answer(FIGURES);
  assert.equal(parts.words.textContent, FIGURES.words);
});
