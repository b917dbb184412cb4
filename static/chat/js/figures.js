// Numbers as a person reads them, exactly as chat/views/receipt.py writes them (tests/js/receipt_cases.json).

import { group, text } from "chat/strings";

// 442 → "0.442 s": whole milliseconds keep all their digits.
export function seconds(milliseconds) {
  return milliseconds === null ? "" : text("seconds", { number: grouped(milliseconds / 1000, 3) });
}

// 5912 → "5.9 s", while it runs.
export function roughly(milliseconds) {
  return text("seconds", { number: grouped(Math.floor(milliseconds / 100) / 10, 1) });
}

// 20.9 → "20.90 ms".
export function milliseconds(value) {
  return value === null ? "" : text("milliseconds", { number: grouped(Number(value), 2) });
}

// 52.4 → "≈ 52", while it runs; a slow one keeps a decimal.
export function estimate(perSecond) {
  return text("estimate", { number: perSecond < 10 ? grouped(perSecond, 1) : grouped(Math.round(perSecond)) });
}

// 611 → "611"; a count of nothing isn't said.
export function count(number) {
  return number ? grouped(number) : "";
}

// 55.1 → "55.10", as many decimals as are stored.
export function rate(perSecond) {
  return perSecond === null ? "" : grouped(Number(perSecond), 2);
}

// 18, 2 → "18 in, 2 out".
export function tokens(prompt, completion) {
  if (prompt === null || completion === null) return "";
  return text("tokens", { prompt: grouped(prompt), completion: grouped(completion) });
}

export function sourceWord(source) {
  return group("sources")[source] ?? source;
}

// How an answer ended; "" while it runs.
export function finishInWords(reason, state) {
  if (!reason) return group("finish_without_reason")[state] ?? "";
  return group("finish")[reason] ?? text("finish_other", { reason });
}

export function grouped(number, decimals = 0) {
  const marks = group("numbers");
  const [whole, broken] = number.toFixed(decimals).split(".");
  const grouping = whole.replace(/\B(?=(\d{3})+$)/g, marks.group);
  return broken === undefined ? grouping : grouping + marks.decimal + broken;
}
