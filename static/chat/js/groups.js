// Where an entry of the sidebar belongs: the pinned ones, then by day in the viewer's own time zone, then by month.

const FIRST = ["pinned", "today", "yesterday", "week"];
const DAY_MS = 86_400_000;
const WEEK_DAYS = 7;

// The name of the group: one of FIRST, or a month such as 2026-10. `updatedAt` is in milliseconds.
export function groupOf({ pinned, updatedAt }, now = new Date()) {
  if (pinned) return "pinned";
  const moment = new Date(updatedAt);
  const days = Math.round((midnight(now) - midnight(moment)) / DAY_MS); // rounded: not all days have 24 hours
  if (days < 1) return "today";
  if (days === 1) return "yesterday";
  if (days <= WEEK_DAYS) return "week";
  return `${String(moment.getFullYear()).padStart(4, "0")}-${String(moment.getMonth() + 1).padStart(2, "0")}`;
}

function midnight(moment) {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}

// For sorting names of groups.
export function compareGroups(a, b) {
  return rank(a) - rank(b) || (a < b ? 1 : -1);
}

function rank(name) {
  return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
}

// For sorting entries, in the order that the portal lists them in.
export function compareEntries(a, b) {
  return Number(b.pinned) - Number(a.pinned) || b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1);
}

// A month in words, with the year when it is not this one; null for the other groups.
export function monthOf(name, language, now = new Date()) {
  if (FIRST.includes(name)) return null;
  const [year, month] = name.split("-").map(Number);
  const style = year === now.getFullYear() ? { month: "long" } : { month: "long", year: "numeric" };
  return new Intl.DateTimeFormat(language, style).format(new Date(year, month - 1));
}
