// @ts-check
// Puts the page together.

/**
 * @import { Page } from "chat/types"
 */

import { Announcer } from "chat/announcer";
import { Branch } from "chat/branch";
import { Chat } from "chat/chat";
import { Clipboard } from "chat/clipboard";
import { Composer } from "chat/composer";
import { ConnectionNotice } from "chat/connection";
import { Conversation } from "chat/conversation";
import { action, find, findPart } from "chat/elements";
import { Keys } from "chat/keys";
import { Meter } from "chat/meter";
import { newKey, Outbox } from "chat/outbox";
import { Panel } from "chat/panel";
import { Requests } from "chat/requests";
import { ScrollPosition } from "chat/scroll_position";
import { Sidebar } from "chat/sidebar";
import { Socket } from "chat/socket";
import { Storage, withFallback } from "chat/storage";
import { Streams } from "chat/streams";
import { text, use } from "chat/strings";
import { Theme } from "chat/theme";
import { Transcript } from "chat/transcript";

const LOGIN_PAUSE_MS = 10_000;

const json = (/** @type {string} */ id) => JSON.parse(find(document, `#${id}`).textContent);
const part = (/** @type {string} */ name) => find(document, `[data-part=${name}]`);
/** @type {(name: string) => HTMLTemplateElement} */
const template = (name) => find(document, `template[data-template=${name}]`);

const local = withFallback(() => localStorage);
const session = withFallback(() => sessionStorage);
/** @type {Page} */
const page = json("page");
use(json("strings"), document.documentElement.lang);

const conversation = new Conversation(page.conversation);
const requests = new Requests();
const sidebar = new Sidebar(find(document, ".sidebar"), { conversation, requests, store: session });
sidebar.start();
new Theme(part("theme"), local).start();
const transcript = new Transcript(part("messages"), { user: template("user"), assistant: template("assistant") });
transcript.start();
const scrollPosition = new ScrollPosition(part("messages"), findPart(document, "pill"));
scrollPosition.start();
const dock = findPart(document, "dock");
if (dock !== null) new ResizeObserver(() => fit(dock)).observe(dock);
const chosen = transcript.byId(page.message);
if (chosen !== null) chosen.element.scrollIntoView();
else if (!transcript.isEmpty) scrollPosition.toEnd();
const announcer = new Announcer(part("announcer"));
const clipboard = new Clipboard(part("messages"), announcer);
clipboard.start();
transcript.addEventListener("copy", ({ detail: { view, button } }) => clipboard.copy(button, view.source));
/** @type {HTMLTextAreaElement | null} */
const box = document.querySelector("textarea[name=prompt]");
new Keys(/** @type {HTMLDialogElement} */ (part("keys")), box).start();

// Without a model there is nothing to write on.
if (box !== null && dock !== null) talk(box, dock);

/**
 * A short page is as high as the window, with the composer at its foot.
 * @param {HTMLElement} dock
 */
function fit(dock) {
  part("messages").parentElement?.style.setProperty("--dock", `${dock.offsetHeight}px`);
  scrollPosition.resized();
}

/**
 * @param {HTMLTextAreaElement} box
 * @param {HTMLElement} dock
 */
function talk(box, dock) {
  const storage = new Storage(local, page.user);
  /** @type {[EventTarget, string][]} */
  const wakers = [
    [window, "online"],
    [document, "visibilitychange"],
  ];
  const socket = new Socket(location.origin.replace("http", "ws") + page.socket, { wakers });
  const composer = new Composer(/** @type {HTMLFormElement} */ (part("composer")), {
    drafts: storage,
    conversation,
    limit: page.text_bytes,
  });
  const outbox = new Outbox(storage, tab());
  const parts = {
    deleted: part("deleted"),
    dock,
    frame: find(document, ".transcript"),
    title: part("title"),
    welcome: findPart(document, "welcome"),
  };
  action(document, "log-out").form?.addEventListener("submit", (event) => {
    if (outbox.isEmpty || confirm(text("unsent_at_logout"))) outbox.clear();
    else event.preventDefault();
  });
  composer.start();
  /** @type {NodeListOf<HTMLButtonElement>} */
  const starters = document.querySelectorAll("[data-action=start]");
  for (const starter of starters) {
    starter.addEventListener("click", () => composer.begin(starter.dataset.prompt ?? ""));
  }
  const panel = new Panel(part("panel"), {
    button: action(document, "options"),
    memory: storage,
    unsaved: new Storage(session, page.user),
    requests,
    chat: page.chat,
    conversation,
  });
  panel.start();
  socket.addEventListener("hello", panel.retry);
  const streams = new Streams({ socket, transcript, announcer });
  const branch = new Branch({ page, conversation, transcript, streams, requests, scrollPosition });
  branch.start();
  const meter = new Meter(part("tokens"), {
    address: page.tokens,
    requests: new Requests(), // of its own: a count sends nobody to log in
    read: () => ({
      text: box.value,
      model: composer.model ?? "",
      conversation: conversation.id ?? "",
      message: branch.parent ?? "",
      running: String(transcript.openAnswers.length), // they count when they have ended
    }),
  });
  composer.addEventListener("changed", () => {
    findPart(document, "local-notice")?.toggleAttribute("hidden", composer.chosen.local === undefined);
    meter.ask();
  });
  new Chat({
    user: page.user,
    conversation,
    socket,
    outbox,
    transcript,
    streams,
    branch,
    composer,
    panel,
    sidebar,
    scrollPosition,
    parts,
  }).start();
  const notice = new ConnectionNotice(part("connection"), socket);
  notice.start();
  socket.addEventListener("login", () => logIn(notice));
  requests.addEventListener("login", () => logIn(notice));
  socket.start();
}

/**
 * When the pages let one in and the socket doesn't, going back and forth would never end.
 * @param {ConnectionNotice} notice
 */
function logIn(notice) {
  const last = Number(session.getItem("chatsite.login"));
  if (Date.now() - last < LOGIN_PAUSE_MS) {
    notice.say("log_in");
    return;
  }
  session.setItem("chatsite.login", String(Date.now()));
  location.assign(`${page.login}?next=${encodeURIComponent(location.pathname + location.search)}`);
}

// The name of this tab; it stays through a reload.
function tab() {
  const name = session.getItem("chatsite.tab") ?? newKey();
  session.setItem("chatsite.tab", name);
  return name;
}
