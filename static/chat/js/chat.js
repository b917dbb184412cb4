// @ts-check
// The conversation on this page: what a person wants, and what the portal says to that.

/**
 * @import { Branch } from "chat/branch"
 * @import { Composer } from "chat/composer"
 * @import { Followings } from "chat/followings"
 * @import { MessageView } from "chat/message_view"
 * @import { Entry, Outbox, PromptCommand } from "chat/outbox"
 * @import { Panel } from "chat/panel"
 * @import { Place } from "chat/place"
 * @import { Sidebar } from "chat/sidebar"
 * @import { Socket } from "chat/socket"
 * @import { Transcript } from "chat/transcript"
 * @import { Page } from "chat/types"
 * @import { AcceptedFrame, ConversationChangedFrame, ErrorFrame, Frame, HelloFrame, MessageAddedFrame, ModelChoice, RefusedFrame, RegenerateCommand, ContinueCommand, SendCommand } from "chat/wire"
 */

import { answered, newKey } from "chat/outbox";
import { complaint } from "chat/requests";
import { titleOf } from "chat/sidebar";
import { text } from "chat/strings";

const LATE_MS = 5_000;
const BUSY_MS = 1_000;
const BURST = 10;
const ORPHAN_MS = 30_000; // longer than a pause between two attempts to connect

/**
 * @typedef {{
 *   deleted: HTMLElement, dock: HTMLElement, frame: HTMLElement, title: HTMLElement, welcome: HTMLElement | null,
 * }} Parts
 */

export class Chat {
  #page;
  #socket;
  #outbox;
  #transcript;
  #followings;
  #branch;
  #composer;
  #panel;
  #sidebar;
  #place;
  #parts;
  /** @type {ModelChoice[]} */
  #models = [];
  /** @type {string | null} */
  #model = null;
  /** @type {Set<string>} */
  #stopping = new Set();
  /** @type {Set<string>} */
  #held = new Set();

  /**
   * @param {{
   *   page: Page, socket: Socket, outbox: Outbox, transcript: Transcript, followings: Followings, branch: Branch,
   *   composer: Composer, panel: Panel, sidebar: Sidebar, place: Place, parts: Parts,
   * }} parts
   */
  constructor({ page, socket, outbox, transcript, followings, branch, composer, panel, sidebar, place, parts }) {
    this.#page = page;
    this.#socket = socket;
    this.#outbox = outbox;
    this.#transcript = transcript;
    this.#followings = followings;
    this.#branch = branch;
    this.#composer = composer;
    this.#panel = panel;
    this.#sidebar = sidebar;
    this.#place = place;
    this.#parts = parts;
  }

  start() {
    this.#socket.addEventListener("hello", this.#greet);
    this.#socket.addEventListener("frame", this.#hear);
    this.#composer.addEventListener("send", this.#send);
    this.#composer.addEventListener("stop", this.#stopFirst);
    this.#panel.addEventListener("created", ({ detail }) => this.#settle(detail.id));
    this.#transcript.addEventListener("retry", this.#retry);
    this.#transcript.addEventListener("unqueue", ({ detail: view }) => this.#stop(view));
    this.#transcript.addEventListener("grown", this.#place.keep);
    this.#followings.addEventListener("ended", this.#ended);
    this.#branch.addEventListener("shown", this.#refresh);
    this.#branch.addEventListener("trouble", ({ detail }) => this.#composer.say(complaint(detail.status)));
    for (const view of this.#transcript.openAnswers) {
      const { state } = view.element.dataset;
      view.status({ state, phase: state === "queued" ? "queued" : "waiting" });
      this.#followings.add(view.generation);
    }
    for (const { command } of this.#outbox.mine()) {
      if (command.type === "send" && command.conversation === this.#conversation) this.#showPrompt(command);
      this.#late(command.key);
    }
    this.#refresh();
  }

  get #conversation() {
    return this.#branch.conversation;
  }

