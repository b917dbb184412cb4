import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import "./resolve.mjs";

const figures = await import("chat/figures");
const strings = await import("chat/strings");

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url)));
const cases = read("receipt_cases.json");

// What chat/views/strings.py gives in English; tests/views/test_receipt.py compares it with the server's.
strings.use(read("strings_en.json"), "en");

test("milliseconds are shown as seconds with all their digits", () => {
  for (const [value, shown] of cases.seconds) assert.equal(figures.seconds(value), shown);
});

test("a rate keeps its two decimals", () => {
  for (const [value, shown] of cases.rate) assert.equal(figures.rate(value), shown);
});

test("a rate that came as a JSON number reads the same", () => {
  for (const [value, shown] of cases.rate) assert.equal(figures.rate(value === null ? null : Number(value)), shown);
});

test("tokens are said in words, and unknown ones not at all", () => {
  for (const [prompt, completion, shown] of cases.tokens) assert.equal(figures.tokens(prompt, completion), shown);
});

test("who counted is said in a word", () => {
  for (const [source, shown] of cases.source) assert.equal(figures.sourceWord(source), shown);
});

test("the end is said in words", () => {
  for (const [reason, state, shown] of cases.finish) assert.equal(figures.finishInWords(reason, state), shown);
});

test("a running time is cut, not rounded, to tenths", () => {
  assert.equal(figures.roughly(0), "0.0 s");
  assert.equal(figures.roughly(5999), "5.9 s");
  assert.equal(figures.roughly(61_000), "61.0 s");
});

test("texts with plural forms follow the number", () => {
  assert.match(strings.text("left_out", { turns: 1 }, 1), /^1 earlier turn was/);
  assert.match(strings.text("left_out", { turns: 3 }, 3), /^3 earlier turns were/);
});

test("an unknown text shows its name instead of breaking the page", () => {
  assert.equal(strings.text("no_such_text"), "no_such_text");
});
