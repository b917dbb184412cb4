// The one Markdown renderer: history and live answers alike. HTML in the source stays text; what comes out is sanitised
// once more, and nothing in it loads anything.

import DOMPurify from "dompurify";
import MarkdownIt from "markdown-it";
import { text } from "chat/strings";

const SAFE_LINK = /^(?:https?:|mailto:)/i;

const SANITISED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "span", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["class", "data-image", "href", "start", "title"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: SAFE_LINK,
  RETURN_DOM_FRAGMENT: true,
};

const markdown = new MarkdownIt({ html: false, linkify: false, typographer: false });
markdown.validateLink = (address) => SAFE_LINK.test(address.trim());
markdown.core.ruler.push("portal", adapt);
markdown.renderer.rules.image = renderImage;

// Source → tokens. `env.references` holds the link definitions found before, and gets those found now.
export function parse(source, env) {
  return markdown.parse(source, env);
}

// Tokens → a fragment that may be put into the page.
export function render(tokens, env) {
  const fragment = DOMPurify.sanitize(markdown.renderer.render(tokens, markdown.options, env), SANITISED);
  fragment.querySelectorAll("a").forEach(dressLink);
  fragment.querySelectorAll("[data-image]").forEach(replaceImage);
  fragment.querySelectorAll("table").forEach(wrapTable);
  fragment.querySelectorAll("pre").forEach(wrapCode);
  fragment.querySelectorAll("p, li, h3, h4, h5, h6, blockquote, th, td").forEach((block) => {
    block.dir = "auto";
  });
  return fragment;
}

// Highlighted code → a fragment of spans.
export function sanitiseCode(html) {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true });
}

// Headings begin at h3, because each speaker is an h2; alignment becomes a class, because styles are not allowed.
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

function renderImage(tokens, index) {
  const escape = markdown.utils.escapeHtml;
  const token = tokens[index];
  return `<span data-image="${escape(token.attrGet("src") ?? "")}">${escape(token.content)}</span>`;
}

function dressLink(link) {
  if (!SAFE_LINK.test(link.getAttribute("href") ?? "")) {
    link.replaceWith(...link.childNodes);
    return;
  }
  link.rel = "noopener noreferrer nofollow";
  link.target = "_blank";
  const host = hostOf(link.href);
  if (host !== "" && !link.textContent.includes(host)) link.after(element("span", "link__host", host));
}

// A remote image would tell its server what stands in the conversation: only its host is shown.
function replaceImage(image) {
  const address = image.dataset.image;
  const host = hostOf(address);
  const inLink = image.closest("a") !== null;
  const chip = element(inLink || host === "" ? "span" : "a", "blocked", image.textContent);
  if (host !== "") chip.append(element("span", "blocked__host", text("image_not_loaded", { host })));
  if (chip.localName === "a") {
    chip.href = address;
    chip.rel = "noopener noreferrer nofollow";
    chip.target = "_blank";
  }
  image.replaceWith(chip);
}

function wrapTable(table) {
  const frame = element("div", "scroll");
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", text("table"));
  table.replaceWith(frame);
  frame.append(table);
}

function wrapCode(pre) {
  const figure = element("figure", "code");
  const head = element("figcaption", "code__head");
  head.append(element("span", "code__language", languageOf(pre.firstElementChild)));
  figure.append(head);
  pre.className = "code__text";
  pre.dir = "ltr";
  pre.tabIndex = 0;
  pre.replaceWith(figure);
  figure.append(pre);
}

// Gives each code block below `root` that has none its button; only finished blocks get one, so that none comes and goes
// while a block is rendered again and again. chat/clipboard hears them.
export function addCopyButtons(root) {
  for (const head of root.querySelectorAll(".code__head:not(:has(button))")) {
    const button = element("button", "button button--quiet button--small code__copy", text("copy"));
    button.type = "button";
    button.dataset.action = "copy-code";
    head.append(button);
  }
}

// "language-python" → "python"; "" when the fence named none.
export function languageOf(code) {
  return /(?:^|\s)language-(\S+)/.exec(code?.className ?? "")?.[1] ?? "";
}

function hostOf(address) {
  try {
    return new URL(address).host;
  } catch {
    return "";
  }
}

function element(name, className, content = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = content;
  return made;
}
