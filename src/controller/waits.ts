import { queueMicrotask } from "../os/natives.ts";
import type { ChildTask } from "../scheduler/child-task.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";

/** A call that has begun: the index of its worker, and its number there. */
export interface Run {
  readonly worker: number;
  readonly id: number;
}

/** A call, and a task that it waits for. */
export interface Wait {
  readonly run: Run;
  readonly child: ChildTask;
}

/** What the waits ask of the children's keeper. */
export interface WaitsOwner {
  /** The children of a call that does nothing but wait for all of them. */
  awaitedBy(run: Run): Iterable<ChildTask>;
  /** A wait leads back to its call. */
  refuse(wait: Wait): void;
}

/**
 * Calls that wait for tasks which other calls have submitted: they found the handles in variables
 * of modules. Such waits may lead back to the call that waits. A wait that ends otherwise, as one
 * for the first of several promises may, looks the same: so none is refused while anything runs.
 */
export class Waits {
  readonly #scheduler: Scheduler;
  readonly #owner: WaitsOwner;
  readonly #waits = new Map<string, Wait[]>();
  #isCheckDue = false;

  constructor(scheduler: Scheduler, owner: WaitsOwner) {
    this.#scheduler = scheduler;
    this.#owner = owner;
  }

  add(wait: Wait): void {
    const key = keyOf(wait.run);
    const before = this.#waits.get(key)?.filter(({ child }) => !child.settled) ?? [];
    this.#waits.set(key, [...before, wait]);
    this.checkSoon();
  }

  /** A call is over. */
  end(run: Run): void {
    if (this.#waits.size === 0) return;
    this.#waits.delete(keyOf(run));
    this.checkSoon();
  }

  /** A worker is lost, and with it the calls that it ran. */
  lost(worker: number): void {
    for (const key of this.#waits.keys()) if (key.startsWith(`${worker}:`)) this.#waits.delete(key);
  }

  /** Looks for a circle once all has been read that has come. */
  checkSoon(): void {
    if (this.#isCheckDue || this.#waits.size === 0) return;
    this.#isCheckDue = true;
    queueMicrotask(() => {
      this.#isCheckDue = false;
      this.#check();
    });
  }

  #check(): void {
    const { queued, workers } = this.#scheduler;
    if (queued > 0 || workers.some(({ inFlight }) => inFlight.length > 0)) return;
    for (const [key, waits] of this.#waits) {
      const index = waits.findIndex(({ child }) => this.#leadsTo(key, child));
      if (index !== -1) return this.#owner.refuse(waits.splice(index, 1)[0]!);
    }
  }

  #leadsTo(key: string, from: ChildTask): boolean {
    const seen = new Set<string>();
    const left = [from];
    for (let child = left.pop(); child !== undefined; child = left.pop()) {
      const run = runOf(child);
      if (run === null) continue;
      const reached = keyOf(run);
      if (reached === key) return true;
      if (seen.has(reached)) continue;
      seen.add(reached);
      left.push(...this.#owner.awaitedBy(run));
      for (const { child: other } of this.#waits.get(reached) ?? []) left.push(other);
    }
    return false;
  }
}

function keyOf({ worker, id }: Run): string {
  return `${worker}:${id}`;
}

/** The call that computes a task; null if none does. */
function runOf({ state, record, id }: ChildTask): Run | null {
  return state === "running" && record !== null ? { worker: record.index, id } : null;
}
