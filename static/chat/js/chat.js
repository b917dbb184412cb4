// @ts-check
// The page of a conversation: what a person wants goes to the portal, and what the portal says to that is shown.

/**
 * @import { Branch } from "chat/branch"
 * @import { Composer } from "chat/composer"
 * @import { Conversation } from "chat/conversation"
 * @import { Returned } from "chat/delivery"
 * @import { Streams } from "chat/streams"
 * @import { MessageView } from "chat/message_view"
 * @import { Outbox, PromptCommand } from "chat/outbox"
 * @import { Panel } from "chat/panel"
 * @import { ScrollPosition } from "chat/scroll_position"
 * @import { Sidebar } from "chat/sidebar"
 * @import { Socket } from "chat/socket"
 * @import { Transcript } from "chat/transcript"
 * @import { AcceptedFrame, ContinueCommand, ErrorFrame, Frame, HelloFrame } from "chat/wire"
 * @import { MessageAddedFrame, ModelChoice, RegenerateCommand, SendCommand } from "chat/wire"
 */

import { Delivery } from "chat/delivery";
import { newKey } from "chat/outbox";
import { complaint } from "chat/requests";
import { titleOf } from "chat/sidebar";
import { text } from "chat/strings";

/**
 * @typedef {{
 *   deleted: HTMLElement, dock: HTMLElement, frame: HTMLElement, title: HTMLElement, welcome: HTMLElement | null,
 * }} Parts
 */

export class Chat {
  #user;
  #conversation;
  #socket;
  #delivery;
  #transcript;
  #streams;
  #branch;
  #composer;
  #panel;
  #sidebar;
  #scrollPosition;
  #parts;
  /** @type {ModelChoice[]} */
  #models = [];

  /**
   * @param {{
   *   user: number, conversation: Conversation, socket: Socket, outbox: Outbox, transcript: Transcript,
   *   streams: Streams, branch: Branch, composer: Composer, panel: Panel, sidebar: Sidebar, scrollPosition: ScrollPosition,
   *   parts: Parts,
   * }} all
   */
  constructor({ user, conversation, socket, outbox, transcript, streams, branch, composer, panel, ...rest }) {
    this.#user = user;
    this.#conversation = conversation;
    this.#socket = socket;
    this.#delivery = new Delivery({ socket, outbox, isShown: this.#belongsHere });
    this.#transcript = transcript;
    this.#streams = streams;
    this.#branch = branch;
    this.#composer = composer;
    this.#panel = panel;
    this.#sidebar = rest.sidebar;
    this.#scrollPosition = rest.scrollPosition;
    this.#parts = rest.parts;
  }

  start() {
    this.#conversation.addEventListener("began", this.#begin);
    this.#conversation.addEventListener("changed", this.#show);
    this.#socket.addEventListener("hello", this.#greet);
    this.#socket.addEventListener("frame", this.#handle);
    this.#delivery.addEventListener("changed", this.#refresh);
    this.#delivery.addEventListener("late", ({ detail: command }) => this.#showLate(command));
    this.#delivery.addEventListener("returned", this.#takeBack);
    this.#composer.addEventListener("send", this.#send);
    this.#composer.addEventListener("stop", this.#stopFirst);
    this.#transcript.addEventListener("retry", this.#retry);
    this.#transcript.addEventListener("unqueue", ({ detail: view }) => this.#stop(view));
    this.#transcript.addEventListener("grown", this.#scrollPosition.keep);
    this.#streams.addEventListener("ended", this.#ended);
    this.#branch.addEventListener("shown", this.#refresh);
    this.#branch.addEventListener("trouble", ({ detail }) => this.#composer.say(complaint(detail.status)));
    for (const view of this.#transcript.openAnswers) {
      const { state } = view.element.dataset;
      view.status({ state, phase: state === "queued" ? "queued" : "waiting" });
      this.#streams.add(view.generation);
    }
    for (const command of this.#delivery.commands) {
      if (command.type === "send" && command.conversation === this.#conversation.id) this.#showPrompt(command);
      this.#showLate(command);
    }
    this.#refresh();
  }

  /**
   * Connected, perhaps again: what is still wanted is asked for.
   * @type {(event: CustomEvent<HelloFrame>) => Promise<void>}
   */
  #greet = async ({ detail: hello }) => {
    if (hello.user.id !== this.#user) {
      // Somebody else has logged in meanwhile: nothing of this page is theirs.
      location.reload();
      return;
    }
    this.#models = hello.models;
    this.#composer.models = hello.models;
    this.#watch();
    this.#streams.askAgain();
    this.#delivery.resume();
    await this.#branch.catchUp(this.#sidebar.refresh().then(() => this.#sidebar.updatedAt(this.#conversation.id)));
    const title = this.#sidebar.title(this.#conversation.id); // perhaps a new one
    if (title !== null) this.#conversation.rename(title);
    this.#refresh();
  };

