// What was just deleted, a line each: Undo brings it back while the line is there.

import { complaint } from "chat/requests";
import { text } from "chat/strings";

const SHOWN_MS = 10_000;
const AT_MOST_MS = 28_000; // the portal keeps it for 30 s
const DONE = 204;
const NOT_FOUND = 404;

export class UndoNotices {
  #region;
  #mould;
  #countdowns = new Map();

  constructor(region, mould) {
    this.#region = region;
    this.#mould = mould;
    const pause = () => this.#countdowns.forEach((countdown) => countdown.pause());
    const goOn = () => {
      if (!region.matches(":hover, :focus-within")) this.#countdowns.forEach((countdown) => countdown.goOn());
    };
    region.addEventListener("pointerenter", pause);
    region.addEventListener("focusin", pause);
    region.addEventListener("pointerleave", goOn);
    // Where the focus goes is known a moment later.
    region.addEventListener("focusout", () => setTimeout(goOn));
  }

  // `undo` answers with a status of HTTP; `back` puts the focus to where the deleted thing was. Returns the line.
  add({ title, undo, back }) {
    const line = this.#mould.firstElementChild.cloneNode(true);
    const button = line.querySelector("button");
    const say = (words) => (line.querySelector(".undo__text").textContent = words);
    say(text("deleted", { title }));
    button.ariaLabel = text("undo_of", { title });
    button.addEventListener("click", async () => {
      if (button.ariaDisabled === "true") return;
      button.ariaDisabled = "true";
      const status = await undo();
      button.ariaDisabled = null;
      if (status === DONE) this.#remove(line, back);
      else say(status === NOT_FOUND ? text("undo_too_late") : complaint(status));
      if (status === NOT_FOUND) button.remove();
    });
    line.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.#remove(line, back);
    });
    this.#region.append(line);
    this.#countdowns.set(line, new Countdown(() => this.#remove(line, back)));
    return line;
  }

  #remove(line, back) {
    this.#countdowns.get(line)?.stop();
    this.#countdowns.delete(line);
    if (line.contains(document.activeElement)) back();
    line.remove();
  }
}

// Calls `done` after SHOWN_MS, the pauses not counted, but in any case after AT_MOST_MS.
export class Countdown {
  #done;
  #left = SHOWN_MS;
  #since = 0;
  #timer = null;
  #last;

  constructor(done) {
    this.#done = done;
    this.#last = setTimeout(this.#end, AT_MOST_MS);
    this.goOn();
  }

  goOn() {
    if (this.#timer !== null || this.#last === null) return;
    this.#since = Date.now();
    this.#timer = setTimeout(this.#end, this.#left);
  }

  pause() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#left -= Date.now() - this.#since;
  }

  stop() {
    this.pause();
    clearTimeout(this.#last);
    this.#last = null;
  }

  #end = () => {
    this.stop();
    this.#done();
  };
}
