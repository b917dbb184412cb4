import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Composer } = await import("chat/composer");
const { Conversation } = await import("chat/conversation");
const { Storage, withFallback } = await import("chat/storage");

class FakeElement extends EventTarget {
  value = "";
  hidden = true;
  textContent = "";
  ariaDisabled = null;
  style = {};
  focus() {}
  setSelectionRange(start, end) {
    this.selection = [start, end];
  }
}

class FakeOption {
  dataset = {};
  constructor(label, value) {
    Object.assign(this, { textContent: label, value: String(value) });
    this.dataset.label = label;
  }
  get label() {
    return this.textContent;
  }
}

class FakeSelect extends FakeElement {
  constructor(...labels) {
    super();
    this.options = labels.map((label) => new FakeOption(label, label));
    this.value = labels[0];
  }
  get selectedOptions() {
    return this.options.filter(({ value }) => value === this.value);
  }
  replaceChildren(...options) {
    this.options = options;
  }
}

const LIMIT = 1000;
const ids = (...names) => names.map((id) => ({ id, label: id.toUpperCase(), provider: "p" }));

function opened(
  context,
  {
    drafts = new Storage(
      withFallback(() => null),
      1,
    ),
    conversation = "c1",
    models = ["a"],
    grows = true,
  } = {},
) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.matchMedia = () => ({ matches: false });
  globalThis.CSS = { supports: () => grows };
  globalThis.Option = FakeOption;
  const box = new FakeElement();
  const select = new FakeSelect(...models);
  const parts = new Map();
  const form = new FakeElement();
  form.elements = { namedItem: (name) => ({ prompt: box, model: select })[name] };
  form.querySelector = (selector) => parts.get(selector) ?? parts.set(selector, new FakeElement()).get(selector);
  form.requestSubmit = () => form.dispatchEvent(new Event("submit"));
  const composer = new Composer(form, { drafts, conversation: new Conversation(conversation), limit: LIMIT });
  composer.start();
  const heard = [];
  for (const name of ["send", "stop"]) {
    composer.addEventListener(name, ({ detail }) => heard.push(detail === null ? [name] : [name, detail]));
  }
  const write = (text) => {
    box.value = text;
    box.dispatchEvent(new Event("input"));
  };
  const press = (key, more = {}) => box.dispatchEvent(Object.assign(new Event("keydown"), { key, ...more }));
  const part = (name) => form.querySelector(`[data-part=${name}]`);
  const button = (name) => form.querySelector(`[data-action=${name}]`);
  const leave = () => page.dispatchEvent(new Event("pagehide"));
  return { box, button, composer, drafts, heard, leave, part, press, select, write };
}

