import { stackOf, textOf } from "./error-text.ts";

/** Different texts that are counted; of more it is counted how many failures had others. */
const KEPT = 100;

/** Failures by the text of their errors. */
export class FailureCounts {
  readonly #counts = new Map<string, number>();
  /** Where the first of each was thrown. */
  readonly #stacks = new Map<string, string>();
  /** Failures with other texts. */
  others = 0;

  /** `count` tasks have failed with the same error. */
  add(error: unknown, count: number): void {
    const text = textOf(error);
    const before = this.#counts.get(text);
    if (before === undefined && this.#counts.size >= KEPT) this.others += count;
    else this.#counts.set(text, (before ?? 0) + count);
    if (before === undefined && this.#counts.has(text)) this.#stacks.set(text, stackOf(error));
  }

  /** The most frequent ones first. */
  get most(): readonly (readonly [text: string, count: number])[] {
    return [...this.#counts].sort(([, a], [, b]) => b - a);
  }

  /** Where the first failure with that text was thrown; empty where it does not say. */
  stackOf(text: string): string {
    return this.#stacks.get(text) ?? "";
  }
}
