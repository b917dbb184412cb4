import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Curve } = await import("chat/receipt");

const points = (curve) =>
  String(curve)
    .split(" ")
    .map((pair) => pair.split(",").map(Number));

test("a curve runs from the lower left to the upper right corner", () => {
  const curve = Curve.from("0,0 500,0 1000,50 2000,100");
  assert.equal(String(curve), "0.0,15.0 14.0,15.0 28.0,8.0 56.0,1.0");
});

test("however long it goes on, it keeps 24 points, the first and the last among them, over all the time", () => {
  const curve = new Curve();
  for (let tick = 0; tick <= 5_000; tick += 1) curve.add(tick * 250, tick * 10);
  const kept = points(curve);
  assert.equal(kept.length, 24);
  assert.deepEqual(
    [kept[0], kept.at(-1)],
    [
      [0, 15],
      [56, 1],
    ],
  );
  const widest = Math.max(...kept.slice(1).map(([x], index) => x - kept[index][0]));
  assert.ok(widest < 56 / 6, `a hole of ${widest}`);
});

test("neither the time nor the text goes back", () => {
  const curve = new Curve();
  curve.add(0, 0);
  curve.add(900, 10);
  curve.add(850, 12);
  assert.equal(String(curve), "0.0,15.0 56.0,1.0");
});

test("nothing is drawn of nothing", () => {
  for (const written of ["0,0", "0,0 500,0"]) assert.equal(Curve.from(written).isEmpty, true, written);
});

test("a stored curve begins with the waiting and goes on to the end", () => {
  assert.equal(String(Curve.from("500,50 1000,100", 2000)), "0.0,15.0 14.0,8.0 28.0,1.0 56.0,1.0");
});
