import type { ControllerEnd } from "../link/link.ts";
import { type FunctionRecord, textWeight } from "../function/record.ts";
import { Recent } from "../collections/recent.ts";
import type { Greeting } from "../wire/greeting.ts";
import type { MessageWriter } from "../wire/writer.ts";
import type { WorkerRecord } from "../scheduler/task.ts";

/**
 * Functions that a worker is told of before it forgets those that it was not called with for as
 * long.
 */
const RECENT_FUNCTIONS = 2048;

/** A worker as the controller reaches it: the scheduler's record of it, and the link to it. */
export interface Connection {
  readonly record: WorkerRecord;
  link: ControllerEnd | null;
  readonly rank: number | null;
  /** The name of the machine it is on. */
  readonly host: string;
  readonly writer: MessageWriter;
  /** The functions it knows, by their numbers, and the one of them that it was last called with. */
  readonly knownFunctions: Recent<number, FunctionRecord>;
  lastCalled: number;
  /** Something was written for it, and not sent. */
  hasUnsent: boolean;
  /** How it introduced itself; null before it did. */
  greeting: Greeting | null;
  /** It has let the pool go, or is gone: nothing more is expected of it. */
  isDone: boolean;
  /** On `performance.now()`; Infinity before it serves. */
  readyAt: number;
  /** It has answered a call. */
  hasAnswered: boolean;
  /** How many in a row were in its place before it and ended before they had done anything. */
  readonly failedStarts: number;
}

type Fixed = Pick<Connection, "record" | "link" | "rank" | "host" | "writer" | "failedStarts">;

/** The connection to a worker that has said nothing yet. */
export function newConnection({
  record,
  link,
  rank,
  host,
  writer,
  failedStarts: vain,
}: Fixed): Connection {
  return {
    record,
    link,
    rank,
    host,
    writer,
    knownFunctions: new Recent(RECENT_FUNCTIONS, textWeight),
    lastCalled: 0,
    hasUnsent: false,
    greeting: null,
    isDone: false,
    readyAt: Infinity,
    hasAnswered: false,
    failedStarts: vain,
  };
}

/** For messages: `worker 2 (rank 3, pid 4711, host node7)`. */
export function describe({ record, rank, host, greeting }: Connection): string {
  const where = rank === null ? [] : [`rank ${rank}`];
  if (greeting !== null) where.push(`pid ${greeting.pid}`);
  return `worker ${record.index} (${[...where, `host ${host}`].join(", ")})`;
}
