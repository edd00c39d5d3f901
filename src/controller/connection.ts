import type { Link } from "../link/link.ts";
import { type FunctionRecord, textWeight } from "../function/record.ts";
import { Recent } from "../collections/recent.ts";
import type { WorkerRecord } from "../scheduler/task.ts";
import type { Greeting, MessageWriter } from "../wire/messages.ts";

/** A link as its controller has it: a process can be named and ended, a rank cannot. */
export type ControlledLink = Link & {
  /** Ends the process; with `task`, unless it is seen to have gone on to others. */
  kill?(task?: number): void;
  /**
   * From now on nothing begins of what was sent, where the worker can see that. The number of this
   * recall.
   */
  recall?(): number;
  /** Whether it can be seen, here or on the worker's own machine, what it has begun. */
  readonly isSeen?: boolean;
  /** Of a worker that its rank sees: it does not begin what it was sent. */
  readonly stands?: boolean;
  /** Whether all was taken in that the worker had said before it told what it is at. */
  readonly isCaughtUp?: boolean;
  readonly pid?: number;
  /** The reader of its standard output keeps it from going on: it is not stuck. */
  readonly isHeldByWrite?: boolean;
  /** What its messages are marked with, where that is not the pool's. */
  readonly session?: number;
};

/**
 * Functions that a worker is told of before it forgets those that it was not called with for as
 * long.
 */
const RECENT_FUNCTIONS = 2048;

/** A worker as the controller reaches it: the scheduler's record of it, and the link to it. */
export interface Connection {
  readonly record: WorkerRecord;
  link: ControlledLink | null;
  readonly rank: number | null;
  /** The name of the machine it is on. */
  readonly host: string;
  readonly writer: MessageWriter;
  /** The functions it knows, by their numbers, and the one of them that it was last called with. */
  readonly told: Recent<number, FunctionRecord>;
  lastCalled: number;
  /** Something was written for it, and not sent. */
  unsent: boolean;
  /** How it introduced itself; null before it did. */
  greeting: Greeting | null;
  /** It has let the pool go, or is gone: nothing more is expected of it. */
  farewell: boolean;
  /** On `performance.now()`; Infinity before it serves. */
  readyAt: number;
  /** It has answered a call. */
  served: boolean;
  /** How many in a row were in its place before it and ended before they had done anything. */
  readonly vain: number;
}

type Fixed = Pick<Connection, "record" | "link" | "rank" | "host" | "writer" | "vain">;

/** The connection to a worker that has said nothing yet. */
export function newConnection({ record, link, rank, host, writer, vain }: Fixed): Connection {
  return {
    record,
    link,
    rank,
    host,
    writer,
    told: new Recent(RECENT_FUNCTIONS, textWeight),
    lastCalled: 0,
    unsent: false,
    greeting: null,
    farewell: false,
    readyAt: Infinity,
    served: false,
    vain,
  };
}

/** For messages: `worker 2 (rank 3, pid 4711, host node7)`. */
export function describe({ record, rank, host, greeting }: Connection): string {
  const where = rank === null ? [] : [`rank ${rank}`];
  if (greeting !== null) where.push(`pid ${greeting.pid}`);
  return `worker ${record.index} (${[...where, `host ${host}`].join(", ")})`;
}
