// @ts-check
// Markdown that still grows → the sentences that are finished, as one reads them out. Pure.

const LINE = /[^\n]*\n|[^\n]+$/g;
const QUOTE = /^[ \t]*(?:>[ \t]?)+/;
const FENCE = /^[ \t]*(\x60{3,}|~{3,})/;
const MAYBE_FENCE = /^[ \t]*[\x60~]{1,2}$/;
const NO_TEXT = /^[ \t]*(?:(?:[-=*_][ \t]*)+|[|:\- \t]+| {0,3}\[[^\]]+\]:.*)?$/; // rules, a table's second row, definitions
const ALONE = /^[ \t]*(?:#{1,6}[ \t]+|(?=\|))/; // headings, rows of a table
const ITEM = /^[ \t]*(?:[-+*][ \t]+(?:\[[ xX]\][ \t]+)?|(?=\d{1,9}[.)][ \t]))/;
const OPEN_LINK = /^\[[^\]]*(?:\](?:\([^)]*)?)?$/;

// These two look only at the end of a text, so that no text makes them slow.
const TAIL = 40;
const ENDS = /(?:[.!?…؟۔।]["'”’»)\]]*\s+|[。！？]["'”’»」』）]*\s*)$/u;
const ABBREVIATION =
  /(?:^|[\s("'“‘«])(?:\p{L}|(?:\p{L}\.\s?)+\p{L}|\d{1,2}|Dr|Mr|Mrs|Ms|Prof|St|Nr|No|vs|ca|cf|bzw|Fig|Sr|Jr|руб|гг)\.\s+$/iu;

export class Sentences {
  #source = "";
  #start = 0; // where the block begins that isn't read to its end
  #read = 0; // so many characters of it, as it is read out, were taken
  #fence = "";
  #code;
  #segmenter;

  /**
   * `code` is read for each fenced block.
   * @param {string} language
   * @param {string} code
   */
  constructor(language, code) {
    this.#code = code;
    this.#segmenter = new Intl.Segmenter(language, { granularity: "sentence" });
  }

  /** @param {string} text */
  append(text) {
    this.#source += text;
  }

  /**
   * The whole text anew. Unless it goes on from what was here, what stands in it counts as read.
   * @param {string} source
   */
  replace(source) {
    const goesOn = source.startsWith(this.#source);
    this.#source = source;
    if (!goesOn) this.skip();
  }

  // Everything that is here counts as read, but for a sentence that isn't finished.
  skip() {
    this.#start = 0;
    this.#read = 0;
    this.#fence = "";
    this.take();
  }

  /**
   * The sentences that were finished since the last time; `isWhole`: nothing comes any more.
   * @param {boolean} [isWhole]
   * @returns {string[]}
   */
  take(isWhole = false) {
    /** @type {string[]} */
    const found = [];
    let block = "";
    let at = this.#start;
    const close = (/** @type {number} */ end) => {
      found.push(...this.#sentences(spoken(block), true));
      block = "";
      this.#start = end;
      this.#read = 0;
    };
    for (const [whole] of this.#source.slice(at).matchAll(LINE)) {
      const isFinished = isWhole || whole.endsWith("\n");
      const line = whole.trimEnd().replace(QUOTE, "");
      const fence = FENCE.exec(line)?.[1] ?? "";
      // What is only begun may still become a fence, and a fence isn't read.
      if (!isFinished && (this.#fence !== "" || fence !== "" || MAYBE_FENCE.test(line))) break;
      const next = at + whole.length;
      if (this.#fence !== "") {
        if (fence.startsWith(this.#fence) && line.trim() === fence) this.#fence = "";
        this.#start = next;
      } else if (fence !== "") {
        close(next);
        found.push(this.#code);
        this.#fence = fence;
      } else if (NO_TEXT.test(line)) {
        if (isFinished) close(next);
      } else {
        const isAlone = ALONE.test(line);
        if ((isAlone || ITEM.test(line)) && at > this.#start) close(at);
        block += line.replace(isAlone ? ALONE : ITEM, "").trim() + (/\s$/.test(whole) ? " " : "");
        if (isAlone && isFinished) close(next);
      }
      at = next;
    }
    if (isWhole) close(this.#source.length);
    else found.push(...this.#sentences(spoken(withoutOpenLink(block)), false));
    return found;
  }

  /**
   * @param {string} text
   * @param {boolean} isClosed
   */
  #sentences(text, isClosed) {
    /** @type {string[]} */
    const found = [];
    let sentence = "";
    const pieces = this.#pieces(text.slice(this.#read));
    for (const [index, piece] of pieces.entries()) {
      sentence += piece;
      const tail = sentence.slice(-TAIL);
      const mayGoOn = index === pieces.length - 1 && !/\s$/.test(piece);
      if (mayGoOn || !ENDS.test(tail) || ABBREVIATION.test(tail)) continue;
      found.push(sentence);
      sentence = "";
    }
    if (isClosed) found.push(sentence);
    else this.#read += found.join("").length;
    return found.map((one) => one.trim()).filter((one) => /[\p{L}\p{N}]/u.test(one));
  }

  /**
   * Where a sentence may end: the browser knows more about that than the marks alone tell.
   * @param {string} text
   */
  #pieces(text) {
    return [...this.#segmenter.segment(text)].flatMap(({ segment }) => segment.split(/(?<=…["'”’»)\]]?\s)/u));
  }
}

/** @param {string} block */
function withoutOpenLink(block) {
  const at = block.lastIndexOf("[");
  return at >= 0 && OPEN_LINK.test(block.slice(at)) ? block.slice(0, at) : block;
}

/**
 * A block as it is read: without the marks of Markdown.
 * @param {string} block
 */
function spoken(block) {
  return block
    .replace(/^\|[ \t]*/, "")
    .replace(/\| ?$/, "")
    .replace(/ ?\|[ \t]*/g, ", ")
    .replace(/!?\[([^[\]]*)\](?:\([^()]*\)|\[[^[\]]*\])/g, "$1")
    .replace(/(?<!\\)(?:\x60+|~~|\*+(?=\S)|(?<=\S)\*+)/g, "")
    .replace(/(?<![\p{L}\p{N}\\])_+(?=\S)|(?<=\S)_+(?![\p{L}\p{N}])/gu, "")
    .replace(/\\([\p{P}\p{S}])/gu, "$1");
}
