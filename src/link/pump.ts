/**
 * When to look for messages, on the controller. Its thread belongs to the user's program, so nothing
 * here blocks: it looks at each turn of the event loop while something is likely to come, and
 * lets go step by step when nothing does.
 *
 *   answers are due, the last one came within `spin` µs:  at each turn (`setImmediate`)
 *   answers are due, none came for longer:                every 1 ms, after a second every 4 ms
 *   nothing is due:                                       not at all
 */
export class Pump {
  readonly #poll: () => boolean;
  readonly #due: () => boolean;
  readonly #spinMs: number;
  #lastMoved = 0;
  #immediate: NodeJS.Immediate | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** `poll` takes in what has come; `due` says whether anything more is expected. */
  constructor(poll: () => boolean, due: () => boolean, spinUs: number) {
    this.#poll = poll;
    this.#due = due;
    this.#spinMs = spinUs / 1000;
  }

  /** Something was sent: look for its answer at once. */
  wake(): void {
    if (this.#immediate !== null) return;
    this.#lastMoved = performance.now();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#immediate = setImmediate(this.#turn);
  }

  readonly #turn = (): void => {
    this.#immediate = null;
    this.#timer = null;
    const moved = this.#poll();
    // What came may have led to a call, and that to `wake`.
    if (this.#immediate !== null || !this.#due()) return;
    const now = performance.now();
    if (moved) this.#lastMoved = now;
    const quiet = now - this.#lastMoved;
    if (quiet <= this.#spinMs) this.#immediate = setImmediate(this.#turn);
    else this.#timer = setTimeout(this.#turn, quiet < 1000 ? 1 : 4);
  };
}

/** Keeps the process alive while something is due, where messages come as events of their own. */
export class KeepAlive {
  readonly #due: () => boolean;
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(due: () => boolean) {
    this.#due = due;
  }

  wake(): void {
    this.#timer ??= setInterval(() => this.rest(), 2_000_000_000);
  }

  /** Lets the process end, if nothing is due any more. */
  rest(): void {
    if (this.#timer === null || this.#due()) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
