// The conversation on this page: what the composer wants goes out, what the socket brings goes to its message.

import { agrees } from "chat/fingerprint";
import { Following } from "chat/following";
import { newKey } from "chat/outbox";
import { titleOf } from "chat/sidebar";
import { text } from "chat/strings";

const LATE_MS = 5_000;
const BEHIND_MS = 1_000;
const BUSY_MS = 1_000;
const ORPHAN_MS = 30_000; // longer than the pauses between two attempts to connect

export class Chat {
  #page;
  #socket;
  #outbox;
  #transcript;
  #composer;
  #sidebar;
  #parts;
  #place;
  #conversation;
  #defaultModel;
  #isBusy = false;
  #followings = new Map();
  #stopping = new Set();

  // `parts`: elements of the page: title, announcer, welcome, frame.
  constructor({ page, socket, outbox, transcript, composer, sidebar, place, parts }) {
    this.#page = page;
    this.#socket = socket;
    this.#outbox = outbox;
    this.#transcript = transcript;
    this.#composer = composer;
    this.#sidebar = sidebar;
    this.#place = place;
    this.#parts = parts;
    this.#conversation = page.conversation;
    this.#defaultModel = page.model;
  }

  start() {
    this.#socket.addEventListener("hello", this.#greet);
    this.#socket.addEventListener("frame", this.#hear);
    this.#composer.addEventListener("send", this.#send);
    this.#composer.addEventListener("stop", this.#stop);
    this.#transcript.addEventListener("retry", this.#retry);
    this.#transcript.addEventListener("grown", this.#place.keep);
    for (const view of this.#transcript.openAnswers) {
      const { state } = view.element.dataset;
      view.status({ state, phase: state === "queued" ? "queued" : "waiting" });
      this.#followings.set(view.generation, new Following(view.generation));
    }
    for (const { command } of this.#outbox.mine()) {
      if (command.type === "send" && command.conversation === this.#conversation) this.#showPrompt(command);
      this.#late(command.key);
    }
    this.#refresh();
  }

  // Connected, perhaps again: everything that is still wanted is asked for once more.
  #greet = ({ detail: hello }) => {
    if (hello.user.id !== this.#page.user) {
      // Somebody else has logged in with this browser meanwhile: nothing of this page is theirs.
      location.reload();
      return;
    }
    for (const following of this.#followings.values()) {
      if (!following.isFinal) this.#socket.send(following.ask());
    }
    for (const { command } of this.#outbox.due()) this.#socket.send(command);
    for (const generation of this.#stopping) this.#socket.send({ type: "stop", generation });
  };

  #send = ({ detail }) => {
    const command = { type: "send", key: newKey(), conversation: this.#conversation, text: detail.text };
    if (detail.model !== null) command.model = detail.model;
    this.#showPrompt(command);
    this.#dispatch(command);
    this.#place.toEnd();
  };

  #retry = ({ detail: view }) => {
    if (this.#isBusy) return;
    const command = { type: "regenerate", key: newKey(), message: view.id };
    if (this.#composer.model !== null) command.model = this.#composer.model;
    // What another tab has asked for already is the same intent: the same key makes it one request.
    this.#dispatch(this.#outbox.regenerateOf(view.id) ?? command);
  };

  #stop = () => {
    const view = this.#transcript.openAnswers.at(-1);
    if (view === undefined) return;
    this.#stopping.add(view.generation);
    view.status({ state: "stopping", phase: "writing" });
    this.#socket.send({ type: "stop", generation: view.generation });
  };

  // Kept first, sent then: from here on it can't get lost.
  #dispatch(command) {
    this.#outbox.add(command);
    this.#socket.send(command);
    this.#refresh();
    setTimeout(() => this.#late(command.key), LATE_MS);
  }

  #late(key) {
    const entry = this.#outbox.get(key);
    if (entry === null || !this.#outbox.isMine(entry)) return;
    const view = this.#viewOf(entry.command);
    if (view !== null) view.pending = text("not_sent_yet");
  }

  #showPrompt(command) {
    this.#parts.welcome?.remove();
    this.#parts.frame.classList.remove("transcript--centred");
    this.#transcript.addPrompt(command.key, command.text);
  }

  // Where the page shows that a command is on its way; null when it doesn't.
  #viewOf(command) {
    return this.#transcript.byId(command.type === "send" ? command.key : command.message);
  }

