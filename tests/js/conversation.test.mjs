import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Conversation } = await import("chat/conversation");

const frame = (fields, deleted = false) => ({ type: "conversation", conversation: { id: "c1", ...fields }, deleted });
const LISTED = { title: "Rivers", model: "2", updated_at: "2026-11-22T12:00:00Z" };

// A conversation, and the names of its events in their order.
function observed(id) {
  const conversation = new Conversation(id);
  const heard = [];
  for (const name of ["began", "heard", "changed"]) conversation.addEventListener(name, () => heard.push(name));
  return { conversation, heard };
}

test("a conversation begins once", () => {
  const { conversation, heard } = observed(null);
  conversation.begin("c1");
  conversation.begin("c2");
  assert.deepEqual([conversation.id, heard], ["c1", ["began"]]);
});

test("what a frame tells of it is known when its observers hear of it", () => {
  const { conversation, heard } = observed("c1");
  conversation.apply(frame(LISTED));
  assert.deepEqual(heard, ["heard", "changed"]);
  assert.deepEqual(
    [conversation.title, conversation.model, conversation.updatedAt],
    ["Rivers", "2", Date.parse(LISTED.updated_at)],
  );
});

test("a frame about another conversation changes nothing", () => {
  const { conversation, heard } = observed("c2");
  conversation.apply(frame(LISTED));
  assert.deepEqual([conversation.title, heard], ["", []]);
});

test("a deleted conversation keeps its title, and can come back", () => {
  const { conversation } = observed("c1");
  conversation.apply(frame(LISTED));
  conversation.apply(frame({}, true));
  assert.deepEqual([conversation.title, conversation.isDeleted], ["Rivers", true]);
  conversation.apply(frame(LISTED));
  assert.equal(conversation.isDeleted, false);
});
