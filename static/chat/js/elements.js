// Elements and events, in few words.

export function part(root, name) {
  return root.querySelector(`[data-part=${name}]`);
}

export function action(root, name) {
  return root.querySelector(`[data-action=${name}]`);
}

// Without words there is nothing to see.
export function show(element, words) {
  element.textContent = words;
  element.hidden = words === "";
}

export function make(name, className, words = "") {
  return Object.assign(document.createElement(name), { className, textContent: words });
}

export function tell(target, name, detail = null) {
  target.dispatchEvent(new CustomEvent(name, { detail }));
}

// Whether keys belong to what is written there.
export function writesIn(element) {
  return element.closest("input, textarea, select, [contenteditable]") !== null;
}
