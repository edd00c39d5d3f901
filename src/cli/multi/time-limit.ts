/** The time that a job may take: a number of ms, or a share of what others took. */
import type { Timeout } from "./options.ts";

/** Before so many jobs have ended there is no median to speak of. */
const FEWEST = 3;

export class TimeLimit {
  readonly #timeout: Timeout | null;
  /** Times of the jobs that ended well, sorted; only for a share of their median. */
  readonly #times: number[] = [];

  constructor(timeout: Timeout | null) {
    this.#timeout = timeout;
  }

  /** ms for a job that starts now; 0: no limit. */
  ms(): number {
    const { ms = null, percent = null } = this.#timeout ?? {};
    if (ms !== null || percent === null) return ms ?? 0;
    const median = this.#times[this.#times.length >> 1];
    return this.#times.length < FEWEST ? 0 : (median! * percent) / 100;
  }

  add(time: number): void {
    if (this.#timeout?.percent == null) return;
    let low = 0;
    for (let high = this.#times.length; low < high;) {
      const middle = (low + high) >> 1;
      if (this.#times[middle]! < time) low = middle + 1;
      else high = middle;
    }
    this.#times.splice(low, 0, time);
  }
}