  #belongsHere(command) {
    return this.#viewOf(command) !== null || command.conversation === this.#conversation;
  }

  #hear = ({ detail: frame }) => {
    switch (frame.type) {
      case "accepted":
        this.#accept(frame);
        break;
      case "refused":
        this.#refuse(frame.key, frame);
        break;
      case "error":
        this.#complain(frame);
        break;
      case "hb":
        this.#compare(frame.heads);
        break;
      default:
        if (this.#followings.has(frame.generation)) this.#apply(this.#followings.get(frame.generation), frame);
    }
  };

  #accept(frame) {
    const command = this.#outbox.remove(frame.key)?.command;
    const isHere = command === undefined ? null : this.#viewOf(command);
    if (isHere === null) {
      // Sent again for another tab or page: the answer is written, and is found there.
      if (!this.#followings.has(frame.generation)) this.#socket.send({ type: "unfollow", generation: frame.generation });
      return;
    }
    if (this.#transcript.byGeneration(frame.generation) !== null) {
      // Accepted before the page was loaded, which therefore shows it already.
      if (command.type === "send") this.#transcript.removeFrom(isHere);
      this.#refresh();
      return;
    }
    isHere.pending = "";
    if (command.type === "send") {
      isHere.id = frame.user_message;
      this.#settle(frame.conversation, command.text);
    } else {
      this.#transcript.removeFrom(isHere);
      this.#sidebar.touch(frame.conversation);
    }
    this.#transcript.addAnswer(frame.assistant_message, frame.generation, frame.state, this.#speaker);
    this.#followings.set(frame.generation, new Following(frame.generation));
    this.#refresh();
    this.#place.keep();
  }

  // A new conversation has become one of its own.
  #settle(conversation, prompt) {
    if (this.#conversation !== null) {
      this.#sidebar.touch(conversation);
      return;
    }
    const address = `${this.#page.chat}${conversation}/`;
    const title = titleOf(prompt);
    this.#conversation = conversation;
    this.#composer.conversation = conversation;
    history.replaceState(null, "", address);
    this.#parts.title.textContent = title;
    document.title = title + document.title.slice(document.title.lastIndexOf(" · "));
    this.#sidebar.add(conversation, title, address);
  }

  #refuse(key, { code, message, retry_after_ms: wait }) {
    if (code === "server_restarting") return; // stays in the outbox, and is sent when the portal is back
    if (code === "busy_try_again") {
      // The portal may still store it: only the same key makes sure that it is asked once.
      this.#late(key);
      setTimeout(() => this.#sendAgain(key), wait ?? BUSY_MS);
      return;
    }
    const entry = this.#outbox.get(key);
    if (entry === null) return;
    if (this.#outbox.isMine(entry)) this.#giveBack(entry, message);
    // A tab that shows it is refused too and gives it back. Where there is none, a page of its conversation comes first.
    else setTimeout(() => this.#inherit(key, message), this.#belongsHere(entry.command) ? ORPHAN_MS : 2 * ORPHAN_MS);
  }

  #inherit(key, message) {
    const entry = this.#outbox.get(key);
    if (entry !== null && !this.#outbox.isMine(entry)) this.#giveBack(entry, message);
  }

  // Nobody's text gets lost: it goes to where it was written, or waits there as the draft.
  #giveBack(entry, message) {
    const { command } = entry;
    const isMine = this.#outbox.isMine(entry);
    const isHere = this.#belongsHere(command);
    const view = this.#viewOf(command);
    this.#outbox.remove(command.key);
    if (view !== null && command.type === "send") this.#transcript.removeFrom(view);
    else if (view !== null) view.pending = "";
    this.#refresh();
    if (command.type === "send" && isHere) {
      this.#composer.giveBack(command.text, message);
      return;
    }
    if (command.type === "send") this.#composer.leave(command.conversation, command.text);
    if (isMine) this.#composer.say(message);
  }

  #sendAgain(key) {
    const entry = this.#outbox.get(key);
    if (entry !== null) this.#socket.send(entry.command);
  }

  #complain(frame) {
    if (this.#outbox.get(frame.ref) !== null) this.#refuse(frame.ref, frame);
    else if (!this.#stopping.has(frame.ref)) this.#composer.say(frame.message);
    this.#stopping.delete(frame.ref);
    if (frame.code === "not_found" && this.#followings.delete(frame.ref)) {
      this.#transcript.byGeneration(frame.ref)?.lose(frame.message);
      this.#refresh();
    }
  }

  // A heartbeat may overtake a delta that is just being sent: whoever is still behind a moment later asks again.
  #compare(heads) {
    for (const [generation, head] of Object.entries(heads)) {
      const following = this.#followings.get(generation);
      if (!following?.isBehind(head)) continue;
      setTimeout(() => following.isBehind(head) && this.#socket.send(following.ask()), BEHIND_MS);
    }
  }

  #apply(following, frame) {
    const view = this.#transcript.byGeneration(following.generation);
    switch (following.apply(frame)) {
      case "replaced":
        view?.replace(following.text, following.reasoning);
        break;
      case "appended":
        view?.append(frame.text ?? "", frame.reasoning ?? "");
        break;
      case "status":
        view?.status(frame);
        break;
      case "gap":
        this.#socket.send(following.ask());
        break;
      case "finished":
        this.#finish(following, view, frame);
        break;
    }
  }

  async #finish(following, view, frame) {
    this.#stopping.delete(following.generation);
    if (view !== null) this.#parts.announcer.textContent = view.finish(frame);
    this.#refresh();
    this.#place.keep(); // the receipt, and what went wrong, stand below the text
    if (await agrees(following.text, frame)) {
      this.#followings.delete(following.generation);
      return;
    }
    const again = following.askAnew();
    if (again === null) this.#followings.delete(following.generation);
    else this.#socket.send(again);
  }

  // While something runs or is on its way here, the next prompt has to wait.
  #refresh() {
    const runs = this.#transcript.openAnswers.length > 0;
    const waits = this.#outbox.mine().some(({ command }) => this.#viewOf(command) !== null);
    this.#isBusy = runs || waits;
    this.#composer.setBusy(this.#isBusy, runs);
    this.#transcript.canRetry = !this.#isBusy;
  }

  get #speaker() {
    return this.#composer.modelLabel || this.#defaultModel || text("answer");
  }
}