  /**
   * Connected, perhaps again: what is still wanted is asked for.
   * @type {(event: CustomEvent<HelloFrame>) => Promise<void>}
   */
  #greet = async ({ detail: hello }) => {
    if (hello.user.id !== this.#page.user) {
      // Somebody else has logged in meanwhile: nothing of this page is theirs.
      location.reload();
      return;
    }
    this.#models = hello.models;
    this.#composer.models = hello.models;
    this.#watch();
    this.#followings.askAgain();
    this.#outbox.due().forEach(({ command: { key } }, index) => {
      // All at once they might be taken for an attack.
      if (index < BURST) this.#sendAgain(key);
      else setTimeout(() => this.#sendAgain(key), BUSY_MS * Math.floor(index / BURST));
    });
    for (const generation of this.#stopping) this.#socket.send({ type: "stop", generation });
    await this.#branch.catchUp(this.#sidebar.refresh().then(() => this.#sidebar.updatedAt(this.#conversation)));
    const title = this.#sidebar.title(this.#conversation); // perhaps a new one
    if (title !== null) this.#call(title);
    this.#refresh();
  };

  #watch() {
    this.#socket.send({ type: "watch", conversation: this.#conversation });
  }

  /** @type {(event: CustomEvent<{text: string, model: string | null}>) => Promise<void>} */
  #send = async ({ detail }) => {
    /** @type {SendCommand} */
    const command = { type: "send", key: newKey(), conversation: this.#conversation, text: detail.text };
    if (detail.model !== null) command.model = detail.model;
    if (this.#branch.parent !== null) command.parent = this.#branch.parent;
    this.#showPrompt(command);
    this.#place.toEnd();
    this.#held.add(command.key); // a hello meanwhile would send it without its conversation
    this.#keep(command);
    // Changed options hold for this prompt already; saving them may make the conversation.
    if (!this.#panel.isSaved) await this.#panel.flush();
    this.#held.delete(command.key);
    if (command.conversation === null && this.#conversation !== null) {
      command.conversation = this.#conversation;
      this.#keep(command);
    }
    this.#refresh();
    this.#socket.send(command);
  };

  /** @type {(event: CustomEvent<{view: MessageView, type: "continue" | "regenerate"}>) => void} */
  #retry = ({ detail: { view, type } }) => {
    if (view.isOpen || this.#isAsked(view)) return;
    /** @type {RegenerateCommand | ContinueCommand} */
    const command = { type, key: newKey(), message: view.id };
    if (command.type === "regenerate" && this.#composer.model !== null) command.model = this.#composer.model;
    // Asked for by another tab already? The same key is one request.
    const wanted = this.#outbox.anotherOf(view.id) ?? command;
    if (view.element.contains(document.activeElement)) this.#composer.focus(); // the button goes with its answer
    this.#keep(wanted);
    this.#socket.send(wanted);
  };

  // The oldest answer that runs: those after it wait for it.
  #stopFirst = () => {
    const view = this.#transcript.openAnswers.find(({ generation }) => !this.#stopping.has(generation));
    if (view !== undefined) this.#stop(view);
  };

  /** @param {MessageView} view */
  #stop(view) {
    this.#stopping.add(view.generation);
    view.status({ state: "stopping", phase: "writing" });
    this.#socket.send({ type: "stop", generation: view.generation });
  }

  /**
   * Kept first, sent then: from here on it can't get lost.
   * @param {PromptCommand} command
   */
  #keep(command) {
    this.#outbox.add(command);
    this.#refresh();
    setTimeout(() => this.#late(command.key), LATE_MS);
  }

  /** @param {string} key */
  #late(key) {
    const entry = this.#outbox.get(key);
    if (entry === null || !this.#outbox.isMine(entry)) return;
    const view = this.#viewOf(entry.command);
    if (view !== null) view.pending = text("not_sent_yet");
  }

  /** @param {SendCommand} command */
  #showPrompt(command) {
    this.#begin();
    this.#transcript.addPrompt(command.key, command.text);
  }

  #begin() {
    this.#parts.welcome?.remove();
    this.#parts.frame.classList.remove("transcript--centred");
    this.#composer.goOn();
  }

  /**
   * Where a command is shown to be on its way; null = nowhere.
   * @param {PromptCommand} command
   */
  #viewOf(command) {
    return this.#transcript.byId(command.type === "send" ? command.key : command.message);
  }

  /** @param {PromptCommand} command */
  #belongsHere(command) {
    return this.#viewOf(command) !== null || (command.type === "send" && command.conversation === this.#conversation);
  }

  /** @param {MessageView} view */
  #isAsked(view) {
    return this.#outbox.mine().some(({ command }) => answered(command) === view.id);
  }

  /** @type {(event: CustomEvent<Frame>) => void} */
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
      case "conversation":
        this.#note(frame);
        break;
      case "message":
        this.#take(frame);
        break;
      case "hb":
        this.#followings.compare(frame.heads);
        if (frame.models) this.#composer.models = frame.models;
        break;
      default:
        this.#followings.hear(frame);
    }
  };

  /** @param {AcceptedFrame} frame */
  #accept(frame) {
    const command = this.#outbox.remove(frame.key)?.command;
    const here = command === undefined ? null : this.#viewOf(command);
    if (command === undefined || here === null) {
      // Sent again for another tab or page: the answer is found there.
      if (this.#followings.has(frame.generation)) return;
      this.#socket.send({ type: "unfollow", generation: frame.generation });
      if (frame.conversation === this.#conversation) this.#branch.show(); // its place went, or its tab; nobody else tells
      return;
    }
    here.pending = "";
    if (this.#transcript.byGeneration(frame.generation) === null) {
      this.#put(frame, command, here);
      this.#followings.begin(frame.generation);
      this.#branch.settle();
    } else if (command.type === "send") {
      this.#transcript.removeFrom(here); // the page was loaded since, or another tab told of it
    }
    this.#refresh();
    this.#place.keep();
  }

  /**
   * The answer takes its place: after its prompt, or instead of the one it was asked for.
   * @param {AcceptedFrame} frame
   * @param {PromptCommand} command
   * @param {MessageView} here
   */
  #put(frame, command, here) {
    const { assistant_message: id, generation, state } = frame;
    const answer = { id, generation, state, speaker: this.#composer.chosen.label ?? "" };
    if (command.type === "send") {
      here.id = frame.user_message;
      here.versions = [frame.user_message];
      here.isOnItsWay = false;
      this.#transcript.addAnswer({ ...answer, versions: [id], after: here });
      this.#settle(frame.conversation, command.text);
    } else {
      const versions = [...here.versions, id];
      this.#transcript.removeFrom(here);
      this.#transcript.addAnswer({ ...answer, versions, after: this.#transcript.byId(frame.user_message) });
      this.#sidebar.touch(frame.conversation);
    }
  }

  /**
   * A new conversation has got its id; without a prompt nobody lists it yet.
   * @param {string} conversation
   * @param {string} [prompt]
   */
  #settle(conversation, prompt = "") {
    if (this.#conversation === null) {
      this.#branch.begin(conversation);
      this.#composer.conversation = conversation;
      this.#panel.conversation = conversation;
      this.#sidebar.current = conversation;
      this.#branch.settle();
      this.#watch();
    }
    if (prompt === "") return;
    if (this.#sidebar.has(conversation)) {
      this.#sidebar.touch(conversation);
      return;
    }
    const title = titleOf(prompt);
    this.#call(title);
    this.#sidebar.add(conversation, title);
  }

  /** @param {string} title */
  #call(title) {
    this.#parts.title.textContent = title;
    document.title = title + document.title.slice(document.title.lastIndexOf(" · "));
  }

  /**
   * What became of a conversation, here or in another tab.
   * @param {ConversationChangedFrame} frame
   */
  #note(frame) {
    this.#sidebar.apply(frame);
    const { conversation } = frame;
    if (conversation.id !== this.#conversation) return;
    this.#parts.deleted.hidden = !frame.deleted;
    this.#parts.dock.hidden = frame.deleted;
    if (!("title" in conversation)) return;
    this.#model = conversation.model;
    this.#branch.note(conversation.updated_at);
    if (conversation.title !== "") this.#call(conversation.title);
  }

  /** @param {MessageAddedFrame} frame */
  #take({ conversation, message }) {
    if (conversation !== this.#conversation) return;
    this.#begin();
    this.#branch.hear(message, this.#models.find(({ id }) => id === this.#model)?.label ?? text("answer"));
    this.#refresh();
  }

  /**
   * @param {string} key
   * @param {Pick<RefusedFrame, "code" | "message" | "retry_after_ms">} refusal
   */
  #refuse(key, { code, message, retry_after_ms: wait }) {
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
    else setTimeout(() => this.#inherit(key, message), this.#belongsHere(entry.command) ? ORPHAN_MS : 2 * ORPHAN_MS);
  }

  /**
   * @param {string} key
   * @param {string} message
   */
  #inherit(key, message) {
    const entry = this.#outbox.get(key);
    if (entry !== null && !this.#outbox.isMine(entry)) this.#giveBack(entry, message);
  }

  /**
   * Its text goes to where it was written, or waits there as the draft.
   * @param {Entry} entry
   * @param {string} message
   */
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

  /** @param {string} key */
  #sendAgain(key) {
    const entry = this.#outbox.get(key);
    if (entry !== null && !this.#held.has(key)) this.#socket.send(entry.command);
  }

  /** @param {ErrorFrame} frame */
  #complain(frame) {
    const { ref } = frame;
    if (ref === null) return;
    if (this.#outbox.get(ref) !== null) this.#refuse(ref, frame);
    else if (!this.#stopping.has(ref)) this.#composer.say(frame.message);
    this.#stopping.delete(ref);
    if (frame.code === "not_found" && this.#followings.lose(ref)) {
      this.#transcript.byGeneration(ref)?.lose(frame.message);
      this.#refresh();
    }
  }

  /** @type {(event: CustomEvent<{generation: string}>) => void} */
  #ended = ({ detail: { generation } }) => {
    this.#stopping.delete(generation);
    this.#refresh();
    this.#place.keep(); // the receipt stands below the text
  };

  // While something runs, the next prompt waits on the server; a new conversation has to be accepted first.
  #refresh = () => {
    const waits = this.#outbox.mine().some(({ command }) => this.#viewOf(command) !== null);
    this.#composer.setRunning(this.#transcript.openAnswers.length > 0);
    const isBeginning = waits && this.#conversation === null;
    this.#composer.setBlocked(isBeginning);
    this.#panel.isHeld = isBeginning && this.#held.size === 0;
    this.#transcript.forEachAnswer((view) => {
      view.canRetry = !view.isOpen && !this.#isAsked(view);
    });
  };
}
