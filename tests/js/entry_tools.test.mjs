import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Countdown } = await import("chat/entry_tools");

function begun(context) {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const calls = [];
  const countdown = new Countdown(() => calls.push(Date.now()));
  return { calls, countdown, pass: (seconds) => context.mock.timers.tick(seconds * 1000) };
}

test("it ends after ten seconds, once", (context) => {
  const { calls, pass } = begun(context);
  pass(9.9);
  assert.equal(calls.length, 0);
  pass(60);
  assert.equal(calls.length, 1);
});

test("pauses don't count, and a second one changes nothing", (context) => {
  const { calls, countdown, pass } = begun(context);
  pass(6);
  countdown.pause();
  countdown.pause();
  pass(8);
  countdown.goOn();
  countdown.goOn();
  pass(3.9);
  assert.equal(calls.length, 0);
  pass(0.1);
  assert.equal(calls.length, 1);
});

test("no pause is longer than the portal keeps what was deleted", (context) => {
  const { calls, countdown, pass } = begun(context);
  countdown.pause();
  pass(27.9);
  assert.equal(calls.length, 0);
  pass(0.1);
  assert.equal(calls.length, 1);
  countdown.goOn();
  pass(60);
  assert.equal(calls.length, 1);
});

test("one that was stopped never ends", (context) => {
  const { calls, countdown, pass } = begun(context);
  countdown.stop();
  pass(60);
  assert.equal(calls.length, 0);
});
