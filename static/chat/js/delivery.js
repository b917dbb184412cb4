// @ts-check
// The delivery of commands that must arrive: prompts stay in the outbox until the portal has accepted or refused them,
// and both they and stops are sent again after every hello. Knows no elements.
//
// Events: "changed" (what is on its way), "late" (detail: the command), "returned" (detail: {command, isMine, reason}):
// it was refused.

/**
 * @import { Entry, Outbox, PromptCommand } from "chat/outbox"
 * @import { Socket } from "chat/socket"
 * @import { TargetOf } from "chat/types"
 * @import { ErrorFrame, RefusedFrame } from "chat/wire"
 */

import { emit } from "chat/elements";
import { answered } from "chat/outbox";

const LATE_MS = 5_000;
const BUSY_MS = 1_000;
const BURST = 10;
const ORPHAN_MS = 30_000; // longer than a pause between two attempts to connect

/**
 * @typedef {{ command: PromptCommand, isMine: boolean, reason: string }} Returned
 * @typedef {{ changed: null, late: PromptCommand, returned: Returned }} Events
 */

export class Delivery extends /** @type {TargetOf<Events>} */ (EventTarget) {
  #socket;
  #outbox;
  #isShown;
  /** @type {Set<string>} */
  #held = new Set();
  /** @type {Set<string>} */
  #stopping = new Set();

  /**
   * `isShown`: whether this page shows a command, or the conversation of a prompt.
   * @param {{ socket: Socket, outbox: Outbox, isShown: (command: PromptCommand) => boolean }} parts
   */
  constructor({ socket, outbox, isShown }) {
    super();
    this.#socket = socket;
    this.#outbox = outbox;
    this.#isShown = isShown;
  }

  // What this tab has sent and nobody has answered.
  get commands() {
    return this.#outbox.mine().map(({ command }) => command);
  }

  // Whether a prompt is kept back.
  get isHolding() {
    return this.#held.size > 0;
  }

  /**
   * Whether another answer than `message` is asked for.
   * @param {string} message
   */
  isAsked(message) {
    return this.commands.some((command) => answered(command) === message);
  }

  /**
   * Kept first, sent then: from here on it can't get lost.
   * @param {PromptCommand} command
   */
  send(command) {
    // Asked for by another tab already? The same key is one request.
    const message = answered(command);
    const wanted = (message === undefined ? null : this.#outbox.anotherOf(message)) ?? command;
    this.keep(wanted);
    this.#socket.send(wanted);
  }

  /**
   * Keeps a prompt that is not complete: a hello meanwhile doesn't send it.
   * @param {PromptCommand} command
   */
  hold(command) {
    this.#held.add(command.key);
    this.keep(command);
  }

  /** @param {PromptCommand} command */
  release(command) {
    this.#held.delete(command.key);
    emit(this, "changed");
    this.#socket.send(command);
  }

  /** @param {PromptCommand} command */
  keep(command) {
    this.#outbox.add(command);
    emit(this, "changed");
    setTimeout(() => this.#late(command.key), LATE_MS);
  }

  /** @param {string} generation */
  stop(generation) {
    this.#stopping.add(generation);
    this.#socket.send({ type: "stop", generation });
  }

  /** @param {string} generation */
  isStopping(generation) {
    return this.#stopping.has(generation);
  }

  /** @param {string} generation */
  ended(generation) {
    this.#stopping.delete(generation);
  }

  // Connected, perhaps again: what is still wanted is sent.
  resume() {
    this.#outbox.due().forEach(({ command: { key } }, index) => {
      // All at once they might be taken for an attack.
      if (index < BURST) this.#sendAgain(key);
      else setTimeout(() => this.#sendAgain(key), BUSY_MS * Math.floor(index / BURST));
    });
    for (const generation of this.#stopping) this.#socket.send({ type: "stop", generation });
  }

  /**
   * The portal has accepted it. Returns the command; undefined when this browser doesn't know it.
   * @param {string} key
   */
  accept(key) {
    return this.#outbox.remove(key)?.command;
  }

  /**
   * @param {string} key
   * @param {Pick<RefusedFrame, "code" | "message" | "retry_after_ms">} refusal
   */
  refuse(key, { code, message, retry_after_ms: wait }) {
    if (code === "server_restarting") return; // stays in the outbox, and is sent when the portal is back
    if (code === "busy_try_again") {
      // The portal may still store it: only the same key asks just once.
      this.#late(key);
      setTimeout(() => this.#sendAgain(key), wait ?? BUSY_MS);
      return;
    }
    const entry = this.#outbox.get(key);
    if (entry === null) return;
    if (this.#outbox.isMine(entry)) this.#giveBack(entry, message);
    // A tab that shows it is refused too and gives it back; without one, a page of its conversation comes first.
    else setTimeout(() => this.#inherit(key, message), this.#isShown(entry.command) ? ORPHAN_MS : 2 * ORPHAN_MS);
  }

  /**
   * An error about a command. Returns whether it was about one of these here; else somebody has to say it.
   * @param {ErrorFrame} frame
   */
  fail(frame) {
    const ref = frame.ref ?? "";
    const isPrompt = this.#outbox.get(ref) !== null;
    if (isPrompt) this.refuse(ref, frame);
    return this.#stopping.delete(ref) || isPrompt;
  }

  /**
   * The tab that wrote it seems to be gone.
   * @param {string} key
   * @param {string} reason
   */
  #inherit(key, reason) {
    const entry = this.#outbox.get(key);
    if (entry !== null && !this.#outbox.isMine(entry)) this.#giveBack(entry, reason);
  }

  /**
   * @param {Entry} entry
   * @param {string} reason
   */
  #giveBack(entry, reason) {
    const isMine = this.#outbox.isMine(entry);
    this.#outbox.remove(entry.command.key);
    emit(this, "returned", { command: entry.command, isMine, reason });
  }

  /** @param {string} key */
  #late(key) {
    const entry = this.#outbox.get(key);
    if (entry !== null && this.#outbox.isMine(entry)) emit(this, "late", entry.command);
  }

  /** @param {string} key */
  #sendAgain(key) {
    const entry = this.#outbox.get(key);
    if (entry !== null && !this.#held.has(key)) this.#socket.send(entry.command);
  }
}
