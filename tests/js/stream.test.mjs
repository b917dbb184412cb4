import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Stream } = await import("chat/stream");
const { agrees, lengthOf } = await import("chat/stream");

const snapshot = (seq, text, epoch = "boot", state = "running") => ({
  type: "snapshot",
  generation: "g",
  epoch,
  seq,
  text,
  reasoning: "",
  state,
});
const delta = (prev, seq, text) => ({ type: "delta", generation: "g", prev, seq, text });
const finished = (seq, state = "completed") => ({ type: "finished", generation: "g", seq, state });

function started(seq = 0, text = "") {
  const following = new Stream("g");
  following.apply(snapshot(seq, text));
  return following;
}

test("deltas that follow on each other become the text", () => {
  const following = started();
  assert.equal(following.apply(delta(0, 1, "a")), "appended");
  assert.equal(following.apply(delta(1, 4, "bcd")), "appended");
  assert.equal(following.text, "abcd");
  assert.equal(following.seq, 4);
});

test("a delta with reasoning only moves the place and leaves the text", () => {
  const following = started(2, "ab");
  following.apply({ type: "delta", generation: "g", prev: 2, seq: 3, reasoning: "why" });
  assert.deepEqual([following.text, following.reasoning, following.seq], ["ab", "why", 3]);
});

test("a delta from before is ignored, one from beyond a gap asks again", () => {
  const following = started(3, "abc");
  assert.equal(following.apply(delta(1, 2, "b")), "ignored");
  assert.equal(following.apply(delta(4, 5, "e")), "gap");
  assert.equal(following.text, "abc");
  assert.deepEqual(following.ask(), { type: "follow", generation: "g", after: 3, epoch: "boot" });
});

test("one that overlaps is a gap too", () => {
  assert.equal(started(3, "abc").apply(delta(2, 5, "cde")), "gap");
});

test("after asking, what the old following still sends is no reason to ask again", () => {
  const following = started(3, "abc");
  following.apply(delta(4, 5, "e"));
  following.ask();
  assert.equal(following.apply(delta(5, 6, "f")), "ignored");
  assert.equal(following.apply(delta(3, 6, "def")), "appended");
  assert.equal(following.text, "abcdef");
  assert.equal(following.apply(delta(7, 8, "h")), "gap");
});

test("before the first snapshot it asks for everything, without an epoch", () => {
  assert.deepEqual(new Stream("g").ask(), { type: "follow", generation: "g", after: 0 });
});

test("a snapshot replaces everything, also by less", () => {
  const following = started(5, "abcde");
  assert.equal(following.apply(snapshot(3, "abc", "stored")), "replaced");
  assert.deepEqual([following.text, following.seq], ["abc", 3]);
  assert.deepEqual(following.ask(), { type: "follow", generation: "g", after: 3, epoch: "stored" });
});

test("the end counts only when everything before it is here", () => {
  const following = started(2, "ab");
  assert.equal(following.apply(finished(3)), "gap");
  assert.equal(following.isFinal, false);
  following.ask();
  following.apply(delta(2, 3, "c"));
  assert.equal(following.apply(finished(3)), "finished");
  assert.equal(following.isFinal, true);
});

test("a state after the end is ignored", () => {
  const following = started(0);
  following.apply(finished(0, "stopped"));
  assert.equal(following.apply({ type: "status", generation: "g", state: "running", phase: "writing" }), "ignored");
  assert.equal(following.state, "stopped");
});

test("a text that disagrees is asked for anew once, and then taken", () => {
  const following = started(1, "x");
  following.apply(finished(1));
  assert.deepEqual(following.askAnew(), { type: "follow", generation: "g", after: 0 });
  assert.equal(following.isFinal, false);
  assert.equal(following.apply(snapshot(1, "y", "stored", "completed")), "replaced");
  assert.equal(following.isFinal, false);
  assert.equal(following.apply(finished(1)), "finished");
  assert.equal(following.isFinal, true);
  assert.equal(following.askAnew(), null);
});

test("only who is behind asks after a heartbeat", () => {
  const following = started(3, "abc");
  assert.equal(following.isBehind(3), false);
  assert.equal(following.isBehind(4), true);
  following.apply(finished(3));
  assert.equal(following.isBehind(4), false);
});

test("every way of cutting a stream gives the same text, whatever is lost on the way", () => {
  const letters = [..."naïve 👩‍💻 text\r\n\u2028 end"];
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = generator(seed);
    const following = started();
    let sent = 0;
    while (following.seq < letters.length) {
      const prev = sent;
      sent = Math.min(letters.length, sent + 1 + Math.floor(random() * 4));
      if (random() < 0.3) continue; // lost
      if (following.apply(delta(prev, sent, letters.slice(prev, sent).join(""))) === "gap") {
        sent = following.ask().after;
      }
      if (sent === letters.length && following.seq < sent && following.apply(finished(sent)) === "gap") {
        sent = following.ask().after;
      }
      if (sent === letters.length) sent = following.seq;
    }
    assert.equal(following.text, letters.join(""));
  }
});

test("length and SHA-256 are of code points and of UTF-8", async () => {
  const frame = { length: 3, sha256: "4f7dfac4c74e3ee6a9f0a9b9ac7d5c7c1c6fd4d42a8ff1d3ba6f1fdb4ac43bbd" };
  assert.equal(lengthOf("a👩b"), 3);
  assert.equal(await agrees("a👩b", frame), false);
  frame.sha256 = [...new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode("a👩b")))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  assert.equal(await agrees("a👩b", frame), true);
  assert.equal(await agrees("a👩c", frame), false);
});

function generator(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}
