import type { Connection } from "./controller/connection.ts";
import type { Controller } from "./controller/controller.ts";
import { sharesPids } from "./os/identity.ts";
import { needStackToLoad } from "./os/stack.ts";
import type { Traced } from "./watch/trace.ts";
import type { PoolStats } from "./watch/stats.ts";

/** One worker of a pool, as `pool.workers` shows it. */
export interface WorkerInfo {
  /** Its place in `pool.workers`, from 0; a process that replaces another one has the same. */
  readonly index: number;
  /** MPI rank, in the communicator of the pool; null for a local process. */
  readonly rank: number | null;
  /** 0 before the worker has answered. */
  readonly pid: number;
  readonly host: string;
  /**
   * `"overdue"`: it still runs a task that was settled without it (timed out, or cancelled), and is
   * sent nothing until it answers. `"gone"`: its process has ended, or the pool has released it.
   */
  readonly state: "starting" | "idle" | "busy" | "overdue" | "gone";
}

/** What `pool.workers` shows of one worker. */
export function infoOf(controller: Controller, connection: Connection): WorkerInfo {
  return {
    index: connection.record.index,
    rank: connection.rank,
    pid: connection.greeting?.pid ?? connection.link?.pid ?? 0,
    host: connection.host,
    state: controller.stateOf(connection),
  };
}

type Counts = typeof import("./watch/stats.ts") & typeof import("./watch/watch.ts");

let loaded: Counts | null = null;

/** What counts is loaded with the first question: workers start without it. */
function counts(): Counts {
  if (loaded === null) {
    needStackToLoad();
    const { Watch } = require("./watch/watch.ts") as typeof import("./watch/watch.ts");
    loaded = { ...(require("./watch/stats.ts") as typeof import("./watch/stats.ts")), Watch };
  }
  return loaded;
}

/** What `pool.stats()` returns; of a pool without a controller here there is nothing to show. */
export function statsOf(controller: Controller | null): PoolStats {
  const { statsOf, Watch } = counts();
  if (controller === null) return statsOf(new Watch(), []);
  const workers = controller.connections.map((connection) => {
    const { record, tally, writer, greeting } = connection;
    const isHere = greeting !== null && sharesPids(greeting);
    return { ...infoOf(controller, connection), record, tally, sent: writer.sent, isHere };
  });
  return statsOf(controller.watch, workers);
}

/** What a trace of the pool needs. */
export function tracedOf(controller: Controller): Traced {
  const { connections, watch } = controller;
  return {
    rows: connections.map(({ record, host, rank }) => ({ index: record.index, host, rank })),
    concurrency: watch.concurrency,
    load: () =>
      counts().loadOf(
        watch,
        connections.map(({ record }) => record),
      ),
  };
}
