// Moments in the viewer's own time zone; the server writes them in UTC.

// The viewer's own variety of the page's language: en-GB writes the hour in another way than en-US.
export function language() {
  const { lang } = document.documentElement;
  return navigator.languages.find((one) => one === lang || one.startsWith(`${lang}-`)) ?? lang;
}

export function showTimes(root) {
  root.querySelectorAll("time[datetime]").forEach(showTime);
}

// Today: the hour; else the date, with the hour where there is room for it (`data-part=time` of a message).
export function showTime(time) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.getTime())) return;
  const isToday = moment.toDateString() === new Date().toDateString();
  time.textContent = new Intl.DateTimeFormat(language(), isToday ? { timeStyle: "short" } : older(moment)).format(moment);
  time.title = new Intl.DateTimeFormat(language(), { dateStyle: "full", timeStyle: "long" }).format(moment);
}

function older(moment) {
  const isThisYear = moment.getFullYear() === new Date().getFullYear();
  return { month: "short", day: "numeric", ...(isThisYear ? {} : { year: "numeric" }) };
}
