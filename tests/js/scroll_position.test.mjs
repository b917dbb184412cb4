import assert from "node:assert/strict";
import test from "node:test";

import "./resolve.mjs";

const { ScrollPosition } = await import("chat/scroll_position");

const SIGHT = 800;

// A page of 2000 px of which 800 are in sight. Scrolling sends no event before `scrolled`, as in a browser.
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
  const scrollPosition = new ScrollPosition(text, pill);
  scrollPosition.start();
  context.after(() => Object.assign(globalThis, Object.fromEntries(before)));
  const emit = (type, fields = {}) => {
    const event = Object.assign(new Event(type), fields);
    Object.defineProperty(event, "target", { value: element });
    page.dispatchEvent(event);
  };
  return {
    scrollPosition,
    pill,
    emit,
    move,
    text,
    scrolled: () => emit("scroll"),
    grow(pixels) {
      root.scrollHeight += pixels;
      scrollPosition.keep();
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
  one.scrollPosition.toEnd();
  one.scrolled();
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
    const { grow, left, pill, emit } = atTheEnd(context);
    emit("touchstart", { touches: [{ clientY: 300 }] });
    emit(type, fields);
    grow(100);
    assert.deepEqual([left(), pill.hidden], [100, false]);
  });
}

test("a jump is respected before its event comes, and after", (context) => {
  const { grow, left, move, scrolled } = atTheEnd(context);
  move(300);
  grow(100);
  assert.equal(left(), 1000);
  scrolled();
  grow(100);
  assert.equal(left(), 1100);
});

test("going down to the end follows again, a little of the way doesn't", (context) => {
  const { grow, left, move, pill, scrolled } = atTheEnd(context);
  move(1100);
  scrolled();
  grow(100);
  assert.equal(pill.hidden, false);
  move(1150);
  scrolled();
  assert.equal(pill.hidden, false);
  move(1290);
  scrolled();
  assert.equal(pill.hidden, true);
  grow(100);
  assert.equal(left(), 0);
});

test("a few pixels up are enough, although the end is near", (context) => {
  const { grow, left, move, scrolled } = atTheEnd(context);
  move(1190);
  scrolled();
  grow(5);
  assert.equal(left(), 15);
});

test("a page that gets shorter goes on following", (context) => {
  const { grow, left, shrink, scrolled } = atTheEnd(context);
  shrink(500);
  scrolled();
  grow(700);
  assert.equal(left(), 0);
});

test("a page opened in its middle stays there", (context) => {
  const { grow, left, move, pill, scrolled } = opened(context);
  move(600);
  scrolled();
  grow(100);
  assert.deepEqual([left(), pill.hidden], [700, false]);
});

test("who is kept at a message isn't taken to the end of it", (context) => {
  const { grow, left, move, scrollPosition } = atTheEnd(context);
  globalThis.scrollBy = ({ top }) => move(globalThis.scrollY + top);
  scrollPosition.keepAt({ getBoundingClientRect: () => ({ top: -300 }) }, 100);
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
