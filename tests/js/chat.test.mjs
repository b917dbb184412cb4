import assert from "node:assert/strict";
import test from "node:test";

import { FakeComposer, FakeSocket, FakeTranscript } from "./page.mjs";
import "./resolve.mjs";

globalThis.history ??= { replaceState() {} };
globalThis.location ??= { href: "" };

const { Branch } = await import("chat/branch");
const { Chat } = await import("chat/chat");
const { Conversation } = await import("chat/conversation");
const { Streams } = await import("chat/streams");
const { Outbox } = await import("chat/outbox");
const { Storage, withFallback } = await import("chat/storage");

const LATE_MS = 5_000;
const FOREIGN_MS = 11_000;
const LONG_MS = 120_000;

// One browser: tabs that share a store, and a clock.
function browser(context) {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const store = withFallback(() => null);
  const open = (name, id = "c1", views = []) => {
    const conversation = new Conversation(id);
    const socket = new FakeSocket();
    const transcript = new FakeTranscript();
    views.forEach((view) => transcript.add(view));
    const composer = new FakeComposer();
    const outbox = new Outbox(new Storage(store, 1), name);
    const page = {
      chat: "/chat/",
      message: "",
      is_newest: true,
      updated_at: "2026-11-22T12:00:00Z",
    };
    const announcer = { begin() {}, append() {}, replace() {}, end() {} };
    const streams = new Streams({ socket, transcript, announcer });
    const scrollPosition = { keep() {}, toEnd() {} };
    const loaded = [];
    const requests = {
      document(address) {
        loaded.push(address);
        return new Promise(() => {});
      },
    };
    const branch = new Branch({ page, conversation, transcript, streams, requests, scrollPosition });
    branch.start();
    const panel = Object.assign(new EventTarget(), { isSaved: true });
    new Chat({
      user: 1,
      conversation,
      socket,
      outbox,
      transcript,
      streams,
      branch,
      composer,
      panel,
      sidebar: {
        has: () => true,
        touch() {},
        refresh: () => Promise.resolve(),
        updatedAt: () => null,
        title: () => null,
      },
      scrollPosition,
      parts: { frame: { classList: { remove() {} } }, title: {}, welcome: null },
    }).start();
    return { conversation, socket, transcript, composer, outbox, loaded, panel };
  };
  return { open, pass: (ms) => context.mock.timers.tick(ms), kept: () => store.names().length };
}

const accepted = (key, fields = {}) => ({
  type: "accepted",
  key,
  conversation: "c1",
  user_message: "u1",
  assistant_message: "a1",
  generation: "g1",
  state: "running",
  duplicate: false,
  ...fields,
});
const refused = (key, code = "unknown_model") => ({ type: "refused", key, code, message: "Not now." });
const failed = (id = "a0") => ({ id, generation: "g0", isAnswer: true });
const retry = (tab, view, type = "regenerate") =>
  tab.transcript.dispatchEvent(new CustomEvent("retry", { detail: { view, type } }));
const settled = () => new Promise((done) => setImmediate(done));

// A prompt written in tab one while the portal was away; both tabs, the second in another conversation, send it.
function sentByBoth(context) {
  const all = browser(context);
  const one = all.open("one");
  const two = all.open("two", "c2");
  one.composer.send("hello");
  all.pass(FOREIGN_MS);
  one.socket.hello();
  two.socket.hello();
  const [{ key }] = one.socket.of("send");
  assert.equal(two.socket.of("send")[0].key, key, "both send it");
  return { ...all, one, two, key };
}

test("a prompt accepted in another tab first is shown in its own", (context) => {
  const { one, two, key, kept } = sentByBoth(context);
  two.socket.hear(accepted(key));
  one.socket.hear(accepted(key, { duplicate: true }));
  assert.deepEqual(
    one.transcript.views.map(({ id, pending }) => [id, pending]),
    [
      ["u1", ""],
      ["a1", ""],
    ],
  );
  assert.deepEqual(one.socket.of("unfollow"), []);
  assert.equal(two.socket.of("unfollow").length, 1);
  assert.equal(kept(), 0);
});

test("a prompt accepted in another tab while its own was away is sent again after the next hello", (context) => {
  const { one, two, key } = sentByBoth(context);
  one.socket.away();
  two.socket.hear(accepted(key));
  one.socket.hello();
  assert.deepEqual(
    one.socket.of("send").map((command) => command.key),
    [key, key],
  );
  one.socket.hear(accepted(key, { duplicate: true }));
  assert.equal(one.transcript.byId("u1").pending, "");
});

