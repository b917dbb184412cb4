// @ts-check
// The list of conversations at the side: it comes page after page, and what comes by the socket keeps it right.

/**
 * @import { Conversation } from "chat/conversation"
 * @import { Entry } from "chat/entries"
 * @import { Requests } from "chat/requests"
 * @import { Store } from "chat/types"
 * @import { ConversationChangedFrame } from "chat/wire"
 */

import { find, findPart, part, targetOf } from "chat/elements";
import { compareEntries, Entries, factsOf } from "chat/entries";
import { EntryTools, UndoNotices } from "chat/entry_tools";
import { text } from "chat/strings";

const AHEAD = "200px";
const COLUMN = "(min-width: 64rem)"; // as in sidebar.css
const OK = 200;
const DONE = 204;
const TITLE = 80;
const SCROLLED = "chatsite.sidebar";

export class Sidebar {
  #nav;
  #list;
  #conversation;
  #requests;
  #store;
  #entries;
  #tools;
  #notices;
  /** @type {HTMLAnchorElement | null} */
  #more = null;
  /** @type {Set<string>} */
  #heard = new Set(); // since the page began to be fetched that is under way
  /** @type {Promise<unknown>} */
  #lastTurn = Promise.resolve();
  #sight = new IntersectionObserver((seen) => seen.at(-1)?.isIntersecting && this.#loadMore(), { rootMargin: AHEAD });

  /**
   * `nav` holds the list and the templates; `store` keeps how far the list was scrolled.
   * @param {HTMLElement} nav
   * @param {{conversation: Conversation, requests: Requests, store: Store}} parts
   */
  constructor(nav, { conversation, requests, store }) {
    this.#nav = nav;
    this.#list = part(nav, "conversations");
    this.#conversation = conversation;
    this.#requests = requests;
    this.#store = store;
    /** @type {NodeListOf<HTMLTemplateElement>} */
    const all = nav.querySelectorAll("template[data-template]");
    const templates = Object.fromEntries([...all].map(({ dataset, content }) => [dataset.template, content]));
    this.#entries = new Entries(this.#list, templates);
    this.#tools = new EntryTools(this.#list, { templates, requests, find: this.#entries.find });
    this.#notices = new UndoNotices(part(nav, "undo"), templates.undo);
  }

