import { BsyncError } from "../errors.ts";
import { performance } from "../os/natives.ts";
import { isTimed } from "../os/whole.ts";
import type { Task } from "../scheduler/task.ts";
import { Kind } from "../wire/frames.ts";
import type { SessionPort } from "./port.ts";

/** ms for which `ready` looks for messages. */
const LOOK_MS = 0.2;

/** ms after which a blocking task claims its child once more: its worker may have been lost. */
const CLAIM_MS = 10;

/** ms between two looks of a task that blocks. */
const NAP_MS = 0.05;

/**
 * Tasks that hold their thread until a child is settled. The child is run in the place of its
 * parent, if the controller lets it: the worker does nothing else meanwhile.
 */
export class Blocking {
  readonly #port: SessionPort;
  /** The child that was denied to such a task; 0 for none. */
  #denied = 0;
  /** The child that may run in its place, and the number of that call. */
  #granted: { readonly number: number; readonly id: number } | null = null;
  #blocked = 0;

  constructor(port: SessionPort) {
    this.#port = port;
  }

  /** Whether a task holds the thread so. */
  get isBlocked(): boolean {
    return this.#blocked > 0;
  }

  /** The controller has answered a claim. */
  denied(number: number): void {
    this.#denied = number;
  }

  /** The child's call has come, of the number `id`. */
  granted(number: number, id: number): void {
    this.#granted = { number, id };
  }

  /** Receives what has come, and sees to it that a child can run. */
  progress(task: Task): void {
    // What interrupts the task would interrupt the child in its place.
    if (isTimed) this.#port.poll();
    else this.#claim(task, performance.now() + LOOK_MS);
  }

  /** Returns when a task is settled, or at `deadline`; throws where neither may come. */
  waitFor(task: Task, deadline: number): void {
    if (isTimed && !task.settled) throw refused(task);
    while (!task.settled && performance.now() < deadline) {
      this.#claim(task, Math.min(deadline, performance.now() + CLAIM_MS));
      if (!task.settled && this.#denied === task.order) throw refused(task);
    }
  }

  #claim(task: Task, end: number): void {
    this.#denied = 0;
    this.#blocked++;
    try {
      this.#port.write(Kind.Claim, task.order);
      this.#port.send();
      do {
        if (!this.#port.poll()) Bun.sleepSync(NAP_MS);
        this.#runGranted();
      } while (!task.settled && this.#denied === 0 && performance.now() < end);
    } finally {
      this.#blocked--;
    }
  }

  /** Not while a message is read: a link is not read within its own reading. */
  #runGranted(): void {
    const granted = this.#granted;
    if (granted === null) return;
    this.#granted = null;
    if (!this.#port.runInPlace(granted.id)) this.#denied = granted.number;
    this.#port.send();
  }
}

function refused(task: Task): BsyncError {
  return new BsyncError(
    "BSYNC_NESTED",
    `Cannot get the result of ${task.label} by blocking: the task would keep the worker that ` +
      "may have to run it; await the handle",
  );
}
