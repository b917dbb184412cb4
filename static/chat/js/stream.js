// @ts-check
// One answer as it arrives: the text, and the place up to which it is here. Pure; the socket is somebody else's.

/**
 * @import { DeltaFrame, FollowCommand, Frame, SnapshotFrame } from "chat/wire"
 */

import { FINAL_STATES } from "chat/protocol";

export class Stream {
  generation;
  text = "";
  reasoning = "";
  seq = 0;
  state = "queued";
  /** @type {string | null} */
  #epoch = null;
  #asked = false;
  #askedAnew = false;

  /** @param {string} generation */
  constructor(generation) {
    this.generation = generation;
  }

  /** @returns {boolean} */
  get isFinal() {
    return FINAL_STATES.includes(this.state);
  }

  /** @returns {FollowCommand} */
  ask() {
    this.#asked = true;
    const { generation, seq } = this;
    if (this.#epoch === null) return { type: "follow", generation, after: 0 };
    return { type: "follow", generation, after: seq, epoch: this.#epoch };
  }

  /**
   * The command that asks for the whole text: what is here doesn't agree with what upstream sent. Once; then null.
   * Until that text and its end are here it counts as open again, so that a lost connection doesn't end the asking.
   * @returns {FollowCommand | null}
   */
  askAnew() {
    if (this.#askedAnew) return null;
    this.#askedAnew = true;
    this.#epoch = null;
    this.state = "running";
    return this.ask();
  }

  /**
   * Takes a frame of this generation. Returns what it did:
   * "replaced"  text and reasoning are new
   * "appended"  the frame's text and reasoning came after what was here
   * "status"    the state, and what the frame says besides
   * "finished"  the end; compare length and sha256 with the text
   * "gap"       something is missing: ask again
   * "ignored"   nothing new
   * @param {Frame} frame
   * @returns {"replaced" | "appended" | "status" | "finished" | "gap" | "ignored"}
   */
  apply(frame) {
    switch (frame.type) {
      case "snapshot":
        return this.#replace(frame);
      case "delta":
        return this.#append(frame);
      case "status":
        if (this.isFinal) return "ignored";
        this.state = frame.state;
        return "status";
      case "finished":
        // guard: no end over a gap
        if (frame.seq !== this.seq) return this.#gap();
        this.state = frame.state;
        return "finished";
      default:
        return "ignored";
    }
  }

  /** @param {number} head */
  isBehind(head) {
    return !this.isFinal && head > this.seq;
  }

  /**
   * @param {SnapshotFrame} frame
   * @returns {"replaced"}
   */
  #replace(frame) {
    this.text = frame.text;
    this.reasoning = frame.reasoning;
    this.seq = frame.seq;
    this.#epoch = frame.epoch;
    this.#asked = false;
    if (!FINAL_STATES.includes(frame.state)) this.state = frame.state;
    return "replaced";
  }

  /**
   * @param {DeltaFrame} frame
   * @returns {"appended" | "ignored" | "gap"}
   */
  #append(frame) {
    // guard: no delta twice
    if (frame.seq <= this.seq) return "ignored";
    // guard: no delta over a gap
    if (frame.prev !== this.seq) return this.#gap();
    this.text += frame.text ?? "";
    this.reasoning += frame.reasoning ?? "";
    this.seq = frame.seq;
    this.#asked = false;
    return "appended";
  }

  /**
   * Frames of the old following may still be on their way after one has asked: they are no new reason to ask.
   * @returns {"ignored" | "gap"}
   */
  #gap() {
    return this.#asked ? "ignored" : "gap";
  }
}

/**
 * In code points.
 * @param {string} text
 */
export function lengthOf(text) {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
}

/**
 * Whether `text` is what `finished` describes. SHA-256 is there only on https and on this machine; elsewhere the length
 * has to do.
 * @param {string} text
 * @param {{length: number, sha256: string}} end
 */
export async function agrees(text, { length, sha256 }) {
  if (lengthOf(text) !== length) return false;
  if (!globalThis.crypto?.subtle) return true;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return sha256 === bytesInHex(new Uint8Array(digest));
}

/** @param {Uint8Array} bytes */
export function bytesInHex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
