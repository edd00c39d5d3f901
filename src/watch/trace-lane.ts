/** A part of a worker's row: a call, or several that were merged. */
export interface Slice {
  readonly name: string;
  /** How many calls. */
  count: number;
  /** On `performance.now()`. */
  begin: number;
  end: number;
  /** ms that the calls took by themselves. */
  run: number;
  readonly id: number;
  readonly attempt: number;
  /** "done", or why there is no result. */
  readonly state: string;
  readonly error: string | null;
  /** Null for a later piece of a call that waited for tasks of its own: it was not queued again. */
  readonly queuedAt: number | null;
}

/** Merged calls that are this many ms apart are no neighbours. */
const GAP_MS = 1;

/**
 * The slices of one worker, which runs one call at a time: none of them overlap. A message has the
 * answers of several calls, and one time: they are laid out backwards from that, one after another.
 */
export class Lane {
  readonly #emit: (slice: Slice) => void;
  /** Of the message that is being read. */
  #message: Slice[] = [];
  /** Laid out, and may be merged with the next. */
  #last: Slice | null = null;
  /** Until when the row is taken. */
  #until = -Infinity;

  constructor(emit: (slice: Slice) => void) {
    this.#emit = emit;
  }

  /** A call has ended. With `span` it may be merged with its neighbours to so many ms. */
  add(slice: Slice, span: number): void {
    const before = this.#message.at(-1);
    if (before !== undefined && before.end !== slice.end) this.#layOut(span);
    const last = this.#message.at(-1);
    if (span > 0 && last !== undefined && isAlike(last, slice)) {
      last.count += slice.count;
      last.run += slice.run;
      last.begin = Math.min(last.begin, slice.begin);
    } else this.#message.push(slice);
  }

  /** Gives all that was kept. */
  flush(span: number): void {
    this.#layOut(span);
    if (this.#last !== null) this.#emit(this.#last);
    this.#last = null;
  }

  #layOut(span: number): void {
    const slices = this.#message;
    if (slices.length === 0) return;
    this.#message = [];
    let end = slices.at(-1)!.end;
    for (let i = slices.length - 1; i >= 0; i--) {
      const slice = slices[i]!;
      slice.end = Math.max(end, this.#until);
      slice.begin = Math.max(slice.end - slice.run, this.#until);
      end = slice.begin;
    }
    for (const slice of slices) this.#place(slice, span);
    this.#until = slices.at(-1)!.end;
  }

  #place(slice: Slice, span: number): void {
    const last = this.#last;
    const fits =
      last !== null &&
      isAlike(last, slice) &&
      slice.begin - last.end < Math.max(GAP_MS, span / 10) &&
      slice.end - last.begin <= span;
    if (fits) {
      last.count += slice.count;
      last.run += slice.run;
      last.end = slice.end;
      return;
    }
    if (last !== null) this.#emit(last);
    this.#last = span > 0 ? slice : null;
    if (span <= 0) this.#emit(slice);
  }
}

function isAlike(a: Slice, b: Slice): boolean {
  return a.name === b.name && a.state === "done" && b.state === "done";
}
