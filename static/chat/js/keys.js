// @ts-check
// The keys that work everywhere on the page, and the list of all keys.

import { targetOf, writesIn } from "chat/elements";

export class Keys {
  #dialog;
  #box;

  /**
   * `box`: where one writes; null on a page without.
   * @param {HTMLDialogElement} dialog
   * @param {HTMLElement | null} box
   */
  constructor(dialog, box) {
    this.#dialog = dialog;
    this.#box = box;
  }

  start() {
    addEventListener("keydown", this.#press);
    addEventListener("click", this.#click);
  }

  /** @type {(event: KeyboardEvent) => void} */
  #press = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]") !== null) return;
    if (event.key === "?" && !writesIn(targetOf(event))) this.#open(event);
    if (event.key === "Escape" && event.shiftKey && this.#box !== null) {
      event.preventDefault();
      this.#box.focus({ preventScroll: true });
    }
  };

  /** @type {(event: MouseEvent) => void} */
  #click = (event) => {
    const target = targetOf(event);
    if (target.closest("[data-action=keys]")) this.#open(event);
    // The dialog itself is hit only beside what stands in it.
    else if (target === this.#dialog || target.closest("[data-action=close-keys]")) this.#dialog.close();
  };

  /** @param {Event} event */
  #open(event) {
    event.preventDefault();
    this.#dialog.showModal();
  }
}
