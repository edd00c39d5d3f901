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
  /** The calls that wait for a child, until that is settled: perhaps all items of a map. */
  readonly #waiting = new Map<ChildTask, Run[]>();
  #isCheckDue = false;

  constructor(scheduler: Scheduler, owner: WaitsOwner) {
    this.#scheduler = scheduler;
    this.#owner = owner;
  }

  add({ run, child }: Wait): void {
    const runs = this.#waiting.get(child);
    if (runs === undefined) this.#waiting.set(child, [run]);
    else runs.push(run);
    this.checkSoon();
  }

  /** Nobody waits for a child any more: it is settled. */
  end(child: ChildTask): void {
    if (this.#waiting.size > 0) this.#waiting.delete(child);
  }

  /** Looks for a circle once all has been read that has come. */
  checkSoon(): void {
    if (this.#isCheckDue || this.#waiting.size === 0) return;
    this.#isCheckDue = true;
    queueMicrotask(() => {
      this.#isCheckDue = false;
      this.#check();
    });
  }

  #check(): void {
    const { queued, workers } = this.#scheduler;
    if (queued > 0 || workers.some(({ inFlight }) => inFlight.length > 0)) return;
    const awaited = this.#awaitedByRuns();
    for (const [child, runs] of this.#waiting) {
      const index = runs.findIndex((run) => this.#leadsTo(keyOf(run), child, awaited));
      if (index === -1) continue;
      const [run] = runs.splice(index, 1);
      return this.#owner.refuse({ run: run!, child });
    }
  }

  #awaitedByRuns(): Map<string, ChildTask[]> {
    const awaited = new Map<string, ChildTask[]>();
    for (const [child, runs] of this.#waiting) {
      for (const run of runs) {
        const key = keyOf(run);
        awaited.set(key, [...(awaited.get(key) ?? []), child]);
      }
    }
    return awaited;
  }

  #leadsTo(key: string, from: ChildTask, awaited: ReadonlyMap<string, ChildTask[]>): boolean {
    const seen = new Set<string>();
    const left = [from];
    for (let child = left.pop(); child !== undefined; child = left.pop()) {
      const run = runOf(child);
      if (run === null) continue;
      const reached = keyOf(run);
      if (reached === key) return true;
      if (seen.has(reached)) continue;
      seen.add(reached);
      left.push(...this.#owner.awaitedBy(run), ...(awaited.get(reached) ?? []));
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
