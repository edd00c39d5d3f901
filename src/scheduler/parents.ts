import type { WorkerStage } from "./begun-calls.ts";
import type { Task } from "./task.ts";

/** A task that waits, or has waited, for tasks that it has submitted. */
interface Parent {
  readonly task: Task;
  stage: WorkerStage;
  /** It waits, and has given up its place on the worker. */
  isSuspended: boolean;
}

/**
 * The tasks of a worker that have waited for their children, until they are over. They have begun,
 * wherever they are among those in flight; those that wait are not among them.
 */
export class Parents {
  /** By the number of the call that waits: of a chunk, one of its calls. */
  readonly #parents = new Map<number, Parent>();
  #suspended = 0;

  /** How many there are, whether they wait or not. */
  get size(): number {
    return this.#parents.size;
  }

  /** How many wait. */
  get suspended(): number {
    return this.#suspended;
  }

  /** Whether the result of any is still wanted. */
  get hasWanted(): boolean {
    for (const { task } of this.#parents.values()) if (!task.settled) return true;
    return false;
  }

  has(task: Task): boolean {
    return this.#find(task) !== undefined;
  }

  /** The task whose call of that number waits. */
  at(id: number): Task | undefined {
    const parent = this.#parents.get(id);
    return parent?.isSuspended ? parent.task : undefined;
  }

  /** A call of a task waits: false if it did before. */
  suspend(id: number, task: Task): boolean {
    const parent = this.#parents.get(id);
    if (parent?.isSuspended) return false;
    if (parent === undefined) this.#parents.set(id, { task, stage: "begun", isSuspended: true });
    else parent.isSuspended = true;
    this.#suspended++;
    return true;
  }

  /** The call of that number goes on: its task, if it waited. */
  resume(id: number): Task | undefined {
    const parent = this.#parents.get(id);
    if (!parent?.isSuspended) return undefined;
    parent.isSuspended = false;
    this.#suspended--;
    return parent.task;
  }

  /** The call of that number is over. */
  end(id: number): void {
    if (this.#parents.get(id)?.isSuspended) this.#suspended--;
    this.#parents.delete(id);
  }

  /** A task is settled: none of its calls waits any more. */
  drop(task: Task): void {
    for (const [id, parent] of this.#parents) if (parent.task === task) this.end(id);
  }

  stageOf(task: Task): WorkerStage | undefined {
    return this.#find(task)?.stage;
  }

  /** The call of that number has ended, and its result follows. Its task; undefined for none. */
  finish(id: number): Task | undefined {
    const parent = this.#parents.get(id);
    if (parent === undefined) return undefined;
    parent.stage = "returned";
    return parent.task;
  }

  /** The tasks that wait. */
  *waiting(): IterableIterator<Task> {
    for (const { task, isSuspended } of this.#parents.values()) if (isSuspended) yield task;
  }

  /**
   * The numbers of the calls that wait; where it is known which call `runs`, also of those that
   * have not heard yet that they go on.
   */
  waitingIds(runs: number | null): Set<number> {
    const ids = new Set<number>();
    for (const [id, { isSuspended }] of this.#parents) {
      if (isSuspended || (runs !== null && id !== runs)) ids.add(id);
    }
    return ids;
  }

  /** Takes the tasks that wait, by the numbers of their calls. */
  takeWaiting(): Map<number, Task> {
    const taken = new Map<number, Task>();
    for (const [id, { task, isSuspended }] of this.#parents) if (isSuspended) taken.set(id, task);
    this.#parents.clear();
    this.#suspended = 0;
    return taken;
  }

  #find(task: Task): Parent | undefined {
    // As a rule a task has one call, and its number is the task's.
    const parent = this.#parents.get(task.id);
    if (parent?.task === task || task.count === 1) return parent;
    for (const each of this.#parents.values()) if (each.task === task) return each;
    return undefined;
  }
}
