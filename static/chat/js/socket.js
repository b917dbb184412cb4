// @ts-check
// The one socket of this tab: connects, listens for signs of life, connects again. Knows frames only by their type.
//
// Events: "hello" and "frame" (detail: the frame), "away" (detail: {code}), "login".

/**
 * @import { TargetOf } from "chat/types"
 * @import { Command, Frame, HelloFrame } from "chat/wire"
 */

import { emit } from "chat/elements";
import { CLOSE_CODES } from "chat/protocol";

const BEAT_MS = 15_000;
const CHECK_MS = 5_000;
const SILENCE_MS = 30_000;
const SHORTEST_MS = 500;
const LONGEST_MS = 15_000;
const PATIENCE_MS = 30_000;

/** @typedef {{ hello: HelloFrame, frame: Frame, away: { code: number }, login: null }} Events */

export class Socket extends /** @type {TargetOf<Events>} */ (EventTarget) {
  #url;
  #open;
  #wakers;
  #random;
  /** @type {WebSocket | null} */
  #webSocket = null;
  #isReady = false; // hello has come: only then are commands taken
  #attempt = 0;
  /** @type {number | null} */
  #retry = null;
  #isPatient = false;
  #heardAt = 0;

  /**
   * `wakers`: [target, event name] pairs that are a reason to try at once.
   * @param {string} url
   * @param {{open?: (url: string) => WebSocket, wakers?: [EventTarget, string][], random?: () => number}} [options]
   */
  constructor(url, { open = (address) => new WebSocket(address), wakers = [], random = Math.random } = {}) {
    super();
    this.#url = url;
    this.#open = open;
    this.#wakers = wakers;
    this.#random = random;
  }

  start() {
    for (const [target, name] of this.#wakers) target.addEventListener(name, this.#wake);
    setInterval(() => this.send({ type: "hb" }), BEAT_MS);
    setInterval(this.#check, CHECK_MS);
    this.#connect();
  }

  /**
   * Sends now or not at all; what must arrive is kept by the caller and sent again after the next hello.
   * @param {Command} command
   */
  send(command) {
    if (this.#isReady) this.#webSocket?.send(JSON.stringify(command));
    return this.#isReady;
  }

  #connect = () => {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#heardAt = Date.now();
    this.#webSocket = this.#open(this.#url);
    this.#webSocket.onmessage = ({ data }) => this.#handle(JSON.parse(data));
    this.#webSocket.onclose = ({ code }) => this.#closed(code);
  };

  /** @param {Frame} frame */
  #handle(frame) {
    this.#heardAt = Date.now();
    if (frame.type !== "hello") {
      emit(this, "frame", frame);
      return;
    }
    this.#isReady = true;
    this.#attempt = 0;
    emit(this, "hello", frame);
  }

  /** @param {number} code */
  #closed(code) {
    this.#drop();
    const { action, wait_ms: wait, isPatient } = afterClose(code, this.#attempt, this.#random);
    this.#attempt += 1;
    emit(this, "away", { code });
    if (action === "login") emit(this, "login");
    if (action !== "retry") return;
    this.#isPatient = isPatient;
    this.#retry = setTimeout(this.#connect, wait);
  }

  // Lets go of the present connection; a dead one may take minutes to say that it is closed.
  #drop() {
    const webSocket = this.#webSocket;
    this.#isReady = false;
    this.#webSocket = null;
    if (webSocket === null) return;
    webSocket.onmessage = webSocket.onclose = null;
    webSocket.close();
  }

  #check = () => {
    if (this.#webSocket !== null && Date.now() - this.#heardAt > SILENCE_MS) this.#closed(1006);
  };

  #wake = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    this.#check();
    if (this.#retry !== null && !this.#isPatient) this.#connect();
  };
}

/**
 * → {action: "login" | "stop" | "retry", wait_ms, isPatient}. `attempt` counts the failures since the last hello;
 * `random` gives 0 ≤ x < 1. `isPatient` means that waking up is no reason to come earlier.
 * @param {number} code
 * @param {number} attempt
 * @param {() => number} random
 * @returns {{action: "login" | "stop" | "retry", wait_ms: number, isPatient: boolean}}
 */
export function afterClose(code, attempt, random) {
  // Full jitter: two hundred browsers after a restart must not come in step.
  const jittered = Math.round(random() * Math.min(LONGEST_MS, SHORTEST_MS * 1.5 ** Math.min(attempt, 10)));
  switch (code) {
    case CLOSE_CODES.log_in:
      return { action: "login", wait_ms: 0, isPatient: false };
    case CLOSE_CODES.forbidden:
      return { action: "stop", wait_ms: 0, isPatient: false };
    case CLOSE_CODES.too_fast:
    case CLOSE_CODES.too_many_sockets:
      return { action: "retry", wait_ms: PATIENCE_MS, isPatient: true };
    case CLOSE_CODES.restarting:
      return { action: "retry", wait_ms: attempt === 0 ? 0 : jittered, isPatient: false };
    default:
      return { action: "retry", wait_ms: jittered, isPatient: false };
  }
}
