// Says calmly that the portal is away, but only when it stays away.

import { show } from "chat/elements";
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

  // Says the text called `name`, until the portal is back.
  say(name) {
    this.#show(text(name));
  }

  #away = ({ detail: { code } }) => {
    const said = SAID[code];
    if (said) this.say(said);
    else this.#wait(this.#isRestarting ? "restarting" : "no_connection");
  };

  #back = () => {
    this.#isRestarting = false;
    this.#show("");
  };

  #show(words) {
    clearTimeout(this.#timer);
    this.#timer = null;
    show(this.#element, words);
  }

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
