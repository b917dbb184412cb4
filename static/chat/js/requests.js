// @ts-check
// Small requests over HTTP. They never throw: what went wrong is in the status, 0 = no connection.
//
// Event: "login": the session has ended, or somebody has logged in anew.

/**
 * @import { Reply, TargetOf } from "chat/types"
 */

import { emit } from "chat/elements";
import { text } from "chat/strings";

const FORBIDDEN = 403;
const TIMEOUT_MS = 20_000;

export class Requests extends /** @type {TargetOf<{ login: null }>} */ (EventTarget) {
  #root;

  /**
   * Somewhere in `root` is a form with the token.
   * @param {ParentNode} [root]
   */
  constructor(root = document) {
    super();
    this.#root = root;
  }

  /**
   * → {status, json}; json is null unless the answer is JSON.
   * @template T
   * @param {string} address
   * @returns {Promise<Reply<T>>}
   */
  get(address) {
    return this.#ask(address, {});
  }

  /**
   * @template T
   * @param {string} address
   * @param {Record<string, string>} [fields]
   * @returns {Promise<Reply<T>>}
   */
  post(address, fields = {}) {
    const token = /** @type {HTMLInputElement} */ (this.#root.querySelector("[name=csrfmiddlewaretoken]")).value;
    return this.#ask(address, {
      method: "POST",
      headers: { "X-CSRFToken": token },
      body: new URLSearchParams(fields),
    });
  }

  /**
   * → {status, document}; XMLHttpRequest is the only parser of HTML that Trusted Types let through.
   * @param {string} address
   * @returns {Promise<{status: number, document: Document | null}>}
   */
  document(address) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("GET", address);
      request.responseType = "document";
      request.onloadend = () => {
        const { status, response, responseURL } = request;
        const wanted = new URL(address, location.href).pathname;
        const isElsewhere = status !== 0 && new URL(responseURL).pathname !== wanted;
        if (isElsewhere) emit(this, "login");
        resolve(isElsewhere ? { status: FORBIDDEN, document: null } : { status, document: response });
      };
      request.send();
    });
  }

  /**
   * @template T
   * @param {string} address
   * @param {RequestInit} options
   * @returns {Promise<Reply<T>>}
   */
  async #ask(address, options) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(address, { ...options, redirect: "manual", signal }).catch(() => null);
    if (response === null) return { status: 0, json: null };
    // Nothing here leads anywhere else, but to the page for logging in.
    if (response.type === "opaqueredirect" || response.status === FORBIDDEN) {
      emit(this, "login");
      return { status: FORBIDDEN, json: null };
    }
    return { status: response.status, json: await response.json().catch(() => null) };
  }
}

/** @param {number} status */
export function complaint(status) {
  return text(status === 0 ? "request_no_connection" : "request_failed");
}
