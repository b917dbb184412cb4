// The one socket of this tab: connects, listens for signs of life, connects again. Knows frames only by their type.
//
// Events: "hello" and "frame" (detail: the frame), "away" (detail: {code}), "login", "forbidden".

import { afterClose } from "chat/backoff";

const BEAT_MS = 15_000;
const CHECK_MS = 5_000;
const SILENCE_MS = 30_000;

export class Socket extends EventTarget {
  #url;
  #open;
  #wakers;
  #random;
  #webSocket = null;
  #ready = false;
  #attempt = 0;
  #retry = null;
  #patient = false;
  #heardAt = 0;
  #timers = [];

  // `wakers`: [target, event name] pairs that are a reason to try at once.
  constructor(url, { open = (address) => new WebSocket(address), wakers = [], random = Math.random } = {}) {
    super();
    this.#url = url;
    this.#open = open;
    this.#wakers = wakers;
    this.#random = random;
  }

  start() {
    for (const [target, name] of this.#wakers) target.addEventListener(name, this.#wake);
    this.#timers = [setInterval(this.#beat, BEAT_MS), setInterval(this.#check, CHECK_MS)];
    this.#connect();
  }

  stop() {
    for (const [target, name] of this.#wakers) target.removeEventListener(name, this.#wake);
    this.#timers.forEach(clearInterval);
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#drop();
  }

  // Whether hello has come: only then are commands taken.
  get ready() {
    return this.#ready;
  }

  // Sends now or not at all; what must arrive is kept by the caller and sent again after the next hello.
  send(command) {
    if (!this.#ready) return false;
    this.#webSocket.send(JSON.stringify(command));
    return true;
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#heardAt = Date.now();
    const webSocket = this.#open(this.#url);
    this.#webSocket = webSocket;
    webSocket.onmessage = (event) => this.#hear(event.data);
    webSocket.onclose = (event) => this.#closed(event.code);
  }

  #hear(data) {
    this.#heardAt = Date.now();
    const frame = JSON.parse(data);
    if (frame.type === "hello") {
      this.#ready = true;
      this.#attempt = 0;
      this.dispatchEvent(new CustomEvent("hello", { detail: frame }));
    } else {
      this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
    }
  }

  #closed(code) {
    this.#drop();
    const next = afterClose(code, this.#attempt, this.#random);
    this.#attempt += 1;
    this.dispatchEvent(new CustomEvent("away", { detail: { code } }));
    if (next.action === "retry") {
      this.#patient = next.patient;
      this.#retry = setTimeout(() => this.#connect(), next.wait_ms);
    } else {
      this.dispatchEvent(new CustomEvent(next.action === "login" ? "login" : "forbidden"));
    }
  }

  // Lets go of the present connection; a dead one may take minutes to say that it is closed.
  #drop() {
    this.#ready = false;
    const webSocket = this.#webSocket;
    this.#webSocket = null;
    if (webSocket === null) return;
    webSocket.onmessage = null;
    webSocket.onclose = null;
    webSocket.close();
  }

  #beat = () => {
    this.send({ type: "hb" });
  };

  #check = () => {
    if (this.#webSocket !== null && Date.now() - this.#heardAt > SILENCE_MS) this.#closed(1006);
  };

  #wake = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    this.#check();
    if (this.#retry !== null && !this.#patient) this.#connect();
  };
}
