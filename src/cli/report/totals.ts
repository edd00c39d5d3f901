import { Histogram } from "../../watch/histogram.ts";
import { Columns } from "./columns.ts";
import type { Event } from "./events.ts";
import { Bars } from "./bars.ts";
import { Longest } from "./longest.ts";
import type { Logs } from "../../watch/slow.ts";

/** Threads of one worker, where several of its calls overlap. */
const LANES = 1_000;

/** Columns of the pool, and of each worker. */
export const POOL_COLUMNS = 4_096;
export const LANE_COLUMNS = 512;

/** Names of functions, messages and tasks in pieces that are told apart. */
const MOST_FUNCTIONS = 200;
const MOST_MESSAGES = 500;
const MOST_PIECES = 100_000;
const MOST_LOSSES = 500;
/** In messages that name their task: those of a thousand tasks are one. */
const OF_A_TASK = /(?<=^CancelledError: )task \d+ \(.{1,80}?\) (?=was cancelled)/;
const OTHERS = "(others)";

export interface FunctionTotals {
  readonly name: string;
  tasks: number;
  failed: number;
  run: number;
  max: number;
  readonly logs: Logs;
}

export interface WorkerTotals {
  readonly key: string;
  readonly pid: number;
  tasks: number;
  failed: number;
  /** ms. */
  run: number;
  /** When it was ready first, when it was gone, and the end of its last call; null if not told. */
  ready: number | null;
  gone: number | null;
  last: number | null;
  lost: number;
  readonly columns: Columns;
  /** By function. */
  readonly logs: Map<string, Logs>;
}

export interface FailureTotals {
  readonly message: string;
  count: number;
  /** The first one. */
  readonly name: string;
  readonly worker: string;
  readonly task: number | null;
  readonly at: number;
}

/** A slice, for the timeline and the list of the longest. */
export interface Long {
  readonly name: string;
  readonly worker: string;
  readonly begin: number;
  readonly length: number;
  readonly tasks: number;
  readonly task: number | null;
  readonly wait: number | null;
  readonly state: string;
  readonly error: string | null;
  /** Whether it is a part of a task, which waited for tasks of its own. */
  readonly isPiece: boolean;
}

/** A worker that ended while the pool was open. */
export interface Loss {
  readonly worker: string;
  readonly at: number;
  readonly why: string;
}

/** All that a report needs of a trace, in memory that does not grow with its length. Times: ms. */
export class Totals {
  readonly processes = new Map<number, string>();
  readonly threads = new Map<string, string>();
  readonly workers = new Map<string, WorkerTotals>();
  readonly functions = new Map<string, FunctionTotals>();
  readonly failures = new Map<string, FailureTotals>();
  readonly outcomes = new Map<string, number>();
  readonly notes: string[] = [];
  readonly losses: Loss[] = [];
  readonly run = new Histogram();
  readonly wait = new Histogram();
  readonly runBars = new Bars();
  readonly waitBars = new Bars();
  readonly busy = new Columns(POOL_COLUMNS);
  readonly waiting = new Columns(POOL_COLUMNS);
  readonly longest = new Longest<Long>(({ length }) => length);
  /** Of tasks in pieces what ran before. */
  readonly #pieces = new Map<number, number>();
  #queue: { readonly at: number; readonly queued: number } = { at: 0, queued: 0 };
  /** When the first call was submitted, and the last one ended, which is `final`. */
  first = Infinity;
  last = 0;
  final: Long | null = null;
  end = 0;
  tasks = 0;
  merged = 0;
  isFinished = false;

  add(event: Event): void {
    const { ph, name, pid, tid, ts } = event;
    if (typeof name !== "string" || typeof pid !== "number" || typeof tid !== "number") return;
    if (ph === "M") return this.#named(name, pid, tid, recordOf(event["args"]));
    if (!isTime(ts)) return;
    const at = ts / 1000;
    if (ph === "X") {
      if (event["cat"] === "task" && isTime(event["dur"])) {
        this.#slice(name, keyOf(pid, tid), at, event["dur"] / 1000, recordOf(event["args"]));
      }
      return;
    }
    this.end = Math.max(this.end, at);
    if (ph === "i" && event["s"] === "g") this.#note(name);
    if (ph === "i" && event["s"] === "t") this.#changed(name, keyOf(pid, tid), at);
    if (ph === "C" && name === "queued tasks") this.#queued(recordOf(event["args"]), at);
  }

