// @ts-check
// Says calmly that the portal is away, but only when it stays away.

/**
 * @import { Socket } from "chat/socket"
 * @import { Frame } from "chat/wire"
 */

import { show } from "chat/elements";
import { CLOSE_CODES } from "chat/protocol";
import { text } from "chat/strings";

const PATIENCE_MS = 2_000;

/** @type {Record<number, string>} */
const SAID = {
  [CLOSE_CODES.forbidden]: "forbidden",
  [CLOSE_CODES.too_fast]: "too_fast",
  [CLOSE_CODES.too_many_sockets]: "too_many_sockets",
};

export class ConnectionNotice {
  #element;
  #socket;
  /** @type {number | null} */
  #timer = null;
  #isRestarting = false;

  /**
   * @param {HTMLElement} element
   * @param {Socket} socket
   */
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

  /**
   * Says the text called `name`, until the portal is back.
   * @param {string} name
   */
  say(name) {
    this.#show(text(name));
  }

  /** @type {(event: CustomEvent<{code: number}>) => void} */
  #away = ({ detail: { code } }) => {
    const said = SAID[code];
    if (said) this.say(said);
    else this.#wait(this.#isRestarting ? "restarting" : "no_connection");
  };

  #back = () => {
    this.#isRestarting = false;
    this.#show("");
  };

  /** @param {string} words */
  #show(words) {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    show(this.#element, words);
  }

  /** @type {(event: CustomEvent<Frame>) => void} */
  #heard = ({ detail }) => {
    if (detail.type !== "restart") return;
    this.#isRestarting = true;
    this.say("restarting");
  };

  /** @param {string} name */
  #wait(name) {
    if (this.#timer !== null || !this.#element.hidden) return;
    this.#timer = setTimeout(() => this.say(name), PATIENCE_MS);
  }
}
