// The answers that this page follows: asks for what is missing, puts what comes into its message, and checks the end.
//
// Event: "ended" (detail: {generation}).

import { tell } from "chat/elements";
import { agrees, Following } from "chat/following";

const BEHIND_MS = 1_000;

export class Followings extends EventTarget {
  #socket;
  #transcript;
  #announcer;
  #all = new Map();

  constructor({ socket, transcript, announcer }) {
    super();
    this.#socket = socket;
    this.#transcript = transcript;
    this.#announcer = announcer;
  }

  has(generation) {
    return this.#all.has(generation);
  }

  // One that was there when the page was loaded: it is asked for after hello.
  add(generation) {
    this.#all.set(generation, new Following(generation));
  }

  // One that was just accepted here: the portal sends it without being asked.
  begin(generation) {
    this.add(generation);
    this.#announcer.begin(generation);
  }

  // Asks for it.
  follow(generation) {
    if (this.has(generation)) return;
    this.add(generation);
    this.#socket.send(this.#all.get(generation).ask());
  }

  // Nobody looks on any more. The answer goes on without that.
  leave(generation) {
    if (this.#all.delete(generation)) this.#socket.send({ type: "unfollow", generation });
  }

  // The portal doesn't know it.
  lose(generation) {
    return this.#all.delete(generation);
  }

  // Connected, perhaps again: everything that is still wanted is asked for once more.
  askAgain() {
    for (const following of this.#all.values()) {
      if (!following.isFinal) this.#socket.send(following.ask());
    }
  }

  // A heartbeat may overtake a delta that is just being sent: whoever is still behind a moment later asks again.
  compare(heads) {
    for (const [generation, head] of Object.entries(heads)) {
      const following = this.#all.get(generation);
      if (!following?.isBehind(head)) continue;
      setTimeout(() => following.isBehind(head) && this.#socket.send(following.ask()), BEHIND_MS);
    }
  }

  hear(frame) {
    const following = this.#all.get(frame.generation);
    if (following === undefined) return;
    const { generation } = following;
    const view = this.#transcript.byGeneration(generation);
    switch (following.apply(frame)) {
      case "replaced":
        view?.replace(following.text, following.reasoning);
        this.#announcer.replace(generation, following.text);
        break;
      case "appended":
        view?.append(frame.text ?? "", frame.reasoning ?? "");
        this.#announcer.append(generation, frame.text ?? "");
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
    const { generation } = following;
    if (view !== null) this.#announcer.end(generation, view.finish(frame));
    tell(this, "ended", { generation });
    if (await agrees(following.text, frame)) {
      this.#all.delete(generation);
      return;
    }
    const again = following.askAnew();
    if (again === null) this.#all.delete(generation);
    else this.#socket.send(again);
  }
}
