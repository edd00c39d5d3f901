/** How many jobs go to a worker together: a message takes as long as a short job. */

/** ms that a batch should take, and after which its worker gives the rest of it back. */
const BATCH_MS = 20;
export const PATIENCE_MS = 60;

const MOST = 16;

/** The share of the last job in the mean. */
const WEIGHT = 0.1;

export class Batches {
  readonly #mayBatch: boolean;
  readonly #slots: number;
  #mean: number | null = null;

  /** `mayBatch`: nothing depends on the end of each job before the next one starts. */
  constructor(mayBatch: boolean, slots: number) {
    this.#mayBatch = mayBatch;
    this.#slots = slots;
  }

  /** A job took so many ms. */
  add(ms: number): void {
    this.#mean = this.#mean === null ? ms : this.#mean + WEIGHT * (ms - this.#mean);
  }

  /** The size of the next batch, where so many jobs are left at least; null: not known. */
  size(left: number | null): number {
    if (!this.#mayBatch || this.#mean === null) return 1;
    const fitting = Math.min(MOST, Math.floor(BATCH_MS / Math.max(this.#mean, 1)));
    // At the end each place has something to do until all have not.
    const share = left === null ? fitting : Math.floor(left / (2 * this.#slots));
    return Math.max(1, Math.min(fitting, share));
  }
}