  #watch() {
    this.#socket.send({ type: "watch", conversation: this.#conversation.id });
  }

  #begin = () => {
    this.#branch.settle();
    this.#watch();
  };

  #show = () => {
    const { title, isDeleted } = this.#conversation;
    this.#parts.deleted.hidden = !isDeleted;
    this.#parts.dock.hidden = isDeleted;
    if (title === "") return;
    this.#parts.title.textContent = title;
    document.title = title + document.title.slice(document.title.lastIndexOf(" · "));
  };

  /** @type {(event: CustomEvent<{text: string, model: string | null}>) => Promise<void>} */
  #send = async ({ detail }) => {
    /** @type {SendCommand} */
    const command = { type: "send", key: newKey(), conversation: this.#conversation.id, text: detail.text };
    if (detail.model !== null) command.model = detail.model;
    if (this.#branch.parent !== null) command.parent = this.#branch.parent;
    this.#showPrompt(command);
    this.#scrollPosition.toEnd();
    this.#delivery.hold(command);
    // Changed options hold for this prompt already; saving them may make the conversation.
    if (!this.#panel.isSaved) await this.#panel.flush();
    if (command.conversation === null && this.#conversation.id !== null) {
      command.conversation = this.#conversation.id;
      this.#delivery.keep(command);
    }
    this.#delivery.release(command);
  };

  /** @type {(event: CustomEvent<{view: MessageView, type: "continue" | "regenerate"}>) => void} */
  #retry = ({ detail: { view, type } }) => {
    if (view.isOpen || this.#delivery.isAsked(view.id)) return;
    /** @type {RegenerateCommand | ContinueCommand} */
    const command = { type, key: newKey(), message: view.id };
    if (command.type === "regenerate" && this.#composer.model !== null) command.model = this.#composer.model;
    if (view.element.contains(document.activeElement)) this.#composer.focus(); // the button goes with its answer
    this.#delivery.send(command);
  };

  // The oldest answer that runs: those after it wait for it.
  #stopFirst = () => {
    const view = this.#transcript.openAnswers.find(({ generation }) => !this.#delivery.isStopping(generation));
    if (view !== undefined) this.#stop(view);
  };

  /** @param {MessageView} view */
  #stop(view) {
    view.status({ state: "stopping", phase: "writing" });
    this.#delivery.stop(view.generation);
  }

  /** @param {PromptCommand} command */
  #showLate(command) {
    const view = this.#viewOf(command);
    if (view !== null) view.pending = text("not_sent_yet");
  }

  /** @param {SendCommand} command */
  #showPrompt(command) {
    this.#leaveWelcome();
    this.#transcript.addPrompt(command.key, command.text);
  }

  #leaveWelcome() {
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

  /** @type {(command: PromptCommand) => boolean} */
  #belongsHere = (command) => {
    if (this.#viewOf(command) !== null) return true;
    return command.type === "send" && command.conversation === this.#conversation.id;
  };

  /** @type {(event: CustomEvent<Frame>) => void} */
  #handle = ({ detail: frame }) => {
    switch (frame.type) {
      case "accepted":
        this.#accept(frame);
        break;
      case "refused":
        this.#delivery.refuse(frame.key, frame);
        break;
      case "error":
        this.#complain(frame);
        break;
      case "conversation":
        this.#sidebar.apply(frame);
        this.#conversation.apply(frame);
        break;
      case "message":
        this.#take(frame);
        break;
      case "hb":
        this.#streams.compare(frame.heads);
        if (frame.models) this.#composer.models = frame.models;
        break;
      default:
        this.#streams.apply(frame);
    }
  };

  /** @param {AcceptedFrame} frame */
  #accept(frame) {
    const command = this.#delivery.accept(frame.key);
    const here = command === undefined ? null : this.#viewOf(command);
    if (command === undefined || here === null) {
      // Sent again for another tab or page: the answer is found there.
      if (this.#streams.has(frame.generation)) return;
      this.#socket.send({ type: "unfollow", generation: frame.generation });
      if (frame.conversation === this.#conversation.id) this.#branch.show(); // its place went, or its tab
      return;
    }
    here.pending = "";
    if (this.#transcript.byGeneration(frame.generation) === null) {
      this.#put(frame, command, here);
      this.#streams.begin(frame.generation);
      this.#branch.settle();
    } else if (command.type === "send") {
      this.#transcript.removeFrom(here); // the page was loaded since, or another tab sent it
    }
    this.#refresh();
    this.#scrollPosition.keep();
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
      this.#conversation.begin(frame.conversation);
      this.#list(frame.conversation, command.text);
    } else {
      const versions = [...here.versions, id];
      this.#transcript.removeFrom(here);
      this.#transcript.addAnswer({ ...answer, versions, after: this.#transcript.byId(frame.user_message) });
      this.#sidebar.touch(frame.conversation);
    }
  }

  /**
   * A conversation that nobody has listed yet is called after its first prompt.
   * @param {string} conversation
   * @param {string} prompt
   */
  #list(conversation, prompt) {
    if (this.#sidebar.has(conversation)) {
      this.#sidebar.touch(conversation);
      return;
    }
    const title = titleOf(prompt);
    this.#conversation.rename(title);
    this.#sidebar.add(conversation, title);
  }

  /** @param {MessageAddedFrame} frame */
  #take({ conversation, message }) {
    if (conversation !== this.#conversation.id) return;
    this.#leaveWelcome();
    const model = this.#models.find(({ id }) => id === this.#conversation.model);
    this.#branch.add(message, model?.label ?? text("answer"));
    this.#refresh();
  }

  /**
   * Its text goes to where it was written, or waits there as the draft.
   * @type {(event: CustomEvent<Returned>) => void}
   */
  #takeBack = ({ detail: { command, isMine, reason } }) => {
    const isHere = this.#belongsHere(command);
    const view = this.#viewOf(command);
    if (view !== null && command.type === "send") this.#transcript.removeFrom(view);
    else if (view !== null) view.pending = "";
    this.#refresh();
    if (command.type === "send" && isHere) {
      this.#composer.giveBack(command.text, reason);
      return;
    }
    if (command.type === "send") this.#composer.leave(command.conversation, command.text);
    if (isMine) this.#composer.say(reason);
  };

  /** @param {ErrorFrame} frame */
  #complain(frame) {
    const { ref, code, message } = frame;
    if (ref === null) return;
    if (!this.#delivery.fail(frame)) this.#composer.say(message);
    if (code === "not_found" && this.#streams.lose(ref)) {
      this.#transcript.byGeneration(ref)?.lose(message);
      this.#refresh();
    }
  }

  /** @type {(event: CustomEvent<{generation: string}>) => void} */
  #ended = ({ detail: { generation } }) => {
    this.#delivery.ended(generation);
    this.#refresh();
    this.#scrollPosition.keep(); // the receipt stands below the text
  };

  // While something runs, the next prompt waits on the server; a new conversation has to be accepted first.
  #refresh = () => {
    const waits = this.#delivery.commands.some((command) => this.#viewOf(command) !== null);
    this.#composer.setRunning(this.#transcript.openAnswers.length > 0);
    const isBeginning = waits && this.#conversation.id === null;
    this.#composer.setBlocked(isBeginning);
    this.#panel.isHeld = isBeginning && !this.#delivery.isHolding;
    this.#transcript.forEachAnswer((view) => {
      view.canRetry = !view.isOpen && !this.#delivery.isAsked(view.id);
    });
  };
}
