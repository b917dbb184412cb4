import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { Place } = await import("chat/place");

const SIGHT = 800;

// A page of 2000 px of which 800 are in sight. Scrolling tells nobody before `told`, as in a browser.
function opened(context) {
  const page = new EventTarget();
  const names = [
    ...["addEventListener", "scrollTo", "getSelection", "getComputedStyle", "document"],
    ...["innerHeight", "scrollY"],
  ];
  const before = names.map((name) => [name, globalThis[name]]);
  const element = { closest: () => null, scrollHeight: 10, clientHeight: 10, parentElement: null };
  const text = { contains: (one) => one === text };
  const pill = Object.assign(new EventTarget(), { hidden: true });
  Object.assign(globalThis, {
    addEventListener: page.addEventListener.bind(page),
    scrollTo: ({ top }) => move(top),
    getSelection: () => ({ isCollapsed: true }),
    getComputedStyle: () => ({ overflowY: "visible" }),
    document: { documentElement: { scrollHeight: 2000 }, body: {}, activeElement: {} },
    innerHeight: SIGHT,
    scrollY: 0,
  });
  const root = document.documentElement;
  const move = (top) => {
    globalThis.scrollY = Math.max(0, Math.min(top, root.scrollHeight - SIGHT));
  };
  const place = new Place(text, pill);
  place.start();
  context.after(() => Object.assign(globalThis, Object.fromEntries(before)));
  const tell = (type, fields = {}) => {
    const event = Object.assign(new Event(type), fields);
    Object.defineProperty(event, "target", { value: element });
    page.dispatchEvent(event);
  };
  return {
    place,
    pill,
    tell,
    move,
    text,
    told: () => tell("scroll"),
    grow(pixels) {
      root.scrollHeight += pixels;
      place.keep();
    },
    shrink(pixels) {
      root.scrollHeight -= pixels;
      move(globalThis.scrollY);
    },
    left: () => root.scrollHeight - SIGHT - globalThis.scrollY,
  };
}

function atTheEnd(context) {
  const one = opened(context);
  one.place.toEnd();
  one.told();
  return one;
}

test("at the end the page goes along", (context) => {
  const { grow, left, pill } = atTheEnd(context);
  grow(100);
  assert.deepEqual([left(), pill.hidden], [0, true]);
});

for (const [name, type, fields] of [
  ["wheel", "wheel", { deltaY: -1 }],
  ["key", "keydown", { key: "ArrowUp" }],
  ["key with a shift", "keydown", { key: " ", shiftKey: true }],
  ["touch", "touchmove", { touches: [{ clientY: 301 }] }],
]) {
  test(`one ${name} upwards lets go before the page has moved`, (context) => {
    const { grow, left, pill, tell } = atTheEnd(context);
    tell("touchstart", { touches: [{ clientY: 300 }] });
    tell(type, fields);
    grow(100);
    assert.deepEqual([left(), pill.hidden], [100, false]);
  });
}

test("a jump is respected before its event comes, and after", (context) => {
  const { grow, left, move, told } = atTheEnd(context);
  move(300);
  grow(100);
  assert.equal(left(), 1000);
  told();
  grow(100);
  assert.equal(left(), 1100);
});

test("going down to the end follows again, a little of the way doesn't", (context) => {
  const { grow, left, move, pill, told } = atTheEnd(context);
  move(1100);
  told();
  grow(100);
  assert.equal(pill.hidden, false);
  move(1150);
  told();
  assert.equal(pill.hidden, false);
  move(1290);
  told();
  assert.equal(pill.hidden, true);
  grow(100);
  assert.equal(left(), 0);
});

test("a few pixels up are enough, although the end is near", (context) => {
  const { grow, left, move, told } = atTheEnd(context);
  move(1190);
  told();
  grow(5);
  assert.equal(left(), 15);
});

test("a page that gets shorter goes on following", (context) => {
  const { grow, left, shrink, told } = atTheEnd(context);
  shrink(500);
  told();
  grow(700);
  assert.equal(left(), 0);
});

test("a page opened in its middle stays there", (context) => {
  const { grow, left, move, pill, told } = opened(context);
  move(600);
  told();
  grow(100);
  assert.deepEqual([left(), pill.hidden], [700, false]);
});

test("who is kept at a message isn't taken to the end of it", (context) => {
  const { grow, left, move, place } = atTheEnd(context);
  globalThis.scrollBy = ({ top }) => move(globalThis.scrollY + top);
  place.keepAt({ getBoundingClientRect: () => ({ top: -300 }) }, 100);
  grow(100);
  assert.equal(left(), 500);
});

test("the focus in the text holds the page, the button lets it go on", (context) => {
  const { grow, left, pill, text } = atTheEnd(context);
  document.activeElement = text;
  grow(100);
  assert.deepEqual([left(), pill.hidden], [100, false]);
  document.activeElement = {};
  pill.dispatchEvent(new Event("click"));
  grow(100);
  assert.deepEqual([left(), pill.hidden], [0, true]);
});