test("the button stops, and whoever leaves the page finds the draft again", (context) => {
  const { button, drafts, heard, leave, write } = opened(context);
  button("stop").dispatchEvent(new Event("click"));
  assert.deepEqual(heard, [["stop"]]);
  write("half a thought");
  leave();
  assert.equal(drafts.get("draft.c1"), "half a thought");
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

test("what is blank is never sent, and Send looks like it", (context) => {
  const { button, heard, press, write } = opened(context);
  assert.equal(button("send").ariaDisabled, "true");
  press("Enter");
  write(" \n ");
  press("Enter");
  assert.deepEqual([heard, button("send").ariaDisabled], [[], "true"]);
  write("hello");
  assert.equal(button("send").ariaDisabled, null);
  press("Enter", { shiftKey: true });
  press("Enter", { isComposing: true });
  assert.deepEqual(heard, []);
  press("Enter");
  assert.deepEqual(heard, [["send", { text: "hello", model: null }]]);
  assert.equal(button("send").ariaDisabled, "true");
});

test("while an answer runs one can stop it, and queue the next prompt", (context) => {
  const { button, composer, heard, part, press, write } = opened(context);
  press("Escape");
  composer.setRunning(true);
  assert.deepEqual(
    [button("stop").hidden, button("send").ariaLabel, part("send-word").textContent],
    [false, "queue", "queue"],
  );
  press("Escape", { isComposing: true });
  press("Escape", { shiftKey: true });
  assert.deepEqual(heard, []);
  press("Escape");
  write("next");
  press("Enter");
  assert.deepEqual(heard, [["stop"], ["send", { text: "next", model: null }]]);
  composer.setRunning(false);
  assert.deepEqual([button("stop").hidden, button("send").ariaLabel], [true, "send"]);
  press("Escape");
  assert.equal(heard.length, 2);
});

test("a new conversation takes its second prompt once the first is accepted", (context) => {
  const { box, button, composer, heard, part, press, write } = opened(context, { conversation: null });
  composer.setBlocked(true);
  write("second");
  assert.equal(button("send").ariaDisabled, "true");
  press("Enter");
  assert.deepEqual([heard, box.value, part("problem").textContent], [[], "second", "wait_for_first"]);
  composer.setBlocked(false);
  assert.deepEqual([button("send").ariaDisabled, part("problem").hidden], [null, true]);
  press("Enter");
  assert.equal(heard.length, 1);
});

test("a text near the limit is noted, one beyond it isn't sent", (context) => {
  const { box, heard, part, press, write } = opened(context);
  const state = () => [part("size").hidden, part("problem").hidden];
  write("x".repeat(LIMIT * 0.8));
  assert.deepEqual(state(), [true, true]);
  write("x".repeat(LIMIT * 0.8 + 1));
  assert.deepEqual([...state(), part("size").textContent], [false, true, "near_limit"]);
  write("ü".repeat(LIMIT / 2));
  assert.deepEqual(state(), [false, true]);
  write(`${"ü".repeat(LIMIT / 2)}x`);
  assert.deepEqual([...state(), part("problem").textContent], [true, false, "too_long"]);
  press("Enter");
  assert.deepEqual([heard, box.value.length], [[], LIMIT / 2 + 1]);
  write("short");
  assert.deepEqual(state(), [true, true]);
  press("Enter");
  assert.equal(heard.length, 1);
});

test("a prompt to start from comes before what is written, and once", (context) => {
  const { box, composer, drafts, heard, write } = opened(context);
  composer.begin("Explain:");
  assert.deepEqual([box.value, box.selection], ["Explain:\n\n", [10, 10]]);
  composer.begin("Translate:");
  assert.equal(box.value, "Translate:\n\n", "nothing was written after the other one");
  write("Translate:\n\nhello");
  composer.begin("Translate:");
  assert.equal(box.value, "Translate:\n\nhello");
  write("mine");
  composer.begin("Explain:");
  assert.deepEqual([box.value, box.selection], ["Explain:\n\nmine", [14, 14]]);
  assert.deepEqual([drafts.get("draft.c1"), heard], ["Explain:\n\nmine", []]);
});

test("new models come in and the choice stays", (context) => {
  const { composer, part, select } = opened(context, { models: ["a", "b"] });
  select.value = "b";
  select.options[1].dataset.local = "";
  const local = select.options[1];
  composer.models = ids("c", "b");
  assert.deepEqual(
    select.options.map(({ label }) => label),
    ["C", "B"],
  );
  assert.deepEqual([composer.model, composer.chosen.label, part("problem").textContent], ["b", "B", ""]);
  assert.equal(select.options[1], local, "and what is known of it");
  composer.models = ids("c");
  assert.deepEqual([composer.model, part("models").hidden, part("only-model").hidden], [null, true, false]);
  assert.deepEqual([part("only-model").textContent, part("problem").textContent], ["C", "model_gone"]);
  assert.deepEqual([composer.chosen.label, composer.chosen.local], ["C", undefined]);
  composer.models = ids("c", "b");
  assert.deepEqual([composer.model, part("models").hidden, select.options[1]], ["c", false, local]);
  composer.models = [];
  assert.equal(select.options.length, 2, "an empty list would leave nothing to say it with");
});

test("how a model does stands behind its name, and is no part of it", (context) => {
  const { composer, part, select } = opened(context, { models: ["a"] });
  composer.models = [{ id: "a", label: "A", note: "0.4 s" }];
  assert.deepEqual([select.options[0].label, composer.chosen.label], ["A · 0.4 s", "A"]);
  assert.equal(part("only-model").textContent, "A · 0.4 s");
  composer.models = [{ id: "a", label: "A", note: "not answering now" }, ...ids("b")];
  assert.deepEqual(
    select.options.map(({ label }) => label),
    ["A · not answering now", "B"],
  );
  composer.models = ids("b");
  assert.equal(composer.chosen.label, "B");
});

test("whatever changes the text or the model is announced, also when nobody types", (context) => {
  const { composer, press, select, write } = opened(context, { models: ["a", "b"] });
  let changes = 0;
  composer.addEventListener("changed", () => (changes += 1));
  const tells = (act) => {
    const before = changes;
    act();
    return changes > before;
  };
  assert.ok(tells(() => write("hello")));
  assert.ok(
    tells(() => press("Enter")),
    "it is empty again",
  );
  assert.ok(tells(() => composer.giveBack("hello", "no")));
  assert.ok(tells(() => composer.begin("Explain:")));
  assert.ok(
    tells(() => composer.setBlocked(false)),
    "something was said in the conversation, perhaps",
  );
  assert.ok(tells(() => select.dispatchEvent(new Event("change"))));
  assert.ok(
    tells(() => (composer.models = ids("b", "c"))),
    "the chosen one is gone",
  );
});

test("the same models leave an open list alone", (context) => {
  const { composer, select } = opened(context, { models: ["a", "b"] });
  select.replaceChildren = () => assert.fail("would close it");
  composer.models = ids("a", "b");
  assert.equal(composer.model, "a");
});

test("where boxes don't grow by themselves, this one is made as high as its text", (context) => {
  const { box, write } = opened(context, { grows: false });
  box.scrollHeight = 120;
  write("some\nlines");
  assert.equal(box.style.blockSize, "120px");
});
