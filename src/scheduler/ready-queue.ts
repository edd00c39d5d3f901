import { Fifo } from "../collections/fifo.ts";
import { Heap } from "../collections/heap.ts";

/** What the ready queue needs to know of a task. */
export interface Ready {
  readonly priority: number;
  /** Its place among those of equal priority; a task that comes back keeps the one it had. */
  readonly rank: number;
}

/**
 * The tasks that wait for a worker: least priority first, then least rank, which is the order of
 * submission but for tasks that tasks have submitted.
 *
 * Most programs never set a priority, and then tasks arrive in the order in which they leave.
 * Such arrivals, each not before the last one, form a run that is a plain queue: O(1) in, O(1) out,
 * however many wait. Only what arrives out of order goes through the heap. The next task is
 * the lesser of the two heads, so the order is the heap's in every case.
 */
export class ReadyQueue<T extends Ready> {
  readonly #heap = new Heap<T>();
  readonly #run = new Fifo<T>();

  get size(): number {
    return this.#heap.size + this.#run.length;
  }

  push(task: T): void {
    const last = this.#run.last;
    if (last === undefined || !comesBefore(task, last)) this.#run.push(task);
    else this.#heap.push(task, task.priority, task.rank);
  }

  peek(): T | undefined {
    return this.#heapIsNext() ? this.#heap.peek() : this.#run.at(0);
  }

  pop(): T | undefined {
    return this.#heapIsNext() ? this.#heap.pop() : this.#run.shift();
  }

  /** Drops every task that is not `wanted`. O(n). */
  keep(wanted: (task: T) => boolean): void {
    this.#heap.keep(wanted);
    this.#run.keep(wanted);
  }

  #heapIsNext(): boolean {
    if (this.#heap.size === 0) return false;
    const head = this.#run.at(0);
    if (head === undefined) return true;
    const key = this.#heap.peekKey();
    return key < head.priority || (key === head.priority && this.#heap.peekOrder() < head.rank);
  }
}

/** Whether `a` starts before `b`, where one worker may take both. */
export function comesBefore(a: Ready, b: Ready): boolean {
  return a.priority < b.priority || (a.priority === b.priority && a.rank < b.rank);
}
