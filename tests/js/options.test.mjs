import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Conversation } = await import("chat/conversation");
const { Options, written } = await import("chat/options");
const { Storage, withFallback } = await import("chat/storage");

const ADDRESS = "/chat/c1/details/";
const ok = (fields) => ({ status: 200, json: fields });
const settled = () => new Promise((done) => setImmediate(done));

// A portal that takes what `answer` doesn't answer otherwise, once it is let.
class FakeRequests {
  sent = [];
  answer = () => null;
  #gate = null;

  hold() {
    let open;
    this.#gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  async post(address, fields = {}) {
    this.sent.push([address, fields]);
    const answer = this.answer(address, fields);
    await this.#gate;
    return answer ?? (address === "/chat/" ? { status: 201, json: { id: "c9", address: "/chat/c9/" } } : ok(fields));
  }

  async get(address) {
    this.sent.push([address]);
    await this.#gate;
    return ok({ seed: 1 });
  }
}

function opened(id = "c1", store = withFallback(() => null)) {
  const requests = new FakeRequests();
  const conversation = new Conversation(id);
  const options = new Options({ requests, storage: new Storage(store, 1), chat: "/chat/", conversation });
  const heard = [];
  conversation.addEventListener("began", () => heard.push(["began"]));
  for (const name of ["saved", "refused", "away"]) {
    options.addEventListener(name, ({ detail }) => heard.push(detail?.field ? [name, detail.field] : [name]));
  }
  return { conversation, heard, options, requests, store };
}

for (const [value, shown] of [
  [null, ""],
  [undefined, ""],
  [0, "0"],
  [0.2, "0.2"],
  [-(2 ** 53), "-9007199254740992"],
  ["<b>\n&", "<b>\n&"],
  [[], ""],
  [["END", "###"], "END\n###"],
  [["\n\nUser:", "a\tb", "\r"], "\\n\\nUser:\na\\tb\n\\r"],
  [["C:\\new"], "C:\\\\new"],
]) {
  test(`${JSON.stringify(value)} stands in its field as ${JSON.stringify(shown)}`, () => {
    assert.equal(written(value), shown);
  });
}

test("only what was changed is sent, a field at a time", async () => {
  const { heard, options, requests, store } = opened();
  options.change("temperature", "0.2");
  options.change("seed", "");
  assert.deepEqual(requests.sent, []);
  await options.save();
  assert.deepEqual(requests.sent, [
    [ADDRESS, { temperature: "0.2" }],
    [ADDRESS, { seed: "" }],
  ]);
  assert.deepEqual(heard, [
    ["saved", "temperature"],
    ["saved", "seed"],
  ]);
  assert.deepEqual([options.unsaved("seed"), store.names().length], [null, 0]);
  await options.save();
  assert.equal(requests.sent.length, 2);
});

test("what is wrong is said, and holds up nothing else", async () => {
  const { options, requests } = opened();
  requests.answer = (_, { temperature }) => temperature && { status: 400, json: { errors: { temperature: "No." } } };
  let message;
  options.addEventListener("refused", ({ detail }) => (message = detail.message));
  options.change("temperature", "warm");
  options.change("seed", "7");
  await options.save();
  assert.deepEqual([message, options.unsaved("temperature"), options.unsaved("seed")], ["No.", null, null]);
});

for (const [status, isRefused] of [
  [0, false],
  [200, false],
  [500, false],
  [503, false],
  [403, false],
  [429, false],
  [400, true],
  [404, true],
  [413, true],
]) {
  test(`an answer ${status} without a word ${isRefused ? "refuses a change" : "keeps a change for the next try"}`, async () => {
    const { heard, options, requests } = opened();
    requests.answer = () => ({ status, json: null });
    options.change("seed", "7");
    await options.save();
    assert.deepEqual(heard, [isRefused ? ["refused", "seed"] : ["away"]]);
    assert.equal(options.unsaved("seed"), isRefused ? null : "7");
  });
}

