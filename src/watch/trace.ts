import { clearInterval, Date, JSON, performance, setInterval } from "../os/natives.ts";
import { endUnseen, listenUnseen } from "../os/unseen.ts";
import type { Task } from "../scheduler/task.ts";
import { textOf } from "./error-text.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";
import type { Change, End, Place, Sink } from "./sink.ts";
import { TraceFile } from "./trace-file.ts";
import { Lane, type Slice } from "./trace-lane.ts";

/** A worker's row: processes of a trace are hosts, threads are workers. */
export interface TraceRow {
  readonly index: number;
  readonly host: string;
  readonly rank: number | null;
}

/** What a trace asks of its pool. */
export interface Traced {
  readonly rows: readonly TraceRow[];
  /** How many calls a worker may have under way. */
  readonly concurrency: number;
  load(): { readonly queued: number; readonly running: number };
}

/** Calls in a second above which neighbours are merged, and ms for which they are counted. */
const MOST_PER_SECOND = 10_000;
const WINDOW_MS = 100;

/** ms to which neighbours are merged at first; four times as much with each half of the room. */
const SPAN_MS = 10;

/** ms between two counters, and between two writings. */
const COUNTER_MS = 10;
const FLUSH_MS = 1_000;

/** ms of waiting from which a call has an arrow from its submission, and how many have one. */
const LONG_WAIT_MS = 1;
const MOST_ARROWS = 20_000;

/** The process that is the pool; hosts come after it. */
const POOL_PID = 1;

/** Threads of one worker, where several of its calls overlap. */
const LANES = 1_000;

/**
 * Writes Chrome trace events while the pool is at work. All times are the controller's: a call
 * ends with the message that has its answer, and began as long before as it ran, so that no other
 * clock is needed.
 */
export class Trace implements Sink {
  readonly #file: TraceFile;
  readonly #traced: Traced;
  readonly #start = performance.now();
  readonly #hosts: string[] = [];
  /** By worker; of several calls at a time until when each of its threads is taken. */
  readonly #lanes: Lane[] = [];
  readonly #threads: number[][] = [];
  /** Calls that have begun, or gone on, by their numbers. */
  readonly #begun = new Map<number, { readonly index: number; readonly at: number }>();
  /** Calls of which pieces were written: each ends where it waits for tasks of its own. */
  readonly #pieces = new Set<number>();
  readonly #names = new Map<string, string>();
  readonly #timer: ReturnType<typeof setInterval>;
  #windowAt = this.#start;
  #inWindow = 0;
  #isCrowded = false;
  #hasMerged = false;
  #counterAt = -Infinity;
  #counters = "";
  #arrows = 0;
  /** µs of the pool's row that have an arrow. */
  readonly #arrowsAt = new Set<number>();
  #isOver = false;

