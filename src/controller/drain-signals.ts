import { own, performance, setTimeout } from "../os/natives.ts";
import { whole } from "../os/whole.ts";
import { AGAIN_MS, timerDelay } from "../os/waits.ts";

/** The owner of drain signals. */
interface SignalOwner {
  /** The first of them has come. */
  onFirst(signal: string): void;
  /** It has come once more, by somebody who waits. */
  onAgain(signal: string): void;
}

/**
 * Reports the first of the drain signals, once, and the same signal once more, if it comes later
 * than a second: a launcher and a batch system may both send one. Others within the grace period
 * are ignored. After it, the signals mean what they meant before.
 */
export class DrainSignals {
  readonly #signals: readonly string[];
  readonly #graceMs: number;
  readonly #owner: SignalOwner;
  #state: "off" | "on" | "heard" | "again" = "off";
  #heard = "";
  #heardAt = 0;

  constructor(signals: readonly string[], graceMs: number, owner: SignalOwner) {
    this.#signals = signals;
    this.#graceMs = graceMs;
    this.#owner = owner;
  }

  listen(): void {
    if (this.#state !== "off") return;
    this.#state = "on";
    for (const signal of this.#signals) own.on(signal, this.#hear);
  }

  /** The pool is over: stops listening, once the grace period has ended. */
  stop(): void {
    if (this.#state === "off") return;
    const left = this.#state === "on" ? 0 : this.#heardAt + this.#graceMs - performance.now();
    this.#state = "off";
    if (left <= 0) return this.#stop();
    setTimeout(() => this.#stop(), timerDelay(left)).unref();
  }

  readonly #hear = (signal: string): void => {
    const now = performance.now();
    // A task may emit the signal.
    if (this.#state === "on") {
      this.#state = "heard";
      this.#heard = signal;
      this.#heardAt = now;
      whole(() => this.#owner.onFirst(signal));
    } else if (this.#state === "heard" && signal === this.#heard) {
      if (now - this.#heardAt < AGAIN_MS) return;
      this.#state = "again";
      whole(() => this.#owner.onAgain(signal));
    }
  };

  #stop(): void {
    for (const signal of this.#signals) own.off(signal, this.#hear);
  }
}
