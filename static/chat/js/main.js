// Puts the page together.

import { Chat } from "chat/chat";
import { Composer } from "chat/composer";
import { ConnectionNotice } from "chat/connection";
import { newKey, Outbox } from "chat/outbox";
import { Place } from "chat/place";
import { Sidebar } from "chat/sidebar";
import { Socket } from "chat/socket";
import { Storage, sturdy } from "chat/storage";
import { use } from "chat/strings";
import { Transcript } from "chat/transcript";

const LOGIN_PAUSE_MS = 10_000;

const json = (id) => JSON.parse(document.getElementById(id).textContent);
const part = (name) => document.querySelector(`[data-part=${name}]`);
const mould = (name) => document.querySelector(`template[data-mould=${name}]`);

const page = json("page");
use(json("strings"), document.documentElement.lang);

const sidebar = new Sidebar(part("conversations"), mould("entry"));
sidebar.start();
const transcript = new Transcript(part("messages"), { user: mould("user"), assistant: mould("assistant") });
transcript.start();
const place = new Place();
place.start();
if (!transcript.isEmpty) place.toEnd();

// Without a model there is nothing to write on, and nothing to listen for.
if (part("composer") !== null) talk();

function talk() {
  const storage = new Storage(sturdy(() => localStorage), page.user);
  const socket = new Socket(socketAddress(), { wakers: [[window, "online"], [document, "visibilitychange"]] });
  const composer = new Composer(part("composer"), {
    drafts: storage,
    conversation: page.conversation,
    limit: page.text_bytes,
  });
  const outbox = new Outbox(storage, tab());
  const parts = {
    announcer: part("announcer"),
    frame: document.querySelector(".transcript"),
    title: part("title"),
    welcome: part("welcome"),
  };
  composer.start();
  composer.addEventListener("chosen", ({ detail }) => {
    part("local-notice")?.toggleAttribute("hidden", !detail.isLocal);
  });
  new Chat({ page, socket, outbox, transcript, composer, sidebar, place, parts }).start();
  const notice = new ConnectionNotice(part("connection"), socket);
  notice.start();
  socket.addEventListener("login", () => logIn(notice));
  socket.start();
}

// The draft is kept. When the pages let one in and the socket doesn't, going back and forth would never end.
function logIn(notice) {
  const store = sturdy(() => sessionStorage);
  const last = Number(store.getItem("chatsite.login"));
  if (Date.now() - last < LOGIN_PAUSE_MS) {
    notice.say("log_in");
    return;
  }
  store.setItem("chatsite.login", Date.now());
  location.assign(`${page.login}?next=${encodeURIComponent(location.pathname)}`);
}

function socketAddress() {
  const address = new URL(page.socket, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return address.href;
}

// The name of this tab; it stays through a reload.
function tab() {
  const store = sturdy(() => sessionStorage);
  const name = store.getItem("chatsite.tab") ?? newKey();
  store.setItem("chatsite.tab", name);
  return name;
}
