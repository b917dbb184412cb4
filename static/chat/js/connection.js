// Says calmly that the portal is away, but only when it stays away.

import { CLOSE_CODES } from "chat/protocol";
import { text } from "chat/strings";

const PATIENCE_MS = 2_000;

const SAID = {
  [CLOSE_CODES.forbidden]: "forbidden",
  [CLOSE_CODES.too_fast]: "too_fast",
  [CLOSE_CODES.too_many_sockets]: "too_many_sockets",
};

export class ConnectionNotice {
  #element;
  #socket;
  #timer = null;
  #isRestarting = false;

  constructor(element, socket) {
    this.#element = element;
    this.#socket = socket;
  }

  start() {
    this.#socket.addEventListener("away", this.#away);
    this.#socket.addEventListener("hello", this.#back);
    this.#socket.addEventListener("frame", this.#heard);
    this.#wait("no_connection");
  }

  stop() {
    clearTimeout(this.#timer);
    this.#socket.removeEventListener("away", this.#away);
    this.#socket.removeEventListener("hello", this.#back);
    this.#socket.removeEventListener("frame", this.#heard);
  }

  // Says the text called `name`, until the portal is back.
  say(name) {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#element.textContent = text(name);
    this.#element.hidden = false;
  }

  #away = ({ detail: { code } }) => {
    const said = SAID[code];
    if (said) this.say(said);
    else this.#wait(this.#isRestarting ? "restarting" : "no_connection");
  };

  #back = () => {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#isRestarting = false;
    this.#element.hidden = true;
  };

  #heard = ({ detail }) => {
    if (detail.type !== "restart") return;
    this.#isRestarting = true;
    this.say("restarting");
  };

  #wait(name) {
    if (this.#timer !== null || !this.#element.hidden) return;
    this.#timer = setTimeout(() => this.say(name), PATIENCE_MS);
  }
}
