import assert from "node:assert/strict";
import test from "node:test";

import { FakeSocket } from "./page.mjs";
import "./resolve.mjs";

const { Delivery } = await import("chat/delivery");
const { Outbox } = await import("chat/outbox");
const { Storage, withFallback } = await import("chat/storage");

const LATE_MS = 5_000;
const BURST = 10;
const prompt = (key) => ({ type: "send", key, conversation: "c1", text: "Hello" });

// The delivery of one tab, and what it tells the page.
function opened(context) {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const socket = new FakeSocket();
  const outbox = new Outbox(
    new Storage(
      withFallback(() => null),
      1,
    ),
    "one",
  );
  const delivery = new Delivery({ socket, outbox, isShown: () => true });
  const heard = [];
  for (const name of ["late", "returned"]) {
    delivery.addEventListener(name, ({ detail }) => heard.push([name, detail.reason ?? detail.key]));
  }
  return { delivery, heard, socket, pass: (ms) => context.mock.timers.tick(ms) };
}

const keys = (socket) => socket.of("send").map(({ key }) => key);

test("what nobody has accepted after a while is called late", (context) => {
  const { delivery, heard, socket, pass } = opened(context);
  socket.ready = true;
  delivery.send(prompt("k1"));
  delivery.send(prompt("k2"));
  delivery.accept("k1");
  pass(LATE_MS);
  assert.deepEqual([heard, keys(socket)], [[["late", "k2"]], ["k1", "k2"]]);
});

test("a prompt that is held is sent when it is released, and not by a hello before", (context) => {
  const { delivery, socket } = opened(context);
  socket.ready = true;
  const command = prompt("k1");
  delivery.hold(command);
  delivery.resume();
  assert.deepEqual([keys(socket), delivery.isHolding], [[], true]);
  delivery.release(command);
  assert.deepEqual([keys(socket), delivery.isHolding], [["k1"], false]);
});

test("many prompts are sent again little by little", (context) => {
  const { delivery, socket, pass } = opened(context);
  for (let number = 0; number <= BURST; number += 1) delivery.send(prompt(`k${number}`));
  socket.ready = true;
  delivery.resume();
  assert.equal(keys(socket).length, BURST);
  pass(1_000);
  assert.equal(keys(socket).length, BURST + 1);
});

test("a stop is sent again until the answer has ended", (context) => {
  const { delivery, socket } = opened(context);
  delivery.stop("g1");
  delivery.stop("g2");
  delivery.ended("g1");
  socket.ready = true;
  delivery.resume();
  assert.deepEqual(
    socket.of("stop").map(({ generation }) => generation),
    ["g2"],
  );
});

test("a refused prompt is returned with the reason, and waits for the portal when that is busy", (context) => {
  const { delivery, heard, socket, pass } = opened(context);
  socket.ready = true;
  delivery.send(prompt("k1"));
  delivery.refuse("k1", { code: "busy_try_again", message: "Busy.", retry_after_ms: 50 });
  pass(50);
  assert.deepEqual([heard, keys(socket)], [[["late", "k1"]], ["k1", "k1"]]);
  delivery.refuse("k1", { code: "budget", message: "No." });
  assert.deepEqual([heard.at(-1), delivery.commands], [["returned", "No."], []]);
});

test("an error is the page's to say unless it is about a prompt or a stop", (context) => {
  const { delivery, heard } = opened(context);
  delivery.send(prompt("k1"));
  delivery.stop("g1");
  const error = (ref) => ({ type: "error", code: "internal", message: "Broken.", ref });
  assert.deepEqual(
    ["k1", "g1", "g1", null].map((ref) => delivery.fail(error(ref))),
    [true, true, false, false],
  );
  assert.deepEqual(heard, [["returned", "Broken."]]);
});
