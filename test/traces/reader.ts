/**
 * A strict reader of Chrome trace events, as Perfetto and chrome://tracing take them: a JSON array
 * without its last bracket is one, too. It throws where one of them would drop an event, or show it
 * in another place.
 */
import { readFileSync } from "node:fs";
import { constants, gunzipSync } from "node:zlib";

export interface Slice {
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface TraceContent {
  /** Of tasks. */
  readonly slices: readonly Slice[];
  /** By process and thread: "2 1000". */
  readonly threads: ReadonlyMap<string, string>;
  readonly processes: ReadonlyMap<number, string>;
  readonly counters: readonly {
    readonly name: string;
    readonly ts: number;
    readonly value: number;
  }[];
  readonly notes: readonly string[];
  readonly arrows: number;
  readonly isComplete: boolean;
}

type Event = Record<string, unknown>;

export function readTrace(path: string): TraceContent {
  const bytes = readFileSync(path);
  // A writer that is killed in the midst of a write leaves a piece that is cut, as a log does.
  const whole = { finishFlush: constants.Z_SYNC_FLUSH };
  return readText((path.endsWith(".gz") ? gunzipSync(bytes, whole) : bytes).toString());
}

export function readText(text: string): TraceContent {
  const isComplete = /\]\s*$/.test(text);
  // What is cut off in its midst is no event.
  const whole = isComplete ? text : `${text.slice(0, Math.max(1, text.lastIndexOf(",\n")))}]`;
  const events = JSON.parse(whole) as Event[];
  const slices: Slice[] = [];
  const all: Slice[] = [];
  const threads = new Map<string, string>();
  const processes = new Map<number, string>();
  const counters: { name: string; ts: number; value: number }[] = [];
  const notes: string[] = [];
  const starts = new Map<number, Event>();
  const ends: Event[] = [];
  for (const event of events) {
    const { ph, name, pid, tid, args } = event;
    need(typeof name === "string" && name !== "", "a name", event);
    need(
      Number.isInteger(pid) && Number.isInteger(tid),
      "a pid and a tid that are integers",
      event,
    );
    if (ph !== "M") need(isTime(event.ts), "a time from 0 on", event);
    const named = args as Record<string, unknown> | undefined;
    if (ph === "M") {
      if (name === "process_name") processes.set(pid as number, String(named!.name));
      if (name === "thread_name") threads.set(`${pid} ${tid}`, String(named!.name));
    } else if (ph === "X") {
      need(isTime(event.dur), "a length from 0 on", event);
      all.push(event as unknown as Slice);
      if (event.cat === "task") slices.push(event as unknown as Slice);
    } else if (ph === "C") {
      const values = Object.values(named ?? {});
      need(values.length === 1 && Number.isInteger(values[0]), "one number", event);
      counters.push({ name: name as string, ts: event.ts as number, value: values[0] as number });
    } else if (ph === "s" || ph === "f") {
      need(Number.isInteger(event.id), "an id that is a number", event);
      if (ph === "f") {
        need(event.bp === "e", 'bp: "e"', event);
        ends.push(event);
      } else {
        need(!starts.has(event.id as number), "an id of its own", event);
        starts.set(event.id as number, event);
      }
    } else {
      need(ph === "i" && typeof event.s === "string", "a phase that is known", event);
      notes.push(name as string);
    }
  }
  for (const { pid, tid } of all) {
    if (!processes.has(pid) || !threads.has(`${pid} ${tid}`))
      throw new Error(`${pid} ${tid} has no name`);
  }
  nest(all);
  checkArrows(all, starts, ends, isComplete);
  return { slices, threads, processes, counters, notes, arrows: ends.length, isComplete };
}

function isTime(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && value < Infinity;
}

function need(holds: boolean, what: string, event: Event): void {
  if (!holds) throw new Error(`an event lacks ${what}: ${JSON.stringify(event)}`);
}

/** Nanoseconds, as Perfetto counts. */
const ns = (us: number): number => Math.round(us * 1000);

/** Slices of one thread lie in each other, or beside each other. */
function nest(slices: readonly Slice[]): void {
  const threads = Map.groupBy(slices, ({ pid, tid }) => `${pid} ${tid}`);
  for (const [thread, own] of threads) {
    const sorted = own.toSorted((a, b) => a.ts - b.ts || b.dur - a.dur);
    const open: number[] = [];
    for (const { ts, dur, name } of sorted) {
      while (open.length > 0 && open.at(-1)! <= ns(ts)) open.pop();
      const end = ns(ts) + ns(dur);
      if (open.length > 0 && end > open.at(-1)!)
        throw new Error(`slices of ${thread} overlap: ${name} at ${ts}, ${dur}`);
      open.push(end);
    }
  }
}

/** Each arrow begins in a slice and ends in one, and none goes back in time. */
function checkArrows(
  slices: readonly Slice[],
  starts: ReadonlyMap<number, Event>,
  ends: readonly Event[],
  isComplete: boolean,
): void {
  const threads = Map.groupBy(slices, ({ pid, tid }) => `${pid} ${tid}`);
  const lies = ({ pid, tid, ts }: Event): boolean =>
    (threads.get(`${pid as number} ${tid as number}`) ?? []).some(
      (slice) =>
        ns(slice.ts) <= ns(ts as number) && ns(ts as number) <= ns(slice.ts) + ns(slice.dur),
    );
  for (const end of ends) {
    const start = starts.get(end.id as number);
    if (start === undefined) throw new Error(`an arrow has no start: ${JSON.stringify(end)}`);
    if ((start.ts as number) > (end.ts as number)) throw new Error("an arrow goes back in time");
    if (!lies(start) || !lies(end)) throw new Error(`an arrow in no slice: ${JSON.stringify(end)}`);
  }
  if (isComplete && starts.size !== ends.length) throw new Error("an arrow has no end");
}
