import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { CLOSE_CODES } = await import("chat/protocol");
const { afterClose, Socket } = await import("chat/socket");

test("what follows a close", () => {
  const half = () => 0.5;
  const table = [
    [CLOSE_CODES.log_in, 0, "login", 0],
    [CLOSE_CODES.forbidden, 0, "stop", 0],
    [CLOSE_CODES.too_fast, 0, "retry", 30_000],
    [CLOSE_CODES.too_many_sockets, 3, "retry", 30_000],
    [CLOSE_CODES.restarting, 0, "retry", 0],
    [CLOSE_CODES.restarting, 1, "retry", 375],
    [CLOSE_CODES.too_slow, 0, "retry", 250],
    [1006, 0, "retry", 250],
    [1006, 3, "retry", 844],
    [1006, 50, "retry", 7_500],
  ];
  for (const [code, attempt, action, wait] of table) {
    const next = afterClose(code, attempt, half);
    assert.deepEqual([next.action, next.wait_ms], [action, wait], `${code} ${attempt}`);
  }
});

test("the jitter is full: from at once to 15 s", () => {
  assert.equal(afterClose(1006, 20, () => 0).wait_ms, 0);
  assert.equal(afterClose(1006, 20, () => 0.9999999).wait_ms, 15_000);
});

class FakeWebSocket {
  sent = [];
  isClosed = false;

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  hear(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
}

function connected(context) {
  context.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const opened = [];
  const waker = new EventTarget();
  const socket = new Socket("ws://test/", {
    open: () => {
      opened.push(new FakeWebSocket());
      return opened.at(-1);
    },
    wakers: [[waker, "online"]],
    random: () => 0.5,
  });
  const events = [];
  for (const name of ["hello", "frame", "away", "login"]) {
    socket.addEventListener(name, () => events.push(name));
  }
  socket.start();
  return { context, events, opened, socket, waker };
}

test("commands are taken from hello on, not before", (context) => {
  const { opened, socket } = connected(context);
  assert.equal(socket.send({ type: "hb" }), false);
  opened[0].hear({ type: "hello" });
  assert.equal(socket.send({ type: "hb" }), true);
  assert.deepEqual(opened[0].sent, [{ type: "hb" }]);
});

test("a closed socket is opened again, and a hello makes the waits short again", (context) => {
  const { opened, events } = connected(context);
  opened[0].onclose({ code: 1006 });
  context.mock.timers.tick(249);
  assert.equal(opened.length, 1);
  context.mock.timers.tick(1);
  assert.equal(opened.length, 2);
  opened[1].onclose({ code: 1006 });
  context.mock.timers.tick(500);
  assert.equal(opened.length, 3);
  opened[2].hear({ type: "hello" });
  opened[2].onclose({ code: 1006 });
  context.mock.timers.tick(250);
  assert.equal(opened.length, 4);
  assert.deepEqual(events, ["away", "away", "hello", "away"]);
});

test("coming online is a reason to try at once, but not after too many commands", (context) => {
  const { opened, waker } = connected(context);
  opened[0].onclose({ code: 1006 });
  waker.dispatchEvent(new Event("online"));
  assert.equal(opened.length, 2);
  opened[1].onclose({ code: 4008 });
  waker.dispatchEvent(new Event("online"));
  assert.equal(opened.length, 2);
  context.mock.timers.tick(30_000);
  assert.equal(opened.length, 3);
});

test("logging in and being refused end the trying", (context) => {
  const { opened, events } = connected(context);
  opened[0].onclose({ code: 4001 });
  context.mock.timers.tick(60_000);
  assert.equal(opened.length, 1);
  assert.deepEqual(events, ["away", "login"]);
});

test("a heartbeat goes out every 15 s, and silence for 35 s means dead", (context) => {
  const { opened } = connected(context);
  opened[0].hear({ type: "hello" });
  context.mock.timers.tick(15_000);
  assert.deepEqual(opened[0].sent, [{ type: "hb" }]);
  opened[0].hear({ type: "hb", heads: {} });
  context.mock.timers.tick(30_000);
  assert.equal(opened[0].isClosed, false);
  context.mock.timers.tick(5_000);
  assert.equal(opened[0].isClosed, true);
  context.mock.timers.tick(250);
  assert.equal(opened.length, 2);
});

test("a frame of the old connection is not heard any more", (context) => {
  const { opened } = connected(context);
  opened[0].hear({ type: "hello" });
  context.mock.timers.tick(35_000);
  assert.equal(opened[0].onmessage, null);
});