  constructor(path: string, maxBytes: number, traced: Traced) {
    this.#file = new TraceFile(path, maxBytes);
    this.#traced = traced;
    this.#meta("process_name", POOL_PID, 0, { name: "pool" });
    this.#meta("thread_name", POOL_PID, 1, { name: "submitted" });
    const started = new Date(performance.timeOrigin + this.#start).toISOString();
    this.#note(`bsync trace from ${started}`, this.#start);
    for (const row of traced.rows) this.#addRow(row);
    this.#count(this.#start);
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS);
    this.#timer.unref();
    listenUnseen("exit", this.#onExit);
  }

  get path(): string {
    return this.#file.path;
  }

  begun(task: Task, offset: number, now: number): void {
    const index = task.record?.index;
    if (index !== undefined) this.#begun.set(task.order + offset, { index, at: now });
    this.#count(now);
  }

  paused(task: Task, offset: number, { index }: WorkerRecord, now: number): void {
    const id = task.order + offset;
    const begun = this.#take(id);
    if (begun === undefined) return;
    const slice = this.#slice(task, id, begun.at, now, "suspended", null);
    this.#pieces.add(id);
    this.#add(index, slice);
  }

  ended(
    task: Task,
    offset: number,
    state: End,
    error: unknown,
    begin: number | null,
    end: number,
  ): void {
    this.#tick(end, 1);
    const index = task.record?.index;
    const id = task.order + offset;
    const begun = this.#take(id)?.at ?? null;
    const from = this.#pieces.has(id) ? begun : (begin ?? begun);
    if (index !== undefined && from !== null) {
      const text = state === "done" ? null : textOf(error);
      this.#add(index, this.#slice(task, id, from, end, state, text));
    }
    this.#pieces.delete(id);
  }

  endedAll(task: Task, offset: number, count: number, begin: number, end: number): void {
    this.#tick(end, count);
    const id = task.order + offset;
    // Of these only the first can have been seen to begin.
    this.#begun.delete(id);
    const slice = this.#slice(task, id, begin, end, "done", null);
    slice.count = count;
    this.#add(task.record!.index, slice);
  }

  retried(task: Task, error: unknown, now: number): void {
    const id = task.order;
    const begun = this.#take(id);
    if (begun !== undefined) {
      const slice = this.#slice(task, id, begun.at, now, "retried", textOf(error));
      this.#add(begun.index, { ...slice, attempt: task.losses });
    }
    // The next attempt knows nothing of these.
    this.#pieces.delete(id);
  }

  changed(change: Change, place: Place, reason: string | null, now: number): void {
    const { record, host } = place;
    const name = JSON.stringify(`${change}${reason === null ? "" : `: ${reason}`}`);
    const where = `"pid":${this.#pidOf(host)},"tid":${threadOf(record.index)}`;
    this.#write(`{"name":${name},"ph":"i","s":"t","ts":${this.#ts(now)},${where}}`);
  }

  /** Ends the file. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    endUnseen("exit", this.#onExit);
    const span = this.#span;
    for (const lane of this.#lanes) lane?.flush(span);
    this.#counterAt = -Infinity;
    this.#count(performance.now());
    if (this.#file.isFull) this.#note("maxBytes is reached: what came later is missing");
    else this.#note(this.#hasMerged ? "the end; some neighbours are merged (×)" : "the end");
    this.#file.end();
  }

  readonly #onExit = (): void => this.stop();

  #flush(): void {
    if (this.#isOver) return;
    for (const lane of this.#lanes) lane?.flush(this.#span);
    this.#count(performance.now());
    this.#file.flush();
  }

  /** `count` calls have ended: do as many end that neighbours are merged? */
  #tick(now: number, count: number): void {
    this.#count(now, true);
    this.#inWindow += count;
    if (now - this.#windowAt < WINDOW_MS) {
      if (this.#inWindow > (MOST_PER_SECOND * WINDOW_MS) / 1000) this.#isCrowded = true;
      return;
    }
    this.#isCrowded = (1000 * this.#inWindow) / (now - this.#windowAt) > MOST_PER_SECOND;
    this.#windowAt = now;
    this.#inWindow = 0;
  }

  /** ms to which neighbours are merged; 0 for not at all. */
  get #span(): number {
    const { fill } = this.#file;
    // Half of the room is for all there is, and each half of the rest for what is four times as
    // coarse.
    const halves = fill < 0.5 ? 0 : Math.min(12, Math.floor(-Math.log2(Math.max(1e-4, 1 - fill))));
    if (halves === 0) return this.#isCrowded ? SPAN_MS : 0;
    return SPAN_MS * 4 ** halves;
  }

