import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Composer } = await import("chat/composer");
const { MemoryStore, Storage } = await import("chat/storage");

class FakeElement extends EventTarget {
  value = "";
  focus() {}
}

function opened(context, drafts = new Storage(new MemoryStore(), 1), conversation = "c1") {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  globalThis.matchMedia = () => ({ matches: false });
  const box = new FakeElement();
  const parts = new Map();
  const form = new FakeElement();
  form.elements = { prompt: box };
  form.querySelector = (selector) => parts.get(selector) ?? parts.set(selector, new FakeElement()).get(selector);
  const composer = new Composer(form, { drafts, conversation, limit: 1000 });
  composer.start();
  const write = (text) => {
    box.value = text;
    box.dispatchEvent(new Event("input"));
  };
  const leave = () => page.dispatchEvent(new Event("pagehide"));
  return { box, composer, drafts, leave, stopButton: form.querySelector("[data-action=stop]"), write };
}

test("a composer that was stopped hears nothing any more, and has kept the draft", (context) => {
  const { composer, drafts, stopButton, write } = opened(context);
  let stops = 0;
  composer.addEventListener("stop", () => (stops += 1));
  stopButton.dispatchEvent(new Event("click"));
  assert.equal(stops, 1);
  write("half a thought");
  composer.stop();
  assert.equal(drafts.get("draft.c1"), "half a thought");
  drafts.remove("draft.c1");
  context.mock.timers.tick(1_000);
  stopButton.dispatchEvent(new Event("click"));
  assert.deepEqual([stops, drafts.get("draft.c1")], [1, null]);
});

test("a prompt left for another conversation stands before what is written there", (context) => {
  const { box, composer, drafts } = opened(context);
  composer.leave("c2", "hello");
  assert.equal(drafts.get("draft.c2"), "hello");
  composer.leave("c2", "hello");
  assert.equal(drafts.get("draft.c2"), "hello");
  composer.leave("c2", "first");
  assert.equal(drafts.get("draft.c2"), "first\n\nhello");
  composer.leave(null, "new");
  assert.deepEqual([drafts.get("draft.new"), box.value], ["new", ""]);
});

test("a page where nothing was written takes no other tab's draft away", (context) => {
  const { drafts, leave, write } = opened(context);
  drafts.set("draft.c1", "left by another tab");
  leave();
  assert.equal(drafts.get("draft.c1"), "left by another tab");
  write("mine");
  leave();
  assert.equal(drafts.get("draft.c1"), "mine");
  write("");
  leave();
  assert.equal(drafts.get("draft.c1"), null);
});
