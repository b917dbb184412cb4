// What stands around a Chat in these tests: a socket that keeps what is sent, and a page without elements.

export class FakeSocket extends EventTarget {
  sent = [];
  ready = false;

  send(command) {
    if (this.ready) this.sent.push(command);
    return this.ready;
  }

  hello() {
    this.ready = true;
    this.#say("hello", { user: { id: 1 }, models: [] });
  }

  away() {
    this.ready = false;
  }

  hear(frame) {
    this.#say("frame", frame);
  }

  // What was sent of this type.
  of(type) {
    return this.sent.filter((command) => command.type === type);
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

globalThis.document ??= { activeElement: null };

export class FakeView {
  pending = "";
  versions = [];
  calls = [];
  element = { dataset: {}, contains: () => false };

  constructor(fields) {
    Object.assign(this, { isAnswer: false, isOpen: false }, fields);
  }

  status() {}

  append(...added) {
    this.calls.push(["append", ...added]);
  }

  replace(...whole) {
    this.calls.push(["replace", ...whole]);
  }

  finish({ state }) {
    this.isOpen = false;
    return state;
  }
}

export class FakeTranscript extends EventTarget {
  views = [];

  get lastId() {
    return this.views.findLast((view) => !view.isOnItsWay)?.id ?? null;
  }

  get isWaiting() {
    return this.views.at(-1)?.isOnItsWay ?? false;
  }

  // Whether another answer may be asked for, of each answer.
  get canRetry() {
    return this.views.filter((view) => view.isAnswer).map((view) => view.canRetry);
  }

  forEachAnswer(act) {
    this.views.filter((view) => view.isAnswer).forEach(act);
  }

  get openAnswers() {
    return this.views.filter((view) => view.isOpen);
  }

  byId(id) {
    return this.views.find((view) => view.id === id) ?? null;
  }

  byGeneration(generation) {
    return this.views.find((view) => view.generation === generation) ?? null;
  }

  addPrompt(key, prompt) {
    return this.add({ id: key, prompt, isOnItsWay: true });
  }

  addAnswer({ id, generation, versions }) {
    return this.add({ id, generation, versions, isAnswer: true, isOpen: true });
  }

  add(fields) {
    this.views.push(new FakeView(fields));
    return this.views.at(-1);
  }

  removeFrom(view) {
    if (this.views.includes(view)) this.views.splice(this.views.indexOf(view));
  }
}

export class FakeComposer extends EventTarget {
  model = null;
  chosen = { label: "fake" };
  calls = [];

  setRunning(canStop) {
    this.canStop = canStop;
  }

  setBlocked(isBlocked) {
    this.isBlocked = isBlocked;
  }

  goOn() {
    this.isAsNext = true;
  }

  giveBack(prompt, reason) {
    this.calls.push(["giveBack", prompt, reason]);
  }

  leave(conversation, prompt) {
    this.calls.push(["leave", conversation, prompt]);
  }

  say(problem) {
    this.calls.push(["say", problem]);
  }

  send(prompt) {
    this.dispatchEvent(new CustomEvent("send", { detail: { text: prompt, model: null } }));
  }
}
