import { own, performance, setTimeout } from "../os/natives.ts";
import { whole } from "../os/whole.ts";
import { timerDelay } from "../os/waits.ts";

/**
 * Reports the first of the drain signals, once. Further ones within the grace period are ignored,
 * since a launcher and a batch system may both send one. After it, the signals mean what they meant
 * before.
 */
export class DrainSignals {
  readonly #signals: readonly string[];
  readonly #graceMs: number;
  readonly #onFirst: (signal: string) => void;
  #state: "off" | "on" | "heard" = "off";
  #graceEnds = 0;

  constructor(signals: readonly string[], graceMs: number, onFirst: (signal: string) => void) {
    this.#signals = signals;
    this.#graceMs = graceMs;
    this.#onFirst = onFirst;
  }

  listen(): void {
    if (this.#state !== "off") return;
    this.#state = "on";
    for (const signal of this.#signals) own.on(signal, this.#hear);
  }

  /** The pool is over: stops listening, once the grace period has ended. */
  stop(): void {
    if (this.#state === "off") return;
    const left = this.#state === "heard" ? this.#graceEnds - performance.now() : 0;
    this.#state = "off";
    if (left <= 0) return this.#stop();
    setTimeout(() => this.#stop(), timerDelay(left)).unref();
  }

  readonly #hear = (signal: string): void => {
    if (this.#state !== "on") return;
    this.#state = "heard";
    this.#graceEnds = performance.now() + this.#graceMs;
    // A task may emit the signal.
    whole(() => this.#onFirst(signal));
  };

  #stop(): void {
    for (const signal of this.#signals) own.off(signal, this.#hear);
  }
}
