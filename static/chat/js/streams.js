// @ts-check
// The answers that this page follows: asks for what is missing, puts what comes into its message, and checks the end.
//
// Event: "ended" (detail: {generation}).

/**
 * @import { Announcer } from "chat/announcer"
 * @import { MessageView } from "chat/message_view"
 * @import { Socket } from "chat/socket"
 * @import { Transcript } from "chat/transcript"
 * @import { TargetOf } from "chat/types"
 * @import { DeltaFrame, FinishedFrame, Frame, StatusFrame } from "chat/wire"
 */

import { emit } from "chat/elements";
import { agrees, Stream } from "chat/stream";

const BEHIND_MS = 1_000;

export class Streams extends /** @type {TargetOf<{ ended: { generation: string } }>} */ (EventTarget) {
  #socket;
  #transcript;
  #announcer;
  /** @type {Map<string, Stream>} */
  #all = new Map();

  /** @param {{socket: Socket, transcript: Transcript, announcer: Announcer}} parts */
  constructor({ socket, transcript, announcer }) {
    super();
    this.#socket = socket;
    this.#transcript = transcript;
    this.#announcer = announcer;
  }

  /** @param {string} generation */
  has(generation) {
    return this.#all.has(generation);
  }

  /**
   * One that was there when the page was loaded: it is asked for after hello.
   * @param {string} generation
   * @returns {Stream}
   */
  add(generation) {
    const stream = new Stream(generation);
    this.#all.set(generation, stream);
    return stream;
  }

  /**
   * One that was just accepted here: the portal sends it without being asked.
   * @param {string} generation
   */
  begin(generation) {
    this.add(generation);
    this.#announcer.begin(generation);
  }

  /**
   * Asks for it.
   * @param {string} generation
   */
  follow(generation) {
    if (this.has(generation)) return;
    this.#socket.send(this.add(generation).ask());
  }

  /**
   * Nobody looks on any more. The answer goes on without that.
   * @param {string} generation
   */
  leave(generation) {
    if (this.#all.delete(generation)) this.#socket.send({ type: "unfollow", generation });
  }

  /**
   * The portal doesn't know it.
   * @param {string} generation
   */
  lose(generation) {
    return this.#all.delete(generation);
  }

  // Connected, perhaps again: everything that is still wanted is asked for once more.
  askAgain() {
    for (const stream of this.#all.values()) {
      if (!stream.isFinal) this.#socket.send(stream.ask());
    }
  }

  /**
   * A heartbeat may overtake a delta that is just being sent: whoever is still behind a moment later asks again.
   * @param {Record<string, number>} heads
   */
  compare(heads) {
    for (const [generation, head] of Object.entries(heads)) {
      const stream = this.#all.get(generation);
      if (stream === undefined || !stream.isBehind(head)) continue;
      setTimeout(() => stream.isBehind(head) && this.#socket.send(stream.ask()), BEHIND_MS);
    }
  }

  /** @param {Frame} frame */
  apply(frame) {
    const stream = "generation" in frame ? this.#all.get(frame.generation) : undefined;
    if (stream === undefined) return;
    const { generation } = stream;
    const view = this.#transcript.byGeneration(generation);
    switch (stream.apply(frame)) {
      case "replaced":
        view?.replace(stream.text, stream.reasoning);
        this.#announcer.replace(generation, stream.text);
        break;
      case "appended":
        this.#append(generation, view, /** @type {DeltaFrame} */ (frame));
        break;
      case "status":
        view?.status(/** @type {StatusFrame} */ (frame));
        break;
      case "gap":
        this.#socket.send(stream.ask());
        break;
      case "finished":
        this.#finish(stream, view, /** @type {FinishedFrame} */ (frame));
        break;
    }
  }

  /**
   * @param {string} generation
   * @param {MessageView | null} view
   * @param {DeltaFrame} frame
   */
  #append(generation, view, { text = "", reasoning = "" }) {
    view?.append(text, reasoning);
    this.#announcer.append(generation, text);
  }

  /**
   * @param {Stream} stream
   * @param {MessageView | null} view
   * @param {FinishedFrame} frame
   */
  async #finish(stream, view, frame) {
    const { generation } = stream;
    if (view !== null) this.#announcer.end(generation, view.finish(frame));
    emit(this, "ended", { generation });
    if (await agrees(stream.text, frame)) {
      this.#all.delete(generation);
      return;
    }
    const again = stream.askAnew();
    if (again === null) this.#all.delete(generation);
    else this.#socket.send(again);
  }
}
