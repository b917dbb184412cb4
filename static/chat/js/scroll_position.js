// @ts-check
// Where the reader is: at the end the page goes along with the text; anywhere else it stays where the reader is, and a
// button says that there is more below.

import { targetOf, writesIn } from "chat/elements";

const NEAR_PX = 48;
const UPWARD_KEYS = ["ArrowUp", "PageUp", "Home"];

export class ScrollPosition {
  #text;
  #pill;
  #follows = true;
  #lastY = 0;
  #touchedAt = 0;

  /**
   * `text`: the element whose text grows; `pill`: the button, null on a page where nothing grows.
   * @param {HTMLElement} text
   * @param {HTMLElement | null} pill
   */
  constructor(text, pill) {
    this.#text = text;
    this.#pill = pill;
  }

  start() {
    this.#lastY = scrollY;
    this.#follows = this.#left <= NEAR_PX;
    addEventListener("scroll", this.#scrolled);
    addEventListener("resize", this.resized);
    addEventListener("wheel", this.#wheeled, { passive: true });
    addEventListener("touchstart", this.#touched, { passive: true });
    addEventListener("touchmove", this.#dragged, { passive: true });
    addEventListener("keydown", this.#pressed);
    this.#pill?.addEventListener("click", () => this.toEnd());
  }

  // Text has grown: goes along, if that is what the reader wants.
  keep = () => {
    this.#scrolled(); // a jump whose event is still on its way
    if (this.#follows && this.#left > 1 && this.#isHeld) this.#follows = false;
    if (this.#follows) this.toEnd();
    else if (this.#left > NEAR_PX) this.#showPill(true);
  };

  /**
   * The reader looks at `element`, which stood at `top`, in px from the upper edge of the window.
   * @param {Element} element
   * @param {number} top
   */
  keepAt(element, top) {
    scrollBy({ top: element.getBoundingClientRect().top - top, behavior: "instant" });
    this.#lastY = scrollY;
    if (this.#left > NEAR_PX) this.#follows = false;
  }

  toEnd() {
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    this.#lastY = scrollY;
    this.#follow();
  }

  get #left() {
    return document.documentElement.scrollHeight - innerHeight - scrollY;
  }

  // Whoever selects text, or stands in it with the keyboard, has a hand on it.
  get #isHeld() {
    const selection = getSelection();
    if (selection !== null && !selection.isCollapsed && this.#text.contains(selection.anchorNode)) return true;
    return this.#text.contains(document.activeElement);
  }

  #follow() {
    this.#follows = true;
    this.#showPill(false);
  }

  // Before the page has moved, so that no text pulls it back meanwhile.
  #letGo() {
    if (scrollY > 0) this.#follows = false;
  }

  /** @param {boolean} isShown */
  #showPill(isShown) {
    if (this.#pill !== null) this.#pill.hidden = !isShown;
  }

  // Upwards lets go, however little. A page that gets shorter moves up as well, but there the end is in sight.
  #scrolled = () => {
    const moved = scrollY - this.#lastY;
    this.#lastY = scrollY;
    if (moved < 0 && this.#left > 1) this.#follows = false;
    else if (moved !== 0 && this.#left <= NEAR_PX) this.#follow();
  };

  // The keyboard of a phone has come or gone, or what stands below the text has grown.
  resized = () => {
    if (this.#follows) this.toEnd();
  };

  /** @type {(event: WheelEvent) => void} */
  #wheeled = (event) => {
    if (event.ctrlKey || scrollsItself(targetOf(event))) return;
    if (event.deltaY < 0) this.#letGo();
    else if (event.deltaY > 0 && this.#left <= NEAR_PX) this.#follow();
  };

  /** @type {(event: TouchEvent) => void} */
  #touched = (event) => {
    this.#touchedAt = event.touches[0].clientY;
  };

  /** @type {(event: TouchEvent) => void} */
  #dragged = (event) => {
    if (event.touches[0].clientY > this.#touchedAt && !scrollsItself(targetOf(event))) this.#letGo();
  };

  /** @type {(event: KeyboardEvent) => void} */
  #pressed = (event) => {
    const isUpward = UPWARD_KEYS.includes(event.key) || (event.key === " " && event.shiftKey);
    if (isUpward && !writesIn(targetOf(event)) && !scrollsItself(targetOf(event))) this.#letGo();
  };
}

/**
 * Whether a list or a box of its own moves there.
 * @param {Element} element
 */
function scrollsItself(element) {
  for (
    let one = /** @type {Element | null} */ (element);
    one !== null && one !== document.body;
    one = one.parentElement
  ) {
    if (one.scrollHeight > one.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(one).overflowY)) return true;
  }
  return false;
}
