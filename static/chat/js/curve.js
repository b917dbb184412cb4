// The small drawing of a receipt: characters over time. Pure but for `draw`.

const POINTS = 24;
const WIDTH = 56;
const HEIGHT = 16;
const MARGIN = 1;

// Keeps at most 24 points of what goes on for as long as it likes, evenly over the time.
export class Curve {
  #points = [];

  // `data-curve`: "ms,characters ms,characters…".
  static from(written) {
    const curve = new Curve();
    for (const pair of written.trim().split(/\s+/)) {
      const [ms, characters] = pair.split(",").map(Number);
      if (Number.isFinite(ms) && Number.isFinite(characters)) curve.add(ms, characters);
    }
    return curve;
  }

  get isEmpty() {
    return this.#points.length < 2 || this.#points.at(-1)[1] === 0;
  }

  // So many characters were here after so many milliseconds; both never go back.
  add(ms, characters) {
    const last = this.#points.at(-1);
    if (last !== undefined && ms <= last[0]) this.#points.pop();
    this.#points.push([Math.max(ms, last?.[0] ?? 0), characters]);
    if (this.#points.length > POINTS) this.#thin();
  }

  // The points as a <polyline> takes them.
  toString() {
    const [endMs, end] = this.#points.at(-1) ?? [0, 0];
    const x = (ms) => (endMs === 0 ? 0 : (ms / endMs) * WIDTH);
    const y = (characters) => HEIGHT - MARGIN - (end === 0 ? 0 : (characters / end) * (HEIGHT - 2 * MARGIN));
    return this.#points.map(([ms, characters]) => `${x(ms).toFixed(1)},${y(characters).toFixed(1)}`).join(" ");
  }

  // Takes out the point whose neighbours are closest to each other; the first and the last stay.
  #thin() {
    let closest = 1;
    const span = (index) => this.#points[index + 1][0] - this.#points[index - 1][0];
    for (let index = 2; index < this.#points.length - 1; index += 1) {
      if (span(index) < span(closest)) closest = index;
    }
    this.#points.splice(closest, 1);
  }
}

// Shows `curve` in the `.spark` of a receipt, which is hidden while there is nothing to draw.
export function draw(curve, spark) {
  spark.toggleAttribute("hidden", curve.isEmpty);
  if (!curve.isEmpty) spark.querySelector("polyline").setAttribute("points", String(curve));
}
