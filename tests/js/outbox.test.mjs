import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { newKey, Outbox } = await import("chat/outbox");
const { Storage, withFallback } = await import("chat/storage");

const command = (key, text = "hello") => ({ type: "send", key, conversation: null, text });

function boxes(store = withFallback(() => null)) {
  const clock = { now: 1000 };
  const open = (tab, user = 1) => new Outbox(new Storage(store, user), tab, () => clock.now);
  return { clock, open, store };
}

test("a prompt stays until it is removed, through a reload of its tab", () => {
  const { open } = boxes();
  open("tab").add(command("k1"));
  assert.deepEqual(
    open("tab")
      .mine()
      .map((entry) => entry.command),
    [command("k1")],
  );
  assert.deepEqual(open("tab").remove("k1").command, command("k1"));
  assert.deepEqual(open("tab").mine(), []);
  assert.equal(open("tab").remove("k1"), null);
});

test("what is sent again is the same, key included, oldest first", () => {
  const { clock, open } = boxes();
  const outbox = open("tab");
  outbox.add(command("k2", "first"));
  clock.now += 1;
  outbox.add(command("k1", "second"));
  assert.deepEqual(
    outbox.due().map((entry) => entry.command.key),
    ["k2", "k1"],
  );
  assert.deepEqual(outbox.due()[0].command, command("k2", "first"));
});

test("another tab's prompt is left to it, unless that tab seems to be gone", () => {
  const { clock, open } = boxes();
  open("one").add(command("k1"));
  assert.deepEqual(open("two").due(), []);
  clock.now += 11_000;
  assert.equal(open("two").due().length, 1);
  assert.deepEqual(open("two").mine(), []);
  assert.equal(open("two").isMine(open("two").due()[0]), false);
});

test("what another tab was faster to remove is still known here, and still sent", () => {
  const { clock, open } = boxes();
  const one = open("one");
  one.add(command("k1"));
  clock.now += 11_000;
  open("two").remove("k1");
  assert.deepEqual(
    one.due().map((entry) => entry.command.key),
    ["k1"],
  );
  assert.equal(one.mine().length, 1);
  assert.equal(one.get("k1").command.text, "hello");
  assert.equal(one.remove("k1").command.text, "hello");
  assert.equal(one.remove("k1"), null);
  assert.deepEqual(one.due(), []);
});

test("what asks for another answer is found by its message, whichever tab asked", () => {
  const { open } = boxes();
  for (const type of ["regenerate", "continue"]) {
    const wanted = { type, key: `k ${type}`, message: `m ${type}` };
    open("one").add(wanted);
    assert.deepEqual(open("two").anotherOf(wanted.message), wanted);
  }
  assert.equal(open("two").anotherOf("m2"), null);
});

test("another user of the same browser sees none of it", () => {
  const { clock, open } = boxes();
  open("tab", 1).add(command("k1"));
  clock.now += 60_000;
  assert.deepEqual(open("tab", 2).due(), []);
  assert.deepEqual(open("tab", 12).due(), []);
});

test("a broken entry is passed over", () => {
  const { open, store } = boxes();
  store.setItem("chatsite.1.outbox.k1", "{");
  store.setItem("chatsite.1.outbox.k2", "null");
  assert.deepEqual(open("tab").due(), []);
});

test("a full or closed store is replaced by memory", () => {
  const full = {
    getItem: () => null,
    removeItem() {},
    setItem() {
      throw new Error("QuotaExceededError");
    },
  };
  const { open } = boxes(withFallback(() => full));
  open("tab").add(command("k1"));
  assert.equal(open("tab").mine().length, 1);
  assert.equal(open("tab").remove("k1").command.key, "k1");

  const closed = withFallback(() => {
    throw new Error("SecurityError");
  });
  closed.setItem("name", "value");
  assert.equal(closed.getItem("name"), "value");
});

test("keys are UUIDs, also where the browser makes none", (context) => {
  const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  assert.match(newKey(), shape);
  Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true });
  context.after(() => delete crypto.randomUUID);
  assert.match(newKey(), shape);
  assert.notEqual(newKey(), newKey());
});

test("at the logout nothing stays for whoever comes next", () => {
  const { open } = boxes();
  open("one").add(command("k1"));
  const outbox = open("two");
  outbox.add(command("k2"));
  assert.equal(outbox.isEmpty, false);
  outbox.clear();
  assert.deepEqual([outbox.isEmpty, open("one").mine(), open("two").mine()], [true, [], []]);
});
