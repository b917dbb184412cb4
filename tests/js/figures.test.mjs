import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import "./resolve.mjs";

const figures = await import("chat/figures");
const strings = await import("chat/strings");

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url)));
const cases = read("receipt_cases.json");

// What chat/texts/page.py gives in English; tests/views/test_receipt.py compares it with the server's.
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

test("short times are shown in milliseconds", () => {
  for (const [value, shown] of cases.milliseconds) {
    assert.equal(figures.milliseconds(value), shown);
    assert.equal(figures.milliseconds(value === null ? null : Number(value)), shown);
  }
});

test("counts are grouped, and nothing isn't counted", () => {
  for (const [value, shown] of cases.count) assert.equal(figures.count(value), shown);
  assert.equal(figures.count(undefined), "");
});

test("an estimate says that it is one, and no more digits than it knows", () => {
  assert.equal(figures.estimate(3.14), "≈ 3.1");
  assert.equal(figures.estimate(52.4), "≈ 52");
  assert.equal(figures.estimate(1234.5), "≈ 1,235");
});

test("tokens are said in words, and unknown ones not at all", () => {
  for (const [prompt, completion, shown] of cases.tokens) assert.equal(figures.tokens(prompt, completion), shown);
});

test("money has two decimals, or two digits that say something", () => {
  for (const [amount, currency, shown] of cases.money) assert.equal(figures.money(amount, currency), shown);
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