for (const first of ["one", "two"]) {
  test(`a prompt refused in both tabs comes back once, in its own; tab ${first} hears it first`, (context) => {
    const { key, kept, pass, ...tabs } = sentByBoth(context);
    const last = first === "one" ? "two" : "one";
    tabs[first].socket.hear(refused(key));
    tabs[last].socket.hear(refused(key));
    assert.deepEqual(tabs.one.composer.calls, [["giveBack", "hello", "Not now."]]);
    assert.deepEqual(tabs.one.transcript.views, []);
    pass(LONG_MS);
    assert.deepEqual(tabs.two.composer.calls, []);
    assert.equal(kept(), 0);
  });
}

test("an error that names another tab's prompt takes nothing away either", (context) => {
  const { key, one, two } = sentByBoth(context);
  two.socket.hear({ type: "error", code: "internal", message: "Oh.", ref: key });
  one.socket.hear({ type: "error", code: "internal", message: "Oh.", ref: key });
  assert.deepEqual(one.composer.calls, [["giveBack", "hello", "Oh."]]);
});

test("a refused prompt whose tab is closed goes into the draft of its conversation", (context) => {
  const { key, kept, pass, two } = sentByBoth(context);
  two.socket.hear(refused(key));
  assert.deepEqual([two.composer.calls, kept()], [[], 1], "its tab may still be there");
  pass(LONG_MS);
  assert.deepEqual(two.composer.calls, [["leave", "c1", "hello"]]);
  assert.equal(kept(), 0);
});

test("a closed tab's refused prompt comes back on a page of its conversation, before any other page takes it", (context) => {
  const { key, open, pass, two } = sentByBoth(context);
  const three = open("three", "c1");
  three.socket.hello();
  two.socket.hear(refused(key));
  three.socket.hear(refused(key));
  pass(LONG_MS);
  assert.deepEqual(three.composer.calls, [["giveBack", "hello", "Not now."]]);
  assert.deepEqual(two.composer.calls, []);
});

test("a prompt refused after its tab went to another conversation waits in the draft of its own", (context) => {
  const { open, kept } = browser(context);
  open("one").composer.send("hello");
  const later = open("one", "c2");
  later.socket.hello();
  later.socket.hear(refused(later.socket.of("send")[0].key));
  assert.deepEqual(later.composer.calls, [
    ["leave", "c1", "hello"],
    ["say", "Not now."],
  ]);
  assert.equal(kept(), 0);
});

test("another answer is asked for once, however often one clicks", (context) => {
  const tab = browser(context).open("one", "c1", [failed()]);
  const [view] = tab.transcript.views;
  tab.socket.hello();
  assert.deepEqual(tab.transcript.canRetry, [true]);
  retry(tab, view);
  retry(tab, view);
  assert.equal(tab.socket.of("regenerate").length, 1);
  assert.deepEqual(tab.transcript.canRetry, [false]);
  tab.socket.hear(accepted(tab.socket.of("regenerate")[0].key));
  retry(tab, tab.transcript.byId("a1"));
  assert.equal(tab.socket.of("regenerate").length, 1, "nor while it is written");
});

test("an answer that was cut goes on by the same model, and another answer is not asked for meanwhile", (context) => {
  const tab = browser(context).open("one", "c1", [failed()]);
  tab.socket.hello();
  retry(tab, tab.transcript.views[0], "continue");
  retry(tab, tab.transcript.views[0]);
  const [{ key, ...command }] = tab.socket.of("continue");
  assert.deepEqual(command, { type: "continue", message: "a0" });
  assert.deepEqual(tab.socket.of("regenerate"), []);
  tab.socket.hear(accepted(key));
  assert.deepEqual(
    tab.transcript.views.map(({ id }) => id),
    ["a1"],
  );
});

test("another answer that is refused can be asked for again", (context) => {
  const tab = browser(context).open("one", "c1", [failed()]);
  const [view] = tab.transcript.views;
  retry(tab, view);
  context.mock.timers.tick(LATE_MS);
  assert.equal(view.pending, "not_sent_yet");
  tab.socket.hello();
  tab.socket.hear(refused(tab.socket.of("regenerate")[0].key));
  assert.deepEqual([view.pending, tab.transcript.canRetry], ["", [true]]);
  assert.deepEqual(tab.composer.calls, [["say", "Not now."]]);
  retry(tab, view);
  assert.equal(new Set(tab.socket.of("regenerate").map(({ key }) => key)).size, 2);
});

test("another answer that is late says so, also after a reload", (context) => {
  const { open, pass } = browser(context);
  const tab = open("one", "c1", [failed()]);
  const [view] = tab.transcript.views;
  retry(tab, view);
  assert.equal(view.pending, "");
  pass(LATE_MS);
  assert.equal(view.pending, "not_sent_yet");
  const again = open("one", "c1", [failed()]);
  assert.equal(again.transcript.views[0].pending, "not_sent_yet");
  assert.deepEqual(again.transcript.canRetry, [false]);
});

