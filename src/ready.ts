import { Heap } from "./heap.ts";

/** What the ready queue needs to know of a task. */
export interface Ready {
  readonly priority: number;
  /** Order of submission; a task that comes back keeps the one it had. */
  readonly order: number;
}

/**
 * The tasks that wait for a worker: least priority first, then order of submission.
 *
 * Most programs never set a priority, and then tasks arrive in the order in which they leave.
 * Such arrivals, each not before the last one, form a run that is a plain queue: O(1) in, O(1) out,
 * however many wait. Only what arrives out of order goes through the heap. The next task is
 * the lesser of the two heads, so the order is the heap's in every case.
 */
export class ReadyQueue<T extends Ready> {
  #heap = new Heap<T>();
  #run: (T | undefined)[] = [];
  #runHead = 0;

  get size(): number {
    return this.#heap.size + this.#run.length - this.#runHead;
  }

  push(task: T): void {
    const last = this.#run.length > this.#runHead ? this.#run[this.#run.length - 1]! : undefined;
    if (last === undefined || !comesBefore(task, last)) this.#run.push(task);
    else this.#heap.push(task, task.priority, task.order);
  }

  peek(): T | undefined {
    return this.#heapIsNext() ? this.#heap.peek() : this.#run[this.#runHead];
  }

  pop(): T | undefined {
    if (this.#heapIsNext()) return this.#heap.pop();
    const task = this.#run[this.#runHead];
    if (task === undefined) return undefined;
    this.#run[this.#runHead++] = undefined;
    if (this.#runHead === this.#run.length) {
      this.#run = [];
      this.#runHead = 0;
    } else if (this.#runHead >= 1024 && this.#runHead * 2 > this.#run.length) {
      this.#run = this.#run.slice(this.#runHead);
      this.#runHead = 0;
    }
    return task;
  }

  /** Drops every task that `wanted` says no to. O(n). */
  keep(wanted: (task: T) => boolean): void {
    this.#heap.keep(wanted);
    const kept: T[] = [];
    for (let i = this.#runHead; i < this.#run.length; i++) {
      if (wanted(this.#run[i]!)) kept.push(this.#run[i]!);
    }
    this.#run = kept;
    this.#runHead = 0;
  }

  #heapIsNext(): boolean {
    if (this.#heap.size === 0) return false;
    const head = this.#run[this.#runHead];
    if (head === undefined) return true;
    const key = this.#heap.peekKey();
    return key < head.priority || (key === head.priority && this.#heap.peekOrder() < head.order);
  }
}

function comesBefore(a: Ready, b: Ready): boolean {
  return a.priority < b.priority || (a.priority === b.priority && a.order < b.order);
}
