import { JSON, performance } from "../os/natives.ts";
import type { KnownFunction } from "../scheduler/estimates.ts";
import type { Task } from "../scheduler/task.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";
import type { End, Sink } from "./sink.ts";
import { addLength, type Logs, slowGroups } from "./slow.ts";
import type { PoolStats, WorkerStats } from "./stats.ts";
import { ViewedProgress } from "./viewed-progress.ts";
import type { Watch } from "./watch.ts";

/** Ended tasks of a picture that are told one by one; of more only how many. */
const MOST_SLICES = 250;

/** Different failures that are told. */
const MOST_FAILURES = 20;

const MOST_SLOW = 5;

const MOST_NAME = 60;

/** Names that are told; what comes later has none. */
const MOST_NAMES = 1_000;

/**
 * An ended task: worker, begin and end in ms since the first picture, number, outcome, the number
 * of its name; and how many tasks it stands for, where several followed each other.
 */
type Slice = readonly [number, number, number, number, End | "paused", number, number];

/**
 * What viewers see, while there are any: what happened since the last picture, in lists of bounded
 * length, and the numbers that the pool has anyway. Names and stacks are told once.
 */
export class Viewing implements Sink {
  readonly #watch: Watch;
  readonly #stats: () => PoolStats;
  readonly #start = performance.now();
  /** By worker, what was last seen to begin there. */
  readonly #begun: (readonly [id: number, at: number, fn: KnownFunction] | undefined)[] = [];
  readonly #toldStacks = new Set<string>();
  /** By name its number, in their order. */
  readonly #names = new Map<string, number>();
  #toldNames = 0;
  readonly #progress: ViewedProgress;
  /** By worker, of those of its tasks that were told. */
  readonly #measured: ({ run: number; readonly logs: Map<string, Logs> } | undefined)[] = [];
  #slices: Slice[] = [];
  #omitted = 0;

  constructor(watch: Watch, stats: () => PoolStats) {
    this.#watch = watch;
    this.#stats = stats;
    this.#progress = new ViewedProgress(watch.progressSources);
  }

  begun(task: Task, offset: number, now: number): void {
    const index = task.record?.index;
    if (index === undefined) return;
    this.#begun[index] = [task.order + offset, now, task.fn];
  }

  paused(task: Task, offset: number, { index }: WorkerRecord, now: number): void {
    const begun = this.#take(index, task.order + offset);
    if (begun !== null) this.#add(task, offset, index, begun, now, "paused");
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
    if (begun !== null) this.#add(task, offset, index, begun, end, state);
  }

  endedAll(task: Task, offset: number, count: number, begin: number, end: number): void {
    const index = task.record!.index;
    const id = this.#begun[index]?.[0] ?? -1;
    if (id >= task.order + offset && id < task.order + offset + count) this.#take(index, id);
    this.#add(task, offset, index, begin, end, "done", count);
  }

  retried(task: Task, _error: unknown, now: number): void {
    const index = this.#begun.findIndex((begun) => begun?.[0] === task.order);
    if (index < 0) return;
    this.#add(task, 0, index, this.#take(index, task.order)!, now, "failed");
  }

  /** Stacks and names are told anew: somebody has not heard them. */
  retell(): void {
    this.#toldStacks.clear();
    this.#toldNames = 0;
  }

  /** What is to be seen now, as JSON; `isOver` in the last one. */
  picture(isOver: boolean): string {
    const { workers, ...totals } = this.#stats();
    const slices = this.#slices;
    const omitted = this.#omitted;
    this.#slices = [];
    this.#omitted = 0;
    const runs = this.#begun.flatMap((begun, index) =>
      begun === undefined ? [] : [[index, this.#ms(begun[1]), this.#nameOf(begun[2]), begun[0]]],
    );
    const hosts = [...new Set(workers.map(({ host }) => host))];
    return JSON.stringify({
      ...{ now: this.#ms(performance.now()), isOver, end: this.#watch.end, totals, hosts },
      workers: workers.map((worker) => rowOf(worker, hosts.indexOf(worker.host), totals.uptime)),
      ...{ names: this.#newNames(), runs, slices, omitted },
      lengths: this.#watch.run.octaves.map(({ upTo, count }) => [upTo, count]),
      ...this.#progress.look(isOver),
      slow: this.#slow(),
      ...{ failures: this.#failures(), otherFailures: this.#otherFailures() },
    });
  }

  /** Names that viewers have not heard, each with its number. */
  #newNames(): [number, string][] {
    const names = [...this.#names].slice(this.#toldNames).map(([name, i]) => [i, name]);
    this.#toldNames = this.#names.size;
    return names as [number, string][];
  }

  #nameOf({ label }: KnownFunction): number {
    const name = label.slice(0, MOST_NAME);
    let number = this.#names.get(name);
    if (number === undefined) {
      if (this.#names.size >= MOST_NAMES) return -1;
      this.#names.set(name, (number = this.#names.size));
    }
    return number;
  }

  /** Failures with texts that are not told. */
  #otherFailures(): number {
    const { most, others } = this.#watch.failures;
    return most.slice(MOST_FAILURES).reduce((sum, [, count]) => sum + count, others);
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

  #add(
    task: Task,
    offset: number,
    index: number,
    begin: number,
    end: number,
    state: Slice[4],
    count = 1,
  ): void {
    if (this.#slices.length >= MOST_SLICES) {
      this.#omitted += count;
      return;
    }
    this.#omitted += count - 1;
    const [from, to] = [this.#ms(begin), this.#ms(end)];
    const name = this.#nameOf(task.fn);
    this.#slices.push([index, from, to, task.order + offset, state, name, count]);
    if (state === "done") this.#measure(index, task.fn.label, end - begin, count);
  }

  /** Of those that are told alone: all of a million a second would cost something. */
  #measure(index: number, name: string, ms: number, count: number): void {
    const measured = (this.#measured[index] ??= { run: 0, logs: new Map() });
    measured.run += ms;
    if (measured.logs.size < MOST_NAMES || measured.logs.has(name)) {
      addLength(measured.logs, name, ms / count, count);
    }
  }

  /** Workers that take longer than others for the same functions: each with how many times. */
  #slow(): [index: number, ratio: number, tasks: number][] {
    const groups = this.#measured.map((measured, i) => [String(i), [measured!]] as const);
    const slow = slowGroups(new Map(groups.filter(([, [measured]]) => measured !== undefined)));
    return slow
      .slice(0, MOST_SLOW)
      .map(({ key, ratio, tasks }) => [Number(key), Number(ratio.toFixed(2)), tasks]);
  }

  #ms(now: number): number {
    return Math.round((now - this.#start) * 100) / 100;
  }
}

/**
 * A worker: index, rank, host, pid, state, done, failed; ms that functions ran; bytes of memory and
 * s of the processor.
 */
function rowOf(worker: WorkerStats, host: number, uptime: number): unknown[] {
  const { index, rank, pid, state, done, failed, busy, memory, cpu } = worker;
  const ran = Number((busy * uptime).toPrecision(5));
  return [index, rank, host, pid, state, done, failed, ran, memory, Number(cpu.toFixed(1))];
}
