// Which way through the tree of messages stands on the page: goes to another version, takes in what other tabs add, and
// loads the messages anew when something may have been missed.
//
// Events: "shown", "trouble" (detail: {status}): the messages could not be loaded, and those on the page stay.

const OK = 200;

export class Branch extends EventTarget {
  #chat;
  #transcript;
  #followings;
  #requests;
  #place;
  #conversation;
  #chosen;
  #isNewest;
  #updatedAt;
  #loads = 0;

  constructor({ page, transcript, followings, requests, place }) {
    super();
    this.#chat = page.chat;
    this.#transcript = transcript;
    this.#followings = followings;
    this.#requests = requests;
    this.#place = place;
    this.#conversation = page.conversation;
    this.#read(page);
  }

  start() {
    this.#transcript.addEventListener("version", ({ detail }) => this.show(detail));
    this.#transcript.addEventListener("left", ({ detail: view }) => this.#followings.leave(view.generation));
  }

  // Where a new prompt belongs; null = after the newest message, which stands here.
  get parent() {
    return this.#isNewest ? null : this.#transcript.lastId;
  }

  get conversation() {
    return this.#conversation;
  }

  // The new conversation has got its id.
  begin(conversation) {
    this.#conversation = conversation;
  }

  // What was just said here is the newest of all.
  settle() {
    this.#chosen = "";
    this.#isNewest = true;
    this.#showAddress();
  }

  // The branch of `message` takes the place of the one on the page, and the reader stays where the message is.
  async show(message) {
    const status = await this.#load(message);
    if (status !== OK) this.#tell("trouble", { status });
  }

  // After a hello: `updatedAt` is when something was said last, in ms; null = not lately.
  async catchUp(updatedAt) {
    if (this.#conversation !== null && updatedAt !== null && updatedAt !== this.#updatedAt) await this.#load(this.#chosen);
  }

  // Of the conversation's own frame.
  note(updatedAt) {
    this.#updatedAt = Date.parse(updatedAt);
  }

  // A message that another tab brought about. `speaker`: who answers.
  hear({ id, parent, role, content, created_at: createdAt, generation }, speaker) {
    if (this.#transcript.byId(id) !== null) return;
    const before = parent === null ? null : this.#transcript.byId(parent);
    if (parent !== null && before === null) return; // on another branch
    const other = this.#transcript.following(before);
    const versions = [...(other?.versions ?? []), id];
    if (other !== null && !this.#isNewest) {
      other.versions = versions;
      return;
    }
    if (other !== null) this.#transcript.removeFrom(other);
    if (role === "assistant") {
      this.#transcript.addAnswer({ id, generation, speaker, versions, createdAt, after: before });
      this.#followings.follow(generation);
    } else {
      this.#transcript.addPrompt(id, content, { versions, createdAt, after: before });
    }
    this.#place.keep();
  }

  // → the answer's HTTP status.
  async #load(chosen) {
    const load = (this.#loads += 1);
    const { status, document: page } = await this.#requests.document(this.#address(chosen));
    if (status !== OK || load !== this.#loads) return status;
    const before = this.#transcript.versionOf(chosen)?.element.getBoundingClientRect().top;
    this.#transcript.swap([...page.querySelectorAll("[data-part=messages] > [data-message-id]")]);
    this.#transcript.openAnswers.forEach((view) => this.#followings.follow(view.generation));
    this.#read(JSON.parse(page.getElementById("page").textContent));
    this.#showAddress();
    const shown = this.#transcript.byId(chosen);
    if (before !== undefined && shown !== null) this.#place.keepAt(shown.element, before);
    else this.#place.keep();
    this.#tell("shown");
    return status;
  }

  #tell(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #read({ message, is_newest: isNewest, updated_at: updatedAt }) {
    this.#chosen = message;
    this.#isNewest = isNewest;
    this.#updatedAt = Date.parse(updatedAt);
  }

  // A reload shows the same branch.
  #showAddress() {
    if (this.#conversation !== null) history.replaceState(null, "", this.#address(this.#chosen));
  }

  #address(chosen) {
    const address = `${this.#chat}${this.#conversation}/`;
    return chosen === "" ? address : `${address}?message=${chosen}`;
  }
}
