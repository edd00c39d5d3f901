import { JSON, performance } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";
import type { End, Sink } from "./sink.ts";
import type { PoolStats } from "./stats.ts";
import type { Watch } from "./watch.ts";

/** Ended tasks of a picture that are told one by one; of more only how many. */
const MOST_SLICES = 250;

/** Different failures that are told. */
const MOST_FAILURES = 20;

const MOST_NAME = 60;

/** An ended task: worker, begin and end in ms since the first picture, number, outcome, name. */
type Slice = readonly [number, number, number, number, End | "paused", string];

/**
 * What viewers see, while there are any: what happened since the last picture, in lists of bounded
 * length, and the numbers that the pool has anyway.
 */
export class Viewing implements Sink {
  readonly #watch: Watch;
  readonly #stats: () => PoolStats;
  readonly #start = performance.now();
  /** By worker, what was last seen to begin there. */
  readonly #begun: (readonly [id: number, at: number, name: string] | undefined)[] = [];
  readonly #toldStacks = new Set<string>();
  #slices: Slice[] = [];
  #omitted = 0;

  constructor(watch: Watch, stats: () => PoolStats) {
    this.#watch = watch;
    this.#stats = stats;
  }

  begun(task: Task, offset: number, now: number): void {
    const index = task.record?.index;
    if (index === undefined) return;
    this.#begun[index] = [task.order + offset, now, task.fn.label.slice(0, MOST_NAME)];
  }

  paused(task: Task, offset: number, { index }: WorkerRecord, now: number): void {
    const begun = this.#take(index, task.order + offset);
    if (begun !== null) this.#add(task, index, begun, now, "paused");
  }

  ended(
    task: Task,
    offset: number,
    state: End,
    _error: unknown,
    begin: number | null,
    end: number,
  ): void {
    const index = task.record?.index;
    if (index === undefined) return;
    const begun = this.#take(index, task.order + offset) ?? begin;
    if (begun !== null) this.#add(task, index, begun, end, state);
  }

  endedAll(task: Task, offset: number, count: number, begin: number, end: number): void {
    const index = task.record!.index;
    const id = this.#begun[index]?.[0] ?? -1;
    if (id >= task.order + offset && id < task.order + offset + count) this.#take(index, id);
    this.#add(task, index, begin, end, "done");
    this.#omitted += count - 1;
  }

  retried(task: Task, _error: unknown, now: number): void {
    const index = this.#begun.findIndex((begun) => begun?.[0] === task.order);
    if (index < 0) return;
    this.#add(task, index, this.#take(index, task.order)!, now, "failed");
  }

  /** The stacks are told anew: somebody has not heard them. */
  retell(): void {
    this.#toldStacks.clear();
  }

  /** What is to be seen now, as JSON; `isOver` in the last one. */
  picture(isOver: boolean): string {
    const { workers, ...totals } = this.#stats();
    const slices = this.#slices;
    const omitted = this.#omitted;
    this.#slices = [];
    this.#omitted = 0;
    const runs = this.#begun.flatMap((begun, index) =>
      begun === undefined ? [] : [[index, this.#ms(begun[1]), begun[2], begun[0]]],
    );
    return JSON.stringify({
      ...{ now: this.#ms(performance.now()), isOver, totals, workers, runs, slices, omitted },
      lengths: this.#watch.run.octaves.map(({ upTo, count }) => [upTo, count]),
      failures: this.#failures(),
      end: this.#watch.end,
    });
  }

  #failures(): unknown[] {
    return this.#watch.failures.most.slice(0, MOST_FAILURES).map(([text, count]) => {
      if (this.#toldStacks.has(text)) return [text, count];
      this.#toldStacks.add(text);
      return [text, count, this.#watch.failures.stackOf(text)];
    });
  }

  /** When a call has begun that is over now. */
  #take(index: number, id: number): number | null {
    const begun = this.#begun[index];
    if (begun?.[0] !== id) return null;
    this.#begun[index] = undefined;
    return begun[1];
  }

  #add(task: Task, index: number, begin: number, end: number, state: Slice[4]): void {
    if (this.#slices.length >= MOST_SLICES) {
      this.#omitted++;
      return;
    }
    const name = task.fn.label.slice(0, MOST_NAME);
    this.#slices.push([index, this.#ms(begin), this.#ms(end), task.order, state as End, name]);
  }

  #ms(now: number): number {
    return Math.round((now - this.#start) * 100) / 100;
  }
}
