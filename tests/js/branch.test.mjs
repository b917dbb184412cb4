import assert from "node:assert/strict";
import test from "node:test";

import { FakeTranscript } from "./page.mjs";
import "./resolve.mjs";

globalThis.history ??= { replaceState() {} };
globalThis.location ??= { href: "" };

const { Branch } = await import("chat/branch");
const { Conversation } = await import("chat/conversation");

const BEGAN = "2026-11-22T12:00:00Z";
const LATER = "2026-11-22T12:05:00Z";
const settled = () => new Promise((done) => setImmediate(done));

// A transcript that knows its order; what the portal sends in place of it is kept as it came.
class Views extends FakeTranscript {
  swapped = 0;

  following(view) {
    return this.views[view === null ? 0 : this.views.indexOf(view) + 1] ?? null;
  }

  versionOf() {
    return null;
  }

  addPrompt(id) {
    return this.add({ id });
  }

  swap() {
    this.swapped += 1;
  }
}

// A branch with a prompt and its answer, and the addresses that it asks for; `answer` answers the oldest of them.
function branch(isNewest = true) {
  const transcript = new Views();
  transcript.add({ id: "u1" });
  transcript.add({ id: "a1", isAnswer: true, versions: ["a1"] });
  const asked = [];
  const requests = { document: (address) => new Promise((done) => asked.push({ address, done })) };
  const page = { chat: "/chat/", message: "", is_newest: isNewest, updated_at: BEGAN };
  const conversation = new Conversation("c1");
  const streams = { follow() {} };
  const one = new Branch({ page, conversation, transcript, streams, requests, scrollPosition: { keep() {} } });
  one.start();
  const loaded = { message: "", is_newest: true, updated_at: LATER };
  const answer = async () => {
    asked.shift().done({
      status: 200,
      document: { querySelectorAll: () => [], getElementById: () => ({ textContent: JSON.stringify(loaded) }) },
    });
    await settled();
  };
  return { one, conversation, transcript, asked, answer };
}

const frame = (updatedAt) => ({ conversation: { id: "c1", title: "", updated_at: updatedAt }, deleted: false });
const prompt = (id, parent) => ({ id, parent, role: "user", content: "Hello", created_at: LATER });

test("what was missed is loaded though a frame has told the time of it first", async () => {
  const { one, conversation, asked } = branch();
  const listed = Promise.resolve(Date.parse(LATER));
  one.catchUp(listed);
  conversation.apply(frame(LATER));
  await settled();
  assert.equal(asked.length, 1);
});

test("nothing is loaded when nothing was missed", async () => {
  const { one, conversation, asked } = branch();
  await one.catchUp(Promise.resolve(Date.parse(BEGAN)));
  conversation.apply(frame(LATER));
  await one.catchUp(Promise.resolve(Date.parse(LATER)));
  assert.equal(asked.length, 0);
});

test("after a prompt on another branch the next one here names the answer that it follows", () => {
  const { one } = branch();
  assert.equal(one.parent, null);
  one.add(prompt("u9", "a9"), "fake");
  assert.equal(one.parent, "a1");
});

test("messages that were written before what was said meanwhile do not take its place", async () => {
  const { one, transcript, asked, answer } = branch();
  one.show("a1");
  one.settle();
  await answer();
  assert.equal(transcript.swapped, 0);
  assert.equal(asked.length, 1);
  one.add(prompt("u2", "a1"), "fake");
  await answer();
  assert.equal(transcript.swapped, 0);
  await answer();
  assert.equal(transcript.swapped, 1);
});

test("which of two prompts came first, when both tabs sent one, the portal says", () => {
  const { one, transcript, asked } = branch();
  transcript.add({ id: "u3" });
  one.add(prompt("u2", "a1"), "fake");
  assert.deepEqual(
    transcript.views.map(({ id }) => id),
    ["u1", "a1", "u3"],
  );
  assert.equal(asked.length, 1);
});

test("prompts that follow each other before the first is accepted do so on the portal, too", () => {
  const { one, transcript } = branch(false);
  assert.equal(one.parent, "a1");
  transcript.add({ id: "key", isOnItsWay: true });
  assert.equal(one.parent, null);
});

test("a prompt on its way that was written on another branch takes the page along when it is accepted", async () => {
  const { one, transcript, asked, answer } = branch();
  transcript.add({ id: "key", isOnItsWay: true });
  one.show("a1");
  await answer();
  assert.equal(one.parent, "a1", "the next one belongs to what stands here");
  transcript.views.at(-1).isOnItsWay = false;
  one.settle();
  assert.deepEqual(
    asked.map(({ address }) => address),
    ["/chat/c1/"],
  );
  await answer();
  assert.equal(one.parent, null);
});
