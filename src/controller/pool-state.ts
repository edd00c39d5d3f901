import { PoolClosedError } from "../errors.ts";
import type { FunctionRecord } from "../function/record.ts";

/**
 * The state of a pool:
 *
 *   opening ──every worker serves──▶ open ──close──▶ closing ──────────────────────┐
 *      └──────────────┴───────────────┴──a drain signal──▶ draining ──time is over──┤
 *                     └──terminate────────┴──────────────────────┴──────▶ terminated
 *
 * A pool may also be broken: it runs nothing, and every call fails with the reason. A broken pool
 * is closed like any other.
 */
export class PoolState {
  #state: "opening" | "open" | "closing" | "draining" | "terminated" = "opening";
  #hasOpened = false;
  #broken: { readonly error: unknown } | null = null;
  #drained: string | null = null;

  /** Every worker has served once. */
  get hasOpened(): boolean {
    return this.#hasOpened;
  }

  get isClosing(): boolean {
    return this.#state === "closing";
  }

  get isTerminated(): boolean {
    return this.#state === "terminated";
  }

  /** Why the pool is broken; null if it is not. */
  get broken(): { readonly error: unknown } | null {
    return this.#broken;
  }

  /** The drain signal that came; null for none. */
  get drained(): string | null {
    return this.#drained;
  }

  open(): void {
    this.#hasOpened = true;
    if (this.#state === "opening") this.#state = "open";
  }

  close(): void {
    if (this.#state === "open" || this.#state === "opening") this.#state = "closing";
  }

  /** Starts to drain; false where the pool is broken or terminated. */
  drain(signal: string): boolean {
    this.#drained = signal;
    if (this.#broken !== null || this.isTerminated) return false;
    this.#state = "draining";
    return true;
  }

  terminate(): void {
    this.#state = "terminated";
  }

  break(error: unknown): void {
    this.#broken ??= { error };
  }

  /** Whether a lost worker is to be replaced: calls may come, or `pending` ones wait. */
  needsWorkers(pending: number): boolean {
    if (this.#broken !== null || this.#state === "draining") return false;
    return this.#state === "opening" || this.#state === "open" || pending > 0;
  }

  /** Whether calls are not refused. */
  get takesCalls(): boolean {
    return this.#broken === null && (this.#state === "open" || this.#state === "opening");
  }

  /** Why a call of `fn` is refused; null where it is not. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null {
    if (this.#broken !== null) return this.#broken;
    if (this.takesCalls) return null;
    return { error: new PoolClosedError(`Cannot call ${fn.label}: the pool was ${this.#how}`) };
  }

  get #how(): string {
    if (this.#drained !== null) return `closed by ${this.#drained}`;
    return this.#state === "closing" ? "closed" : "terminated";
  }
}