  #named(name: string, pid: number, tid: number, args: Event): void {
    if (name === "process_name") this.processes.set(pid, textOf(args["name"]));
    const key = keyOf(pid, tid);
    if (name !== "thread_name" || !textOf(args["name"]).startsWith("worker ")) return;
    if (tid % LANES === 0) this.threads.set(key, textOf(args["name"]));
    this.#worker(key);
  }

  #note(name: string): void {
    if (this.notes.length < 10) this.notes.push(name);
    if (name.startsWith("the end") || name.startsWith("maxBytes")) this.isFinished = true;
  }

  #changed(name: string, key: string, at: number): void {
    const worker = this.#worker(key);
    if (name.startsWith("ready") || name.startsWith("replaced")) {
      worker.ready ??= at;
      worker.gone = null;
    } else if (name.startsWith("lost")) {
      worker.lost++;
      // Of those that were there before the trace nothing says when they were ready.
      worker.ready ??= 0;
      if (this.losses.length < MOST_LOSSES) this.losses.push({ worker: key, at, why: name });
    }
    if (name.startsWith("lost") || name.startsWith("gone")) worker.gone = at;
  }

  /** Slices that were merged do not say how long each call waited: then the counter does. */
  #queued(args: Event, at: number): void {
    const before = this.#queue;
    if (this.merged > 0) this.waiting.add(before.at, at, before.queued);
    this.#queue = { at, queued: numberOf(args["queued"]) ?? 0 };
  }

  #worker(key: string): WorkerTotals {
    let worker = this.workers.get(key);
    if (worker === undefined) {
      worker = {
        ...{ key, pid: Number(key.split(":")[0]), tasks: 0, failed: 0, run: 0, lost: 0 },
        ...{ ready: null, gone: null, last: null },
        ...{ columns: new Columns(LANE_COLUMNS), logs: new Map() },
      };
      this.workers.set(key, worker);
    }
    return worker;
  }

  #slice(shown: string, key: string, begin: number, length: number, args: Event): void {
    const worker = this.#worker(key);
    const merged = numberOf(args["tasks"]);
    const count = merged ?? 1;
    const name = merged === null ? shown : shown.replace(/ ×\d+$/, "");
    const run = Math.min(length, numberOf(args["run_ms"]) ?? length);
    const end = begin + length;
    if (merged !== null) this.merged += count;
    this.end = Math.max(this.end, end);
    worker.last = Math.max(worker.last ?? 0, end);
    worker.run += run;
    const level = length > 0 ? run / length : 0;
    worker.columns.add(begin, end, level);
    this.busy.add(begin, end, level);
    const state = typeof args["state"] === "string" ? args["state"] : "done";
    const task = numberOf(args["task"]) ?? numberOf(args["first"]);
    const isFirst = task === null || !this.#pieces.has(task);
    const wait = isFirst ? (numberOf(args["wait_ms"]) ?? 0) : null;
    const error = typeof args["error"] === "string" ? args["error"] : null;
    this.first = Math.min(this.first, Math.max(0, begin - (wait ?? 0)));
    if (wait !== null) this.#waited(begin, wait, count);
    const isPiece = !isFirst || state === "suspended";
    const long = {
      ...{ name, worker: key, begin, length, tasks: count, task },
      ...{ wait, state, error, isPiece },
    };
    this.longest.add(long);
    if (end >= this.last) {
      this.last = end;
      this.final = long;
    }
    if (state === "suspended") return this.#piece(task, run);
    const before = task === null ? 0 : (this.#pieces.get(task) ?? 0);
    if (task !== null) this.#pieces.delete(task);
    this.outcomes.set(state, (this.outcomes.get(state) ?? 0) + count);
    if (error !== null) this.#failed(state, error, name, key, task, begin);
    if (state === "retried") return;
    this.tasks += count;
    worker.tasks += count;
    if (state === "failed") worker.failed++;
    this.#ran(worker, name, (run + before) / count, count, state === "failed");
  }

  #waited(begin: number, wait: number, count: number): void {
    if (count > 1) return;
    this.wait.record(wait);
    this.waitBars.record(wait);
    this.waiting.add(Math.max(0, begin - wait), begin);
  }

  #piece(task: number | null, run: number): void {
    if (task === null || (this.#pieces.size >= MOST_PIECES && !this.#pieces.has(task))) return;
    this.#pieces.set(task, (this.#pieces.get(task) ?? 0) + run);
  }

  /** `count` calls of a function ran so many ms each. */
  #ran(worker: WorkerTotals, given: string, run: number, count: number, isFailed: boolean): void {
    this.run.record(run, count);
    this.runBars.record(run, count);
    const isKnown = this.functions.has(given) || this.functions.size < MOST_FUNCTIONS;
    const name = isKnown ? given : OTHERS;
    let fn = this.functions.get(name);
    if (fn === undefined) {
      fn = { name, tasks: 0, failed: 0, run: 0, max: 0, logs: { count: 0, sum: 0, squares: 0 } };
      this.functions.set(name, fn);
    }
    fn.tasks += count;
    fn.failed += isFailed ? count : 0;
    fn.run += run * count;
    fn.max = Math.max(fn.max, run);
    let own = worker.logs.get(name);
    if (own === undefined) worker.logs.set(name, (own = { count: 0, sum: 0, squares: 0 }));
    // A call that fails, or is cancelled, may run shorter than others.
    if (isFailed) return;
    const log = Math.log(Math.max(run, 1e-4));
    for (const logs of [fn.logs, own]) {
      logs.count += count;
      logs.sum += log * count;
      logs.squares += log * log * count;
    }
  }

  #failed(
    state: string,
    error: string,
    name: string,
    worker: string,
    task: number | null,
    at: number,
  ): void {
    const text = state === "failed" ? error : `${state}: ${error.replace(OF_A_TASK, "")}`;
    const isKnown = this.failures.has(text) || this.failures.size < MOST_MESSAGES;
    const message = isKnown ? text : OTHERS;
    const known = this.failures.get(message);
    if (known === undefined)
      this.failures.set(message, { message, count: 1, name, worker, task, at });
    else known.count++;
  }
}

function keyOf(pid: number, tid: number): string {
  return `${pid}:${tid - (tid % LANES)}`;
}

function recordOf(value: unknown): Event {
  return typeof value === "object" && value !== null ? (value as Event) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && value >= 0 && value < Infinity ? value : null;
}

function isTime(value: unknown): value is number {
  return numberOf(value) !== null;
}
