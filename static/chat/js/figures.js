// @ts-check
// Numbers and moments as a person reads them. Numbers exactly as chat/views/receipt.py writes them
// (tests/js/receipt_cases.json); moments in the viewer's own time zone, while the server writes them in UTC.

import { group, text } from "chat/strings";

/**
 * 442 → "0.442 s": whole milliseconds keep all their digits.
 * @param {number | null} milliseconds
 */
export function seconds(milliseconds) {
  return milliseconds === null ? "" : text("seconds", { number: grouped(milliseconds / 1000, 3) });
}

/**
 * 5912 → "5.9 s", while it runs.
 * @param {number} milliseconds
 */
export function roughly(milliseconds) {
  return text("seconds", { number: grouped(Math.floor(milliseconds / 100) / 10, 1) });
}

/**
 * 20.9 → "20.90 ms".
 * @param {number | null} value
 */
export function milliseconds(value) {
  return value === null ? "" : text("milliseconds", { number: grouped(Number(value), 2) });
}

/**
 * 52.4 → "≈ 52", while it runs; a slow one keeps a decimal.
 * @param {number} perSecond
 */
export function estimate(perSecond) {
  return text("estimate", { number: perSecond < 10 ? grouped(perSecond, 1) : grouped(Math.round(perSecond)) });
}

/**
 * 611 → "611"; a count of nothing isn't said.
 * @param {number | null | undefined} number
 */
export function count(number) {
  return number ? grouped(number) : "";
}

/**
 * 55.1 → "55.10", as many decimals as are stored.
 * @param {number | null} perSecond
 */
export function rate(perSecond) {
  return perSecond === null ? "" : grouped(Number(perSecond), 2);
}

/**
 * 18, 2 → "18 in, 2 out".
 * @param {number | null} prompt
 * @param {number | null} completion
 */
export function tokens(prompt, completion) {
  if (prompt === null || completion === null) return "";
  return text("tokens", { prompt: grouped(prompt), completion: grouped(completion) });
}

/**
 * "0.0073", "USD" → "$0.0073".
 * @param {string} cost
 * @param {string | undefined} currency
 */
export function money(cost, currency) {
  const amount = Number(cost);
  const number = grouped(amount, amount > 0 ? Math.max(2, 1 - Math.floor(Math.log10(amount))) : 0);
  return currency === "USD" ? `$${number}` : `${number} ${currency}`;
}

/** @param {string} source */
export function sourceWord(source) {
  return group("sources")[source] ?? source;
}

/**
 * How an answer ended; "" while it runs.
 * @param {string | null} reason
 * @param {string} state
 */
export function finishInWords(reason, state) {
  if (!reason) return group("finish_without_reason")[state] ?? "";
  return group("finish")[reason.toLowerCase()] ?? text("finish_other", { reason });
}

/**
 * @param {number} number
 * @param {number} [decimals]
 */
export function grouped(number, decimals = 0) {
  const marks = group("numbers");
  const [whole, broken] = number.toFixed(decimals).split(".");
  const grouping = whole.replace(/\B(?=(\d{3})+$)/g, marks.group);
  return broken === undefined ? grouping : grouping + marks.decimal + broken;
}

// The viewer's own variety of the page's language: en-GB writes the hour in another way than en-US.
export function language() {
  const { lang } = document.documentElement;
  return navigator.languages.find((one) => one === lang || one.startsWith(`${lang}-`)) ?? lang;
}

/** @param {ParentNode} root */
export function showTimes(root) {
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[datetime]")))
    showTime(time);
}

/**
 * Today: the hour; else the date, with the hour where there is room for it (`data-part=time` of a message).
 * @param {HTMLTimeElement} time
 */
export function showTime(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  const isToday = moment.toDateString() === new Date().toDateString();
  time.textContent = new Intl.DateTimeFormat(language(), isToday ? { timeStyle: "short" } : older(moment)).format(
    moment,
  );
  time.title = new Intl.DateTimeFormat(language(), { dateStyle: "full", timeStyle: "long" }).format(moment);
}

/**
 * @param {Date} moment
 * @returns {Intl.DateTimeFormatOptions}
 */
function older(moment) {
  const isThisYear = moment.getFullYear() === new Date().getFullYear();
  return { month: "short", day: "numeric", ...(isThisYear ? {} : { year: "numeric" }) };
}
