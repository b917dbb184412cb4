// @ts-check
// Elements and events, in few words.

/**
 * @import { TypedTarget } from "chat/types"
 */

/**
 * A part that is surely there.
 * @param {ParentNode} root
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(root, name) {
  return /** @type {HTMLElement} */ (findPart(root, name));
}

/**
 * Another element that is surely there.
 * @template {Element} [Kind=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @returns {Kind}
 */
export function find(root, selector) {
  return /** @type {Kind} */ (root.querySelector(selector));
}

/**
 * A new element like the one in a template.
 * @param {DocumentFragment} content
 * @returns {HTMLElement}
 */
export function copyOf(content) {
  return /** @type {HTMLElement} */ (/** @type {Element} */ (content.firstElementChild).cloneNode(true));
}

/**
 * A part that may be missing.
 * @param {ParentNode} root
 * @param {string} name
 * @returns {HTMLElement | null}
 */
export function findPart(root, name) {
  return root.querySelector(`[data-part=${name}]`);
}

/**
 * @template {HTMLElement} [Kind=HTMLButtonElement]
 * @param {ParentNode} root
 * @param {string} name
 * @returns {Kind}
 */
export function action(root, name) {
  return /** @type {Kind} */ (root.querySelector(`[data-action=${name}]`));
}

/**
 * Without words there is nothing to see.
 * @param {HTMLElement} element
 * @param {string} words
 */
export function show(element, words) {
  element.textContent = words;
  element.hidden = words === "";
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} className
 * @param {string} [words]
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, className, words = "") {
  return Object.assign(document.createElement(name), { className, textContent: words });
}

/**
 * @template Events
 * @template {keyof Events & string} Name
 * @param {TypedTarget<Events>} target
 * @param {Name} name
 * @param {Events[Name] | null} [detail]
 */
export function emit(target, name, detail = null) {
  target.dispatchEvent(new CustomEvent(name, { detail }));
}

/**
 * Whether keys belong to what is written there.
 * @param {Element} element
 */
export function writesIn(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null;
}

/**
 * The element that an event happened on.
 * @param {Event} event
 * @returns {HTMLElement}
 */
export function targetOf(event) {
  return /** @type {HTMLElement} */ (event.target);
}
