import { Fifo } from "../collections/fifo.ts";
import { Heap } from "../collections/heap.ts";

/** What the ready queue needs to know of a task. */
export interface Ready {
  readonly priority: number;
  /** Its place among those of equal priority; a task that comes back keeps the one it had. */
  readonly rank: number;
}

/** The tasks of one priority, in their order; the last of all levels takes higher ones, too. */
interface Level<T> {
  /** That of its first task. */
  readonly priority: number;
  readonly tasks: Fifo<T>;
}

/** Priorities with a queue of their own, at most: a new one moves the others in their list. */
const MOST_LEVELS = 64;

/**
 * The tasks that wait for a worker: least priority first, then least rank, which is the order of
 * submission but for tasks that tasks have submitted.
 *
 * Most programs set no priority, or one of a few, and tasks of one priority arrive in the order in
 * which they leave. So each priority has a plain queue: O(1) in, O(1) out, however many wait. Only
 * what arrives out of order goes through the heap, and what has one of too many priorities, unless
 * it comes after all others. The next task is the lesser of the two heads, so the order is the
 * heap's in every case.
 */
export class ReadyQueue<T extends Ready> {
  readonly #heap = new Heap<T>();
  /**
   * Least priority first: all tasks of one come before all of the next. None is empty, but for the
   * last one that is left.
   */
  #levels: Level<T>[] = [];
  /** The level of the task that came last, as long as it is one of them. */
  #recent: Level<T> | null = null;
  #count = 0;

  get size(): number {
    return this.#heap.size + this.#count;
  }

  push(task: T): void {
    const level = this.#levelFor(task);
    if (level === null) return this.#heap.push(task, task.priority, task.rank);
    level.tasks.push(task);
    this.#count++;
  }

  peek(): T | undefined {
    return this.#heapIsNext() ? this.#heap.peek() : this.#levels[0]?.tasks.at(0);
  }

  pop(): T | undefined {
    if (this.#heapIsNext()) return this.#heap.pop();
    const tasks = this.#levels[0]?.tasks;
    const task = tasks?.shift();
    if (task === undefined) return undefined;
    this.#count--;
    if (tasks!.length === 0 && this.#levels.length > 1) {
      if (this.#levels.shift() === this.#recent) this.#recent = null;
    }
    return task;
  }

  /** Drops every task that is not `wanted`. O(n). */
  keep(wanted: (task: T) => boolean): void {
    this.#heap.keep(wanted);
    for (const { tasks } of this.#levels) tasks.keep(wanted);
    this.#levels = this.#levels.filter(({ tasks }) => tasks.length > 0);
    this.#count = this.#levels.reduce((sum, { tasks }) => sum + tasks.length, 0);
    this.#recent = null;
  }

  /** The level that a task goes to, at its end; null if there is none. */
  #levelFor(task: T): Level<T> | null {
    const recent = this.#recent;
    if (recent !== null && recent.priority === task.priority) return endsBefore(recent, task);
    const levels = this.#levels;
    const place = this.#placeOf(task.priority);
    const found = levels[place];
    if (found?.priority === task.priority) return endsBefore((this.#recent = found), task);
    const before = levels[place - 1];
    if (before !== undefined && endsBefore(before, task) === null) return null;
    if (levels.length === MOST_LEVELS) return found === undefined ? before! : null;
    const level = { priority: task.priority, tasks: new Fifo<T>() };
    if (this.#count === 0) this.#levels = [level];
    else levels.splice(place, 0, level);
    return (this.#recent = level);
  }

  /** How many levels are of lower priorities. */
  #placeOf(priority: number): number {
    let low = 0;
    for (let high = this.#levels.length; low < high;) {
      const middle = (low + high) >> 1;
      if (this.#levels[middle]!.priority < priority) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #heapIsNext(): boolean {
    if (this.#heap.size === 0) return false;
    const head = this.#levels[0]?.tasks.at(0);
    if (head === undefined) return true;
    const key = this.#heap.peekKey();
    return key < head.priority || (key === head.priority && this.#heap.peekOrder() < head.rank);
  }
}

/** The level, unless its last task comes after this one. */
function endsBefore<T extends Ready>(level: Level<T>, task: T): Level<T> | null {
  const { last } = level.tasks;
  return last === undefined || !comesBefore(task, last) ? level : null;
}

/** Whether `a` starts before `b`, where one worker may take both. */
export function comesBefore(a: Ready, b: Ready): boolean {
  return a.priority < b.priority || (a.priority === b.priority && a.rank < b.rank);
}
