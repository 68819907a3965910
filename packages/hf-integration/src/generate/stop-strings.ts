// StopStrings: passes text on until one of the strings appears; what might be the start of one is held back.
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  /** The string that ended the text, once one has. */
  matched: string | undefined;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
  }

  /** The part of the text so far that no stop string can still take back. */
  push(piece: string): string {
    if (this.matched !== undefined) return '';
    const text = this.#held + piece;
    let first = -1;
    for (const stop of this.#stops) {
      const at = text.indexOf(stop);
      if (at >= 0 && (first < 0 || at < first)) {
        first = at;
        this.matched = stop;
      }
    }
    if (first >= 0) {
      this.#held = '';
      return text.slice(0, first);
    }
    const keep = this.#stops.reduce((most, stop) => Math.max(most, overlap(text, stop)), 0);
    this.#held = text.slice(text.length - keep);
    return text.slice(0, text.length - keep);
  }

  /** The end of the text: nothing can complete what was held back. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** The length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let n = Math.min(text.length, stop.length - 1); n > 0; n--) {
    if (stop.startsWith(text.slice(text.length - n))) return n;
  }
  return 0;
}
