import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { compareEntries, compareGroups, groupOf, monthOf } = await import("chat/entries");

function at(moment, pinned = false) {
  return { id: "a", pinned, updatedAt: Date.parse(moment) };
}

function inZone(zone, context) {
  const before = process.env.TZ;
  process.env.TZ = zone;
  context.after(() => {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  });
}

test("the groups follow the days of the zone, not of UTC", (context) => {
  inZone("Asia/Tokyo", context);
  const now = new Date("2026-03-10T16:30:00Z"); // 01:30 on the 11th
  assert.equal(groupOf(at("2026-03-10T15:00:00Z"), now), "today");
  assert.equal(groupOf(at("2026-03-10T14:59:59Z"), now), "yesterday");
  assert.equal(groupOf(at("2026-03-09T14:59:59Z"), now), "week");
  assert.equal(groupOf(at("2026-03-03T15:00:00Z"), now), "week");
  assert.equal(groupOf(at("2026-03-03T14:59:59Z"), now), "2026-03");
  assert.equal(groupOf(at("2025-12-31T15:00:00Z"), now), "2026-01");
  assert.equal(groupOf(at("2025-12-31T15:00:00Z", true), now), "pinned");
});

test("a day of 23 or of 25 hours is one day", (context) => {
  inZone("Europe/Berlin", context);
  assert.equal(groupOf(at("2026-03-28T22:30:00Z"), new Date("2026-03-29T21:30:00Z")), "yesterday"); // 23 hours
  assert.equal(groupOf(at("2026-03-29T22:30:00Z"), new Date("2026-03-30T21:30:00Z")), "today");
  assert.equal(groupOf(at("2026-10-24T22:30:00Z"), new Date("2026-10-25T22:30:00Z")), "today"); // 25 hours
  assert.equal(groupOf(at("2026-10-24T21:30:00Z"), new Date("2026-10-25T22:30:00Z")), "yesterday");
});

test("a clock that is behind the server's puts nothing into the future", () => {
  assert.equal(groupOf(at("2026-03-12T10:00:00Z"), new Date("2026-03-11T10:00:00Z")), "today");
});

test("groups go from what is pinned back in time", () => {
  const names = ["2025-12", "week", "2026-02", "pinned", "2026-01", "yesterday", "today"];
  const sorted = ["pinned", "today", "yesterday", "week", "2026-02", "2026-01", "2025-12"];
  assert.deepEqual(names.sort(compareGroups), sorted);
});

test("entries are in the server's order: pinned, then the latest, then the higher id", () => {
  const entry = (id, pinned, updatedAt) => ({ id, pinned, updatedAt });
  const all = [entry("a", false, 5), entry("b", false, 5), entry("c", true, 1), entry("d", false, 9)];
  assert.deepEqual(
    all.sort(compareEntries).map(({ id }) => id),
    ["c", "d", "b", "a"],
  );
});

test("a month has its year when that is another one", () => {
  const now = new Date(2026, 5, 1);
  assert.equal(monthOf("2026-02", "en", now), "February");
  assert.equal(monthOf("2025-11", "en", now), "November 2025");
  assert.equal(monthOf("yesterday", "en", now), null);
});
