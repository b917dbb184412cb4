// @ts-check
// Buttons that copy. They say what came of it, for two seconds and to those who listen.

/**
 * @import { Announcer } from "chat/announcer"
 */

import { make, targetOf } from "chat/elements";
import { text } from "chat/strings";

const SAID_MS = 2_000;

/** @param {string} copied */
async function copyText(copied) {
  try {
    await navigator.clipboard.writeText(copied);
    return true;
  } catch {
    return copySelected(copied); // there is no clipboard without https, and a browser may refuse it
  }
}

export class Clipboard {
  #root;
  #announcer;
  /** @type {WeakMap<HTMLElement, {timer: number, usual: string}>} */
  #timers = new WeakMap();

  /**
   * @param {HTMLElement} root
   * @param {Announcer} announcer
   */
  constructor(root, announcer) {
    this.#root = root;
    this.#announcer = announcer;
  }

  start() {
    this.#root.addEventListener("click", this.#press);
  }

  /**
   * @param {HTMLElement} button
   * @param {string} copied
   */
  async copy(button, copied) {
    const worked = await copyText(copied);
    this.#say(button, text(worked ? "copied" : "not_copied"));
    this.#announcer.say(text(worked ? "announce_copied" : "announce_not_copied"));
  }

  /** @type {(event: Event) => void} */
  #press = (event) => {
    /** @type {HTMLButtonElement | null} */
    const button = targetOf(event).closest("button[data-action=copy-code]");
    if (button === null) return;
    const code = button.closest("figure")?.querySelector("code")?.textContent ?? "";
    this.copy(button, code.replace(/\n$/, "")); // pasted into a shell, a line end would run it
  };

  /**
   * A button with words says it in their place, one with an icon alone in its place (control.css).
   * @param {HTMLElement} button
   * @param {string} word
   */
  #say(button, word) {
    const isIcon = button.textContent.trim() === "";
    const before = this.#timers.get(button);
    clearTimeout(before?.timer);
    const usual = before?.usual ?? button.textContent;
    if (isIcon) button.dataset.said = word;
    else button.textContent = word;
    const timer = setTimeout(() => {
      this.#timers.delete(button);
      delete button.dataset.said;
      if (!isIcon) button.textContent = usual;
    }, SAID_MS);
    this.#timers.set(button, { timer, usual });
  }
}

/** @param {string} copied */
function copySelected(copied) {
  const box = make("textarea", "sr-only", copied);
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const selection = getSelection();
  const selected = selection !== null && selection.rangeCount > 0 ? selection.getRangeAt(0) : null;
  box.readOnly = true;
  // Below an open dialog nothing can be selected.
  (focused?.closest("dialog") ?? document.body).append(box);
  box.focus({ preventScroll: true });
  box.select();
  const worked = document.execCommand("copy");
  box.remove();
  focused?.focus({ preventScroll: true });
  if (selected !== null) {
    selection?.removeAllRanges();
    selection?.addRange(selected);
  }
  return worked;
}
