// @ts-check
// The one Markdown renderer: history and live answers alike. HTML in the source stays text; what comes out is sanitised
// once more, and nothing in it loads anything.

import { make } from "chat/elements";
import { text } from "chat/strings";
import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";

/**
 * @typedef {import("markdown-it").Token} Token
 * @typedef {import("markdown-it").StateCore} StateCore
 * @typedef {import("markdown-it").Env} Env `references`: the link definitions that were found
 */

const SAFE_LINK = /^(?:https?:|mailto:)/i;

const SANITISED = {
  ALLOWED_TAGS: [
    "a",
    "blockquote",
    "br",
    "code",
    "em",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
  ],
  ALLOWED_ATTR: ["class", "data-image", "href", "start", "title"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: SAFE_LINK,
  RETURN_DOM_FRAGMENT: /** @type {const} */ (true),
};

const markdown = new MarkdownIt({ html: false, linkify: false, typographer: false });
markdown.validateLink = (address) => SAFE_LINK.test(address.trim());
markdown.core.ruler.push("portal", adapt);
markdown.renderer.rules.image = renderImage;

/**
 * Source → tokens. `env.references` holds the link definitions found before, and gets those found now.
 * @param {string} source
 * @param {Env} env
 */
export function parse(source, env) {
  return markdown.parse(source, env);
}

/**
 * The last top-level block whose first line is complete can't become a part of what stands before it any more, so
 * everything before it is finished. → {token, offset}: its place in tokens and source; 0 = nothing is.
 * @param {Token[]} tokens
 * @param {string} source
 */
export function finishedPart(tokens, source) {
  const lines = lineStarts(source);
  for (let index = tokens.length - 1; index > 0; index -= 1) {
    const token = tokens[index];
    if (token.level !== 0 || token.nesting < 0 || token.map === null) continue;
    const line = token.map[0];
    if (line > 0 && line < lines.length - 1) return { token: index, offset: lines[line] };
  }
  return { token: 0, offset: 0 };
}

/**
 * As Markdown counts them; the last one may be unfinished or empty.
 * @param {string} source
 */
function lineStarts(source) {
  const starts = [0];
  for (const end of source.matchAll(/\r\n?|\n/g)) starts.push(end.index + end[0].length);
  return starts;
}

/**
 * @param {Token[]} tokens
 * @param {Env} env
 */
export function render(tokens, env) {
  const fragment = DOMPurify.sanitize(markdown.renderer.render(tokens, markdown.options, env), SANITISED);
  fragment.querySelectorAll("a").forEach(secureLink);
  /** @type {NodeListOf<HTMLElement>} */ (fragment.querySelectorAll("[data-image]")).forEach(replaceImage);
  fragment.querySelectorAll("table").forEach(wrapTable);
  fragment.querySelectorAll("pre").forEach(wrapCode);
  for (const block of fragment.querySelectorAll("p, li, h3, h4, h5, h6, blockquote, th, td")) {
    block.setAttribute("dir", "auto");
  }
  return fragment;
}

/** @param {string} html */
export function sanitiseCode(html) {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true });
}

/**
 * Headings begin at h3, because each speaker is an h2; alignment becomes a class, because styles are not allowed.
 * @param {StateCore} state
 */
function adapt(state) {
  for (const token of state.tokens) {
    if (token.type === "heading_open" || token.type === "heading_close") {
      token.tag = `h${Math.min(6, Number(token.tag[1]) + 2)}`;
    } else if (token.type === "th_open" || token.type === "td_open") {
      const style = token.attrGet("style");
      token.attrs = style === "text-align:right" ? [["class", "is-end"]] : null;
    }
  }
}

/**
 * @param {Token[]} tokens
 * @param {number} index
 */
function renderImage(tokens, index) {
  const { escapeHtml } = markdown.utils;
  const token = tokens[index];
  return `<span data-image="${escapeHtml(String(token.attrGet("src") ?? ""))}">${escapeHtml(token.content)}</span>`;
}

/** @param {HTMLAnchorElement} link */
function secureLink(link) {
  if (!SAFE_LINK.test(link.getAttribute("href") ?? "")) {
    link.replaceWith(...link.childNodes);
    return;
  }
  leadOut(link);
  const host = hostOf(link.href);
  if (host !== "" && !link.textContent.includes(host)) link.after(make("span", "link__host", host));
}

/**
 * A remote image would emit its server what stands in the conversation: only its host is shown.
 * @param {HTMLElement} image
 */
function replaceImage(image) {
  const address = image.dataset.image ?? "";
  const host = hostOf(address);
  const inLink = image.closest("a") !== null;
  const chip =
    inLink || host === ""
      ? make("span", "blocked", image.textContent)
      : leadOut(Object.assign(make("a", "blocked", image.textContent), { href: address }));
  if (host !== "") chip.append(make("span", "blocked__host", text("image_not_loaded", { host })));
  image.replaceWith(chip);
}

/** @param {HTMLAnchorElement} link */
function leadOut(link) {
  return Object.assign(link, { rel: "noopener noreferrer nofollow", target: "_blank" });
}

/** @param {HTMLTableElement} table */
function wrapTable(table) {
  const frame = make("div", "scroll");
  Object.assign(frame, { tabIndex: 0, role: "region", ariaLabel: text("table") });
  table.replaceWith(frame);
  frame.append(table);
}

/** @param {HTMLPreElement} pre */
function wrapCode(pre) {
  const figure = make("figure", "code");
  const head = make("figcaption", "code__head");
  head.append(make("span", "code__language", languageOf(pre.firstElementChild)));
  Object.assign(pre, { className: "code__text", dir: "ltr", tabIndex: 0 });
  pre.replaceWith(figure);
  figure.append(head, pre);
}

/**
 * Gives each code block below `root` its button, if it has none; finished blocks only, so that none comes and goes
 * while a block is rendered again and again. chat/clipboard reacts to them.
 * @param {ParentNode} root
 */
export function addCopyButtons(root) {
  for (const head of root.querySelectorAll(".code__head:not(:has(button))")) {
    const button = make("button", "button button--quiet button--small code__copy", text("copy"));
    button.type = "button";
    button.dataset.action = "copy-code";
    head.append(button);
  }
}

/** @param {Element | null} code */
export function languageOf(code) {
  return /(?:^|\s)language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
}

/** @param {string} address */
function hostOf(address) {
  return URL.canParse(address) ? new URL(address).host : "";
}
