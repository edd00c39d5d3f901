import type { ControllerEnd } from "../link/link.ts";
import { performance } from "../os/natives.ts";
import { type FunctionRecord, textWeight } from "../function/record.ts";
import { Recent } from "../collections/recent.ts";
import type { Greeting } from "../wire/greeting.ts";
import type { MessageWriter } from "../wire/writer.ts";
import type { Tally } from "../watch/tally.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** After so many new functions a worker forgets those that it was not called with meanwhile. */
const RECENT_FUNCTIONS = 2048;

/** A worker as the controller reaches it: the scheduler's record of it, and the link to it. */
export interface Connection {
  readonly record: WorkerRecord;
  link: ControllerEnd | null;
  readonly rank: number | null;
  /** The name of the machine it is on. */
  readonly host: string;
  readonly writer: MessageWriter;
  /** What is counted of the worker in its place. */
  readonly tally: Tally;
  /** Functions sent to it, by number; `lastCalled` is the number of the last one called. */
  readonly knownFunctions: Recent<number, FunctionRecord>;
  lastCalled: number;
  /** Frames were written for it and not sent. */
  hasUnsent: boolean;
  /** The content of its `Ready` frame; null before it. */
  greeting: Greeting | null;
  /** It has closed or is gone: nothing more is expected of it. */
  isDone: boolean;
  /** On `performance.now()`; Infinity before it serves. */
  readyAt: number;
  /** It has answered a call. */
  hasAnswered: boolean;
  /** Why this side has killed its process, and when. */
  killed: { readonly why: string; readonly at: number } | null;
  /** How many predecessors in a row ended before they had done anything. */
  readonly failedStarts: number;
}

type Fixed = Pick<
  Connection,
  "record" | "link" | "rank" | "host" | "writer" | "tally" | "failedStarts"
>;

/** The connection to a worker that has sent nothing yet. */
export function newConnection({
  record,
  link,
  rank,
  host,
  writer,
  tally,
  failedStarts,
}: Fixed): Connection {
  return {
    record,
    link,
    rank,
    host,
    writer,
    tally,
    knownFunctions: new Recent(RECENT_FUNCTIONS, textWeight),
    lastCalled: 0,
    hasUnsent: false,
    greeting: null,
    isDone: false,
    readyAt: Infinity,
    hasAnswered: false,
    killed: null,
    failedStarts,
  };
}

/**
 * Kills the process of a worker, where it has one that can be; those whose tasks are lost with it
 * are told why. Of a rank's child that is one of `number` calls from `task` on, if still so.
 */
export function killFor(connection: Connection, why: string, task?: number, number?: number): void {
  connection.killed = { why, at: performance.now() };
  connection.link?.kill?.(task, number);
}

/** For messages: `worker 2 (rank 3, pid 4711, host node7)`. */
export function describe({ record, rank, host, greeting }: Connection): string {
  const where = rank === null ? [] : [`rank ${rank}`];
  if (greeting !== null) where.push(`pid ${greeting.pid}`);
  return `worker ${record.index} (${[...where, `host ${host}`].join(", ")})`;
}