test("what could not be saved is saved later, also after a reload and from another page of the tab", async () => {
  const first = opened();
  first.requests.answer = () => ({ status: 0, json: null });
  first.options.change("seed", "7");
  first.options.change("stop", "END");
  await first.options.save();
  assert.equal(first.requests.sent.length, 1, "one try tells that the portal is away");
  const reloaded = opened("c1", first.store);
  assert.equal(reloaded.options.unsaved("stop"), "END");
  const elsewhere = opened("c2", first.store);
  assert.equal(elsewhere.options.unsaved("stop"), null);
  await elsewhere.options.save();
  assert.deepEqual(elsewhere.requests.sent, [
    [ADDRESS, { seed: "7" }],
    [ADDRESS, { stop: "END" }],
  ]);
  assert.deepEqual([elsewhere.heard, first.store.names().length], [[], 0]);
});

test("what is changed while it is saved goes after it", async () => {
  const { heard, options, requests } = opened();
  const open = requests.hold();
  options.change("seed", "1");
  const saving = options.save();
  await settled();
  options.change("seed", "12");
  const again = options.save();
  open();
  await saving;
  assert.deepEqual([heard, options.unsaved("seed")], [[], "12"]);
  await again;
  assert.deepEqual(
    requests.sent.map(([, fields]) => fields.seed),
    ["1", "12"],
  );
  assert.deepEqual([heard, options.unsaved("seed")], [[["saved", "seed"]], null]);
});

test("what is read is never older than what was saved before", async () => {
  const { options, requests } = opened();
  const open = requests.hold();
  options.change("seed", "1");
  options.save();
  const reading = options.read();
  await settled();
  assert.equal(requests.sent.length, 1);
  open();
  assert.deepEqual((await reading).json, { seed: 1 });
});

test("the first change makes the conversation", async () => {
  const { conversation, heard, options, requests, store } = opened(null);
  await options.save();
  assert.deepEqual(requests.sent, []);
  options.change("seed", "1");
  options.change("stop", "END");
  await options.save();
  assert.deepEqual(requests.sent, [
    ["/chat/", {}],
    ["/chat/c9/details/", { seed: "1" }],
    ["/chat/c9/details/", { stop: "END" }],
  ]);
  assert.deepEqual(heard, [["began"], ["saved", "seed"], ["saved", "stop"]]);
  assert.deepEqual([conversation.id, store.names().length], ["c9", 0]);
});

test("a conversation that can't be made yet loses no change", async () => {
  const { heard, options, requests } = opened(null);
  requests.answer = () => ({ status: 0, json: null });
  options.change("seed", "1");
  await options.save();
  assert.deepEqual([heard, options.unsaved("seed")], [[["away"]], "1"]);
  requests.answer = () => null;
  await options.save();
  assert.deepEqual(heard.slice(1), [["began"], ["saved", "seed"]]);
});

test("a conversation that a prompt made takes what was changed before, also when one is just being made", async () => {
  for (const isMaking of [false, true]) {
    const { conversation, heard, options, requests } = opened(null);
    const open = requests.hold();
    options.change("seed", "1");
    const making = isMaking ? options.save() : null;
    await settled();
    conversation.begin("c1");
    assert.equal(options.unsaved("seed"), "1");
    const saving = options.save();
    open();
    await Promise.all([making, saving]);
    assert.deepEqual(requests.sent.at(-1), [ADDRESS, { seed: "1" }]);
    assert.deepEqual([heard, conversation.id], [[["began"], ["saved", "seed"]], "c1"]);
  }
});

test("what a new page left behind makes no conversation on another one's page", async () => {
  const left = opened(null);
  left.options.change("seed", "1");
  const { options, requests, store } = opened("c1", left.store);
  await options.save();
  assert.deepEqual([requests.sent, store.names().length], [[], 1]);
});

test("while a prompt on its way is about to make the conversation, no option makes another one", async () => {
  const { conversation, heard, options, requests } = opened(null);
  const open = requests.hold();
  options.change("seed", "7");
  const saving = options.save();
  await settled();
  options.isHeld = true; // sent while the portal took its time
  open();
  await saving;
  assert.deepEqual([conversation.id, heard], [null, []]);
  await options.save();
  assert.equal(requests.sent.length, 1);
  conversation.begin("c1");
  options.isHeld = false;
  await options.save();
  assert.deepEqual(requests.sent.at(-1), [ADDRESS, { seed: "7" }]);
});
