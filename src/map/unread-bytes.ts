import { visibleBytes } from "./visible-bytes.ts";

/** Bytes of outcomes that wait for the reader, as far as they can be seen. */
export class UnreadBytes {
  readonly #isSettled: boolean;
  #bytes = 0;

  /** With `isSettled` outcomes hold their results as `value`. */
  constructor(isSettled: boolean) {
    this.#isSettled = isSettled;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** These wait from now on: their bytes. */
  add(outcomes: readonly unknown[]): number {
    let bytes = 0;
    for (let i = 0; i < outcomes.length; i++) bytes += this.#of(outcomes[i]);
    this.#bytes += bytes;
    return bytes;
  }

  /** This one is read. */
  take(outcome: unknown): void {
    if (this.#bytes > 0) this.#bytes -= this.#of(outcome);
  }

  #of(outcome: unknown): number {
    return visibleBytes(this.#isSettled ? (outcome as { value?: unknown }).value : outcome);
  }
}