test("two tabs that want another answer to the same prompt ask for one", (context) => {
  const { open } = browser(context);
  const one = open("one", "c1", [failed()]);
  const two = open("two", "c1", [failed()]);
  retry(one, one.transcript.views[0]);
  retry(two, two.transcript.views[0]);
  one.socket.hello();
  two.socket.hello();
  const [{ key }] = one.socket.of("regenerate");
  assert.deepEqual(
    two.socket.of("regenerate").map((command) => command.key),
    [key],
  );
  for (const tab of [one, two]) {
    tab.socket.hear(accepted(key));
    assert.deepEqual(
      tab.transcript.views.map(({ id }) => id),
      ["a1"],
    );
  }
});

test("a frame costs what it adds, not what is there", (context) => {
  const tab = browser(context).open("one", "c1", [{ ...failed(), isOpen: true }]);
  const [view] = tab.transcript.views;
  tab.socket.hello();
  const frame = { generation: "g0", epoch: "boot", state: "running" };
  tab.socket.hear({ ...frame, type: "snapshot", seq: 1, text: "a", reasoning: "why" });
  tab.socket.hear({ ...frame, type: "delta", prev: 1, seq: 2, text: "b" });
  tab.socket.hear({ ...frame, type: "delta", prev: 2, seq: 3, reasoning: " not" });
  assert.deepEqual(view.calls, [
    ["replace", "a", "why"],
    ["append", "b", ""],
    ["append", "", " not"],
  ]);
});

test("a text that disagreed and was asked for anew is asked for again after every hello until it is here", async (context) => {
  const tab = browser(context).open("one", "c1", [{ ...failed(), isOpen: true }]);
  tab.socket.hello();
  const snapshot = {
    type: "snapshot",
    generation: "g0",
    epoch: "boot",
    seq: 1,
    text: "x",
    reasoning: "",
    state: "running",
  };
  const finished = { type: "finished", generation: "g0", seq: 1, state: "completed", length: 2, sha256: "" };
  tab.socket.hear(snapshot);
  tab.socket.hear(finished);
  await settled();
  assert.equal(tab.socket.of("follow").length, 2, "anew");
  tab.socket.away();
  tab.socket.hello();
  assert.deepEqual(tab.socket.of("follow").at(-1), { type: "follow", generation: "g0", after: 0 });
  assert.equal(tab.socket.of("follow").length, 3);
  tab.socket.hear({ ...snapshot, epoch: "stored", text: "xy", state: "completed" });
  tab.socket.hear(finished);
  await settled();
  tab.socket.away();
  tab.socket.hello();
  assert.equal(tab.socket.of("follow").length, 3, "the end");
});

test("a closed tab's prompt that this one sends is shown here, too: nobody else tells of it", (context) => {
  const { open, pass } = browser(context);
  open("one").composer.send("hello");
  pass(FOREIGN_MS);
  const two = open("two");
  two.socket.hello();
  two.socket.hear(accepted(two.socket.of("send")[0].key));
  assert.deepEqual(two.loaded, ["/chat/c1/"]);
});

test("once the first prompt has left, its conversation is the one that comes of it", async (context) => {
  const tab = browser(context).open("one", null);
  let flushed;
  tab.panel.isSaved = false;
  tab.panel.flush = () => new Promise((done) => (flushed = done));
  tab.socket.hello();
  tab.composer.send("hello");
  assert.equal(tab.panel.isHeld, false, "an option may still make it");
  flushed();
  await settled();
  assert.equal(tab.socket.of("send")[0].conversation, null);
  assert.equal(tab.panel.isHeld, true);
  tab.socket.hear(refused(tab.socket.of("send")[0].key));
  assert.equal(tab.panel.isHeld, false);
});

test("many prompts that wait go out a few at a time, each once", (context) => {
  const { open, pass } = browser(context);
  const tab = open("one");
  for (let number = 0; number < 25; number += 1) tab.composer.send(`prompt ${number}`);
  tab.socket.hello();
  assert.equal(tab.socket.of("send").length, 10);
  pass(1_000);
  assert.equal(tab.socket.of("send").length, 20);
  pass(1_000);
  assert.deepEqual(
    tab.socket.of("send").map(({ text }) => text),
    [...Array(25).keys()].map((number) => `prompt ${number}`),
  );
});

test("a heartbeat may say how the models do now", (context) => {
  const { socket, composer } = browser(context).open("one");
  socket.hello();
  const models = [{ id: "1", label: "A", provider: "p", note: "not answering now" }];
  socket.hear({ type: "hb", heads: {}, models });
  assert.equal(composer.models, models);
  socket.hear({ type: "hb", heads: {} });
  assert.equal(composer.models, models);
});