  /** Where and since when a call ran that has paused or ended now. */
  #take(id: number): { readonly index: number; readonly at: number } | undefined {
    const begun = this.#begun.get(id);
    this.#begun.delete(id);
    return begun;
  }

  #slice(
    task: Task,
    id: number,
    begin: number,
    end: number,
    state: string,
    error: string | null,
  ): Slice {
    const { fn, losses } = task;
    const queuedAt = this.#pieces.has(id) ? null : task.queuedAt;
    const from = Math.max(begin, this.#start);
    const run = Math.max(0, end - from);
    return {
      ...{ name: fn.label, count: 1, begin: from, end, run, id, state, error, queuedAt },
      attempt: losses + 1,
    };
  }

  #add(index: number, slice: Slice): void {
    if (this.#traced.concurrency > 1)
      return this.#emit(index, this.#freeThread(index, slice), slice);
    const lane = (this.#lanes[index] ??= new Lane((one) => this.#emit(index, 0, one)));
    lane.add(slice, this.#span);
  }

  /** The first thread of a worker on which nothing else lies at that time. */
  #freeThread(index: number, { begin, end }: Slice): number {
    const threads = (this.#threads[index] ??= []);
    let thread = threads.findIndex((until) => until <= begin);
    if (thread < 0) {
      thread = threads.length;
      if (thread > 0) {
        const row = this.#traced.rows[index]!;
        const name = `${nameOf(row)}, call ${thread + 1} at a time`;
        this.#meta("thread_name", this.#pidOf(row.host), threadOf(index) + thread, { name });
      }
    }
    threads[thread] = end;
    return thread;
  }

  #emit(index: number, thread: number, slice: Slice): void {
    const { name, count, begin, end, run, id, attempt, state, error, queuedAt } = slice;
    const ts = this.#ts(begin);
    const dur = this.#ts(end) - ts;
    const shown = count === 1 ? name : `${name} ×${count}`;
    if (count > 1) this.#hasMerged = true;
    const wait = queuedAt === null ? 0 : begin - queuedAt;
    const args = [
      ...(count === 1
        ? [`"task":${id}`]
        : [`"first":${id},"tasks":${count},"run_ms":${round(run)}`]),
      ...(attempt > 1 ? [`"attempt":${attempt}`] : []),
      ...(wait > 0 ? [`"wait_ms":${round(wait)}`] : []),
      ...(state === "done" ? [] : [`"state":"${state}"`]),
      ...(error === null ? [] : [`"error":${JSON.stringify(error)}`]),
    ];
    const pid = this.#pidOf(this.#traced.rows[index]!.host);
    const where = `"pid":${pid},"tid":${threadOf(index) + thread}`;
    this.#write(
      `{"name":${this.#quoted(shown)},"cat":"task","ph":"X","ts":${ts},"dur":${round(dur)},` +
        `${where},"args":{${args.join(",")}}}`,
    );
    if (count === 1 && queuedAt !== null && wait >= LONG_WAIT_MS)
      this.#arrow(queuedAt, ts, where, id, name);
  }

  /** From the submission of a call to its begin, on the row of the pool. */
  #arrow(queuedAt: number, ts: number, where: string, id: number, name: string): void {
    let from = Math.floor(this.#ts(queuedAt));
    if (from < 0 || this.#arrows >= MOST_ARROWS) return;
    // Slices of a µs each: two of them may not overlap.
    while (this.#arrowsAt.has(from)) from++;
    if (from + 1 > ts) return;
    this.#arrowsAt.add(from);
    const flow = ++this.#arrows;
    const pool = `"pid":${POOL_PID},"tid":1`;
    const quoted = this.#quoted(name);
    const head = `"name":"wait","cat":"wait","id":${flow}`;
    // All of it, or none.
    this.#write(
      `{"name":${quoted},"cat":"submission","ph":"X","ts":${from},"dur":1,${pool},` +
        `"args":{"task":${id}}},\n` +
        `{${head},"ph":"s","ts":${from},${pool}},\n` +
        `{${head},"ph":"f","bp":"e","ts":${ts},${where}}`,
    );
  }

  /** What waits and runs, if that has changed. */
  #count(now: number, hasEnded = false): void {
    if (now - this.#counterAt < COUNTER_MS) return;
    const { queued, running } = this.#traced.load();
    // The next one follows at once, and is counted with it.
    if (hasEnded && queued > 0) return;
    this.#counterAt = now;
    const counters = `${queued} ${running}`;
    if (counters === this.#counters) return;
    this.#counters = counters;
    const head = `"ph":"C","ts":${this.#ts(now)},"pid":${POOL_PID},"tid":0`;
    this.#write(`{"name":"queued tasks",${head},"args":{"queued":${queued}}}`);
    this.#write(`{"name":"running tasks",${head},"args":{"running":${running}}}`);
  }

  #addRow(row: TraceRow): void {
    const pid = this.#pidOf(row.host);
    const tid = threadOf(row.index);
    this.#meta("thread_name", pid, tid, { name: nameOf(row) });
    this.#meta("thread_sort_index", pid, tid, { sort_index: tid });
  }

  /** The process of a host, which is introduced when it is met first. */
  #pidOf(host: string): number {
    const index = this.#hosts.indexOf(host);
    if (index >= 0) return POOL_PID + 1 + index;
    this.#hosts.push(host);
    const pid = POOL_PID + this.#hosts.length;
    this.#meta("process_name", pid, 0, { name: `host ${host}` });
    this.#meta("process_sort_index", pid, 0, { sort_index: pid });
    return pid;
  }

  #meta(name: string, pid: number, tid: number, args: object): void {
    this.#write(
      `{"name":"${name}","ph":"M","pid":${pid},"tid":${tid},"args":${JSON.stringify(args)}}`,
    );
  }

  /** A word about the trace itself; written though it is full. */
  #note(text: string, now = performance.now()): void {
    const where = `"ts":${this.#ts(now)},"pid":${POOL_PID},"tid":0`;
    this.#file.add(`{"name":${JSON.stringify(text)},"ph":"i","s":"g",${where}}`);
  }

  #write(event: string): void {
    if (!this.#file.isFull) this.#file.add(event);
  }

  /** Tenths of a µs since the trace began, as µs. */
  #ts(now: number): number {
    return round((now - this.#start) * 1000, 10);
  }

  #quoted(name: string): string {
    let quoted = this.#names.get(name);
    if (quoted !== undefined) return quoted;
    quoted = JSON.stringify(name);
    // Names of merged slices have counts in them.
    if (this.#names.size < 1_000) this.#names.set(name, quoted);
    return quoted;
  }
}

function threadOf(index: number): number {
  return (index + 1) * LANES;
}

function nameOf({ index, rank }: TraceRow): string {
  return `worker ${index}${rank === null ? "" : ` (rank ${rank})`}`;
}

function round(x: number, parts = 1000): number {
  return Math.round(x * parts) / parts;
}