  start() {
    const raw = find(this.#list, "ul");
    this.#showCurrent();
    this.#conversation.addEventListener("began", this.#showCurrent);
    this.#takeIn(this.#list);
    raw.remove();
    this.#list.dataset.state = "ready";
    this.#list.scrollTop = Number(this.#store.getItem(SCROLLED));
    this.#entries.get(this.#conversation.id)?.element.scrollIntoView({ block: "nearest" });
    this.#nav.addEventListener("click", this.#click);
    matchMedia(COLUMN).addEventListener("change", this.#shut);
    this.#tools.addEventListener("closed", ({ detail: entry }) => this.#entries.place(entry));
    this.#tools.addEventListener("gone", ({ detail: entry }) => this.#remove(entry.id));
    this.#tools.addEventListener("deleted", ({ detail }) => this.#offerUndo(detail));
    document.addEventListener("visibilitychange", this.#entries.turnDay);
    addEventListener("pagehide", () => this.#store.setItem(SCROLLED, String(this.#list.scrollTop)));
  }

  #showCurrent = () => {
    this.#entries.current = this.#conversation.id;
  };

  /** @param {string | null} id */
  has(id) {
    return this.#entries.get(id) !== undefined;
  }

  /**
   * When something was said last in a listed conversation, in ms; null for another one.
   * @param {string | null} id
   */
  updatedAt(id) {
    return this.#entries.get(id)?.updatedAt ?? null;
  }

  /** @param {string | null} id */
  title(id) {
    return this.#entries.get(id)?.title ?? null;
  }

  /**
   * @param {string} id
   * @param {string} title
   */
  add(id, title) {
    if (!this.has(id)) {
      this.#entries.put({ id, title, pinned: false, unread: false, state: null, updatedAt: Date.now() });
    }
  }

  /** @param {string} id */
  touch(id) {
    if (this.has(id)) this.#entries.put({ id, updatedAt: Date.now() });
  }

  /** @param {ConversationChangedFrame} frame */
  apply({ conversation, deleted }) {
    const { id } = conversation;
    this.#heard.add(id);
    if (this.#tools.isDeleting(id)) return; // Undo is offered when the answer comes
    if (deleted || !("title" in conversation) || conversation.archived || conversation.title === "") this.#remove(id);
    else {
      const { title, pinned, state, unread, updated_at: updatedAt } = conversation;
      this.#entries.put({ id, title, pinned, state, unread, updatedAt: Date.parse(updatedAt) });
    }
    this.#entries.turnDay();
  }

  // Asks the server again for as much as is shown, so that nothing missed stays wrong.
  refresh() {
    return this.#inTurn(async () => {
      const shown = this.#entries.ids;
      const seen = new Set();
      /** @type {string | undefined} */
      let address = this.#list.dataset.address ?? "";
      do {
        const { status, document: page } = await this.#requests.document(address);
        if (status !== OK || page === null) return;
        this.#takeIn(page).forEach((id) => seen.add(id));
        address = this.#more?.href;
      } while (address !== undefined && seen.size < shown.length);
      // What lies behind the last page that was asked for may still be there.
      const last = this.#entries.get([...seen].findLast((id) => this.has(id)));
      for (const id of shown) {
        const entry = this.#entries.get(id);
        if (entry === undefined || seen.has(id) || this.#heard.has(id)) continue;
        const isBehind = this.#more !== null && (last === undefined || compareEntries(last, entry) < 0);
        if (!isBehind) this.#remove(id);
      }
      this.#entries.turnDay();
    });
  }

  /**
   * Pages come one after the other. What comes by the socket meanwhile is newer than they are.
   * @template T
   * @param {() => Promise<T>} job
   * @returns {Promise<T>}
   */
  #inTurn(job) {
    const turn = this.#lastTurn.then(() => {
      this.#heard.clear();
      return job();
    });
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  /** @param {ParentNode} page */
  #takeIn(page) {
    /** @type {NodeListOf<HTMLElement>} */
    const listed = page.querySelectorAll("[data-conversation]");
    const all = [...listed].map(factsOf);
    for (const facts of all) if (!this.#heard.has(facts.id)) this.#entries.put(facts);
    this.#setMore(/** @type {HTMLAnchorElement | null} */ (findPart(page, "more")));
    return all.map(({ id }) => id);
  }

  /**
   * The link stays the same one, so that it keeps the focus.
   * @param {HTMLAnchorElement | null} link
   */
  #setMore(link) {
    this.#sight.disconnect();
    if (link === null || this.#more === null) {
      this.#more?.remove();
      this.#more = link;
    }
    if (link === null || this.#more === null) return;
    this.#list.append(this.#more);
    this.#more.href = link.getAttribute("href") ?? "";
    this.#more.textContent = link.textContent;
    this.#more.ariaBusy = "false";
    this.#sight.observe(this.#more);
  }

  #loadMore() {
    const more = this.#more;
    if (more === null || more.ariaBusy === "true") return;
    more.ariaBusy = "true";
    more.textContent = text("list_loading");
    this.#inTurn(async () => {
      const link = this.#more;
      if (link === null) return;
      const { status, document: page } = await this.#requests.document(link.href);
      if (status !== OK || page === null) {
        link.ariaBusy = "false";
        link.textContent = text("list_failed");
        this.#sight.disconnect();
        return;
      }
      const hadFocus = link === document.activeElement;
      const [first] = this.#takeIn(page);
      if (hadFocus) this.#entries.get(first)?.link.focus();
    });
  }

  /** @param {string} id */
  #remove(id) {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#tools.forget(entry);
    this.#entries.remove(entry);
  }

  /** @param {{entry: Entry, isByKeyboard: boolean}} deleted */
  #offerUndo({ entry, isByKeyboard }) {
    const { id, title, pinned, unread, state, updatedAt } = entry;
    const { pathname } = entry.link;
    const next = this.#entries.neighbour(entry);
    this.#remove(id);
    const line = this.#notices.add({
      title,
      back: () => (next.isConnected ? next : this.#list).focus(),
      undo: async () => {
        const { status } = await this.#requests.post(`${pathname}restore/`);
        if (status !== DONE) return status;
        const restored = this.#entries.get(id) ?? this.#entries.put({ id, title, pinned, unread, state, updatedAt });
        restored.link.focus();
        return status;
      },
    });
    // With the keyboard, Undo is where one is; the mouse is still at the list.
    if (isByKeyboard) find(line, "button").focus();
  }

  /** @type {(event: MouseEvent) => void} */
  #click = (event) => {
    const link = targetOf(event).closest("a[href]");
    if (link === null) return;
    if (link !== this.#more) {
      this.#shut();
      return;
    }
    event.preventDefault();
    this.#loadMore();
  };

  // Something was chosen, or there is room for a column: the drawer isn't needed any more.
  #shut = () => {
    if (this.#nav.matches(":popover-open")) this.#nav.hidePopover();
  };
}

/**
 * The first line that holds something, as the server makes a title of it; the style cuts what is too long.
 * @param {string} prompt
 */
export function titleOf(prompt) {
  const letters = [...prompt.trim().split("\n", 1)[0].trim().replace(/\s+/g, " ")];
  return letters.length <= TITLE
    ? letters.join("")
    : `${letters
        .slice(0, TITLE - 1)
        .join("")
        .trimEnd()}…`;
}
