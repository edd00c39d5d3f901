import type { Backend } from "../backend/backend.ts";
import { YIELD_US } from "../link/progress-loop.ts";
import { performance } from "../os/natives.ts";
import { hasStack, needStack } from "../os/stack.ts";
import { isWatched, whole } from "../os/whole.ts";
import type { Task } from "../scheduler/task.ts";
import type { Callbacks } from "../watch/callbacks.ts";
import type { Reclaimer } from "./reclaimer.ts";
import type { Retries } from "./retries.ts";
import type { Timekeeper } from "./timekeeper.ts";

/** The parts of the pool that a blocked caller keeps going. */
interface WaitParts {
  readonly backend: Backend;
  readonly reclaimer: Reclaimer;
  readonly retries: Retries;
  readonly timekeeper: Timekeeper;
  readonly callbacks: Callbacks;
}

/** µs for which a wait looks without a pause: answers of short calls come within them. */
const SPIN_US = 200;

/** ms of a sleep that messages end: then a worker may be gone without a word. */
const CHECK_MS = 50;

/** ms of a nap between two looks at the most, and its share of the time waited by then. */
const LONGEST_NAP_MS = 5;
const NAP_SHARE = 1 / 8;

/** Keeps the pool going while its program blocks the event loop (`getSync`, `ready`). */
export class BlockingWait {
  readonly #parts: WaitParts;
  readonly #dispatch: () => void;

  /** `dispatch` sends what is due to be sent in a microtask. */
  constructor(parts: WaitParts, dispatch: () => void) {
    this.#parts = parts;
    this.#dispatch = dispatch;
  }

  /** Receives what workers have sent, and does what is due. Does not block. */
  progress(): void {
    if (hasStack()) this.#lookAround();
  }

  /** Blocks until the task is settled, or `deadline` is past. */
  waitFor(task: Task, deadline: number): void {
    needStack();
    const { backend, reclaimer, retries } = this.#parts;
    const start = performance.now();
    for (;;) {
      if (isWatched) whole(this.#lookAround);
      else this.#lookAround();
      const now = performance.now();
      if (task.settled || now >= deadline) return;
      const waited = now - start;
      if (waited * 1000 <= (backend.yieldsBlocked ? YIELD_US : SPIN_US)) continue;
      const next = Math.min(deadline, reclaimer.recalls.nextLook, retries.nextAt);
      const nap = backend.wakesBlocked ? CHECK_MS : Math.min(waited * NAP_SHARE, LONGEST_NAP_MS);
      backend.wait(Math.min(Math.max(0, next - now), nap), task);
    }
  }

  readonly #lookAround = (): void => {
    const { backend, retries, timekeeper, callbacks } = this.#parts;
    this.#dispatch();
    backend.poll();
    callbacks.flush();
    retries.look();
    timekeeper.ring();
    timekeeper.lookInTime(performance.now());
  };
}
