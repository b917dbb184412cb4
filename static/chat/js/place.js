// The reader's place: at the end the page goes along with the text; anywhere else it stays where the reader is.

const NEAR_PX = 48;
const UPWARD_KEYS = new Set(["ArrowUp", "PageUp", "Home"]);

export class Place {
  #isAtEnd = true;
  #touchedAt = 0;

  start() {
    addEventListener("scroll", this.#scrolled, { passive: true });
    addEventListener("wheel", this.#wheeled, { passive: true });
    addEventListener("touchstart", this.#touched, { passive: true });
    addEventListener("touchmove", this.#dragged, { passive: true });
    addEventListener("keydown", this.#pressed);
  }

  stop() {
    removeEventListener("scroll", this.#scrolled);
    removeEventListener("wheel", this.#wheeled);
    removeEventListener("touchstart", this.#touched);
    removeEventListener("touchmove", this.#dragged);
    removeEventListener("keydown", this.#pressed);
  }

  // Text has grown: goes along, if that is what the reader wants.
  keep = () => {
    if (this.#isAtEnd) this.toEnd();
  };

  toEnd() {
    this.#isAtEnd = true;
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }

  #scrolled = () => {
    const { scrollHeight } = document.documentElement;
    if (scrollHeight - innerHeight - scrollY <= NEAR_PX) this.#isAtEnd = true;
    else if (scrollY < this.#lastY) this.#isAtEnd = false;
    this.#lastY = scrollY;
  };

  #lastY = 0;

  // One movement upwards lets go at once, even within reach of the end.
  #wheeled = (event) => {
    if (event.deltaY < 0) this.#isAtEnd = false;
  };

  #touched = (event) => {
    this.#touchedAt = event.touches[0].clientY;
  };

  #dragged = (event) => {
    if (event.touches[0].clientY > this.#touchedAt) this.#isAtEnd = false;
  };

  #pressed = (event) => {
    if (UPWARD_KEYS.has(event.key) && !event.target.matches("textarea, input, select")) this.#isAtEnd = false;
  };
}
