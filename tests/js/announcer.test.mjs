import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Announcer } = await import("chat/announcer");

const PAUSE_MS = 3_000;

// A live region that keeps what was put into it.
function opened(context) {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.document = { documentElement: { lang: "en" } };
  const said = [];
  const element = {
    get textContent() {
      return said.at(-1) ?? "";
    },
    set textContent(text) {
      said.push(text);
    },
  };
  return { announcer: new Announcer(element), said, pass: (ms = PAUSE_MS) => context.mock.timers.tick(ms) };
}

test("finished sentences are read, at most every three seconds, then the end", (context) => {
  const { announcer, said, pass } = opened(context);
  announcer.begin("g1");
  announcer.append("g1", "One. Two. Thr");
  announcer.append("g1", "ee. Four. ");
  assert.deepEqual(said, ["One. Two."]);
  pass(PAUSE_MS - 1);
  assert.equal(said.length, 1);
  pass(1);
  assert.deepEqual(said, ["One. Two.", "Three. Four."]);
  announcer.append("g1", "\n\n## A heading\n\nLast words");
  announcer.end("g1", "Answer finished, 9 tokens.");
  assert.equal(said.length, 2);
  pass();
  assert.equal(said.at(-1), "A heading. Last words. Answer finished, 9 tokens.");
  pass();
  assert.equal(said.length, 3);
});

test("what comes after a silence is read at once", (context) => {
  const { announcer, said, pass } = opened(context);
  announcer.begin("g1");
  pass();
  announcer.append("g1", "Late. ");
  pass();
  pass();
  assert.deepEqual(said, ["Late."]);
});

test("an answer that was under way when the page was loaded is read from there on", (context) => {
  const { announcer, said, pass } = opened(context);
  announcer.replace("g1", "Old. Ne");
  assert.deepEqual(said, []);
  announcer.append("g1", "w. ");
  pass();
  assert.deepEqual(said, ["New."]);
});

test("a connection that comes back is no reason to read anything again", (context) => {
  const { announcer, said, pass } = opened(context);
  announcer.begin("g1");
  announcer.replace("g1", "");
  announcer.append("g1", "One. ");
  pass();
  announcer.replace("g1", "One. Two. ");
  pass();
  assert.deepEqual(said, ["One.", "Two."]);
});

test("what somebody waits for is said at once, again too", (context) => {
  const { announcer, said, pass } = opened(context);
  announcer.begin("g1");
  announcer.append("g1", "One. ");
  announcer.say("Copied.");
  announcer.say("Copied.");
  assert.deepEqual(said, ["One.", "Copied.", "Copied.\u00a0"]);
  announcer.append("g1", "Two. ");
  assert.equal(said.length, 3);
  pass();
  assert.equal(said.at(-1), "Two.");
});
