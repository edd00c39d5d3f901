import type { RunningCall } from "../context.ts";
import { cpuUsage, setTimeout } from "../os/natives.ts";
import { LOOK_MS } from "../os/waits.ts";
import type { Calls } from "./calls.ts";

/** Between two looks at a worker on which calls wait for their children. */
const IDLE_MS = LOOK_MS / 10;

/** Of that time, the part that a process is busy which does nothing but wait. */
const IDLE_SHARE = 0.2;

interface Parts {
  readonly calls: Calls;
  hasPlace(): boolean;
  /** Takes a call's place from it. */
  suspend(call: RunningCall): void;
}

/**
 * Calls that wait for something unknown on a worker where others wait for their children. They may
 * wait for one of those others, by a promise that they found in a variable of a module: as long as
 * they keep their places, none of the others can go on. After a while without work they give them
 * up.
 */
export class IdleWaits {
  readonly #parts: Parts;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** The call that had begun last at the last look, and the µs that the process had used. */
  #begun = 0;
  #used = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** A call waits for its children from now on. */
  watch(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#look(), IDLE_MS);
    this.#timer.unref();
  }

  #look(): void {
    this.#timer = null;
    const { calls, hasPlace, suspend } = this.#parts;
    if (!calls.hasSuspended) return;
    const { user, system } = cpuUsage();
    const used = user + system;
    const isIdle = used - this.#used < IDLE_SHARE * IDLE_MS * 1000;
    const isSame = calls.begun === this.#begun;
    this.#used = used;
    this.#begun = calls.begun;
    if (isIdle && isSame && calls.isBusy && !hasPlace())
      for (const call of calls.waiting()) suspend(call);
    this.watch();
  }
}
