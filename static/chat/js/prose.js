// @ts-check
// An answer's text as Markdown, while it grows: finished blocks are rendered once, the open part once per animation
// frame and less often when that is slow.

/**
 * @import { Env, Token } from "chat/markdown"
 */

import { make } from "chat/elements";
import { highlight } from "chat/highlight";
import { addCopyButtons, finishedPart, parse, render } from "chat/markdown";

const LONGEST = 200_000;
const EASY_MS = 3;

const HOLDS_CARET =
  "p, ul, ol, li, blockquote, h3, h4, h5, h6, figure, pre, code, div, table, tbody, thead, tr, td, th";

export class Prose {
  #element;
  #grown;
  #source = "";
  #rendered = 0;
  /** @type {NonNullable<Env["references"]>} */
  #references = {};
  /** @type {ChildNode[]} */
  #openNodes = [];
  #caret = make("span", "caret");
  /** @type {number | null} */
  #frame = null;
  #notBefore = 0;
  #isPlain = false;
  #isStale = false;

  /**
   * `grown` is called after the element has become longer.
   * @param {HTMLElement} element
   * @param {() => void} grown
   */
  constructor(element, grown) {
    this.#element = element;
    this.#grown = grown;
    this.#caret.ariaHidden = "true";
  }

  get source() {
    return this.#source;
  }

  /**
   * The whole text anew. What is shown stays until there is something in its place: a page that gets short for a moment
   * loses the reader's place.
   * @param {string} source
   */
  replace(source) {
    if (source === this.#source && this.#isRendered) return;
    this.#isStale ||= !source.startsWith(this.#source);
    this.#source = source;
    this.#schedule();
  }

  /** @param {string} text */
  append(text) {
    this.#source += text;
    this.#schedule();
  }

  close() {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#frame = null;
    // A definition may stand behind the link that names it: such a text is rendered once more as a whole.
    this.#isStale ||= Object.keys(this.#references).length > 0;
    this.#render();
    this.#caret.remove();
    addCopyButtons(this.#element);
    highlight(this.#element);
    this.#grown();
  }

  #clear() {
    this.#rendered = 0;
    this.#references = {};
    this.#openNodes = [];
    this.#isPlain = false;
    this.#isStale = false;
    this.#element.classList.remove("message__content--plain");
    this.#element.replaceChildren();
  }

  // Until then the element holds what came with the page.
  get #isRendered() {
    return "rendered" in this.#element.dataset;
  }

  #schedule() {
    // After the frame: laying out and painting are two tasks, and a key finds its way between.
    this.#frame ??= requestAnimationFrame((now) => setTimeout(this.#draw, 0, now));
  }

  /** @type {(now: number) => void} */
  #draw = (now) => {
    if (this.#frame === null) return; // closed meanwhile
    this.#frame = null;
    if (now < this.#notBefore) {
      this.#schedule();
      return;
    }
    const started = performance.now();
    this.#render();
    this.#placeCaret();
    this.#grown(); // the page goes along, and for that the text is laid out
    // At most a tenth of the time goes into a text that is hard to render: a hand on the page is felt at once.
    const took = performance.now() - started;
    if (took > EASY_MS) this.#notBefore = now + 9 * took;
  };

  #render() {
    if (!this.#isRendered || this.#isStale) this.#clear();
    if (!this.#isRendered) this.#element.dataset.rendered = "";
    if (this.#source.length > LONGEST) {
      this.#renderPlain();
      return;
    }
    const open = this.#source.slice(this.#rendered);
    const env = { references: { ...this.#references } };
    const tokens = parse(open, env);
    const finished = finishedPart(tokens, open);
    this.#openNodes.forEach((node) => node.remove());
    if (finished.offset > 0) {
      this.#finish(tokens.slice(0, finished.token), open.slice(0, finished.offset), env);
    }
    const fragment = render(tokens.slice(finished.token), env);
    this.#openNodes = [...fragment.childNodes];
    this.#element.append(fragment);
  }

  /**
   * @param {Token[]} tokens
   * @param {string} source
   * @param {Env} env
   */
  #finish(tokens, source, env) {
    const fragment = render(tokens, env);
    addCopyButtons(fragment);
    highlight(fragment);
    this.#element.append(fragment);
    this.#rendered += source.length;
    if (Object.keys(env.references ?? {}).length > Object.keys(this.#references).length) {
      // Only definitions in the finished part are sure; one in the open part may still grow.
      /** @type {Env} */
      const sure = { references: this.#references };
      parse(source, sure);
      this.#references = sure.references ?? {};
    }
  }

  #renderPlain() {
    if (!this.#isPlain) {
      this.#clear();
      this.#isPlain = true;
      this.#element.classList.add("message__content--plain");
      this.#element.append("");
    }
    /** @type {Text} */ (this.#element.firstChild).appendData(this.#source.slice(this.#rendered));
    this.#rendered = this.#source.length;
  }

  #placeCaret() {
    /** @type {Element} */
    let holder = this.#element;
    while (holder.lastElementChild?.matches(HOLDS_CARET)) holder = holder.lastElementChild;
    holder.append(this.#caret);
  }
}
