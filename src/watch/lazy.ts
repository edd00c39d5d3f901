/** The parts of watching that few programs need: each is loaded with its first use. */
import { PoolClosedError, show } from "../errors.ts";
import { isError } from "../os/natives.ts";
import type { TaskEvent, WorkerEvent } from "./events.ts";
import type { Progress, ProgressShow } from "./progress.ts";
import type { ProgressOptions } from "./progress-options.ts";
import { type DashboardOptions, readDashboardOptions } from "./dashboard-options.ts";
import { readTraceOptions, type TraceOptions } from "./trace-options.ts";
import type { Traced } from "./trace.ts";
import type { PoolStats } from "./stats.ts";
import type { Watch } from "./watch.ts";

/** What `pool.on` does. */
export function listen(
  watch: Watch,
  event: "task" | "worker",
  listener: (event: never) => void,
): Disposable {
  if (event !== "task" && event !== "worker") {
    throw new TypeError(
      `Cannot listen to a pool: there is no event ${show(event)}; there are "task" and "worker"`,
    );
  }
  if (typeof listener !== "function") {
    throw new TypeError(
      `Cannot listen to a pool: the listener must be a function, got ${show(listener)}`,
    );
  }
  const { TaskEvents, WorkerEvents } = require("./events.ts") as typeof import("./events.ts");
  const { callbacks } = watch;
  return watch.add(
    event === "task"
      ? new TaskEvents(listener as (event: TaskEvent) => void, callbacks)
      : new WorkerEvents(listener as (event: WorkerEvent) => void, callbacks),
  );
}

/** What shows a pool until it is over would never end. */
function refuseOver({ end }: Watch, deed: string): void {
  if (end !== null) throw new PoolClosedError(`Cannot ${deed}: the pool is ${end}`);
}

/** What `pool.summary` returns. */
export function summaryOf(watch: Watch, stats: PoolStats): string {
  const { summarize } = require("./summary.ts") as typeof import("./summary.ts");
  return summarize(watch, stats);
}

/** Shows progress until that is ended. */
export function showProgress(
  options: ProgressOptions,
  name: string,
  look: () => Progress,
): ProgressShow {
  const { ProgressShow } = require("./progress.ts") as typeof import("./progress.ts");
  return new ProgressShow(options, name, look);
}

/** Shows how many tasks of a pool are settled, until it is over. */
export function showPoolProgress(options: ProgressOptions, watch: Watch): void {
  const show = showProgress(options, "tasks", () => {
    const { submitted, unsettled, failed } = watch;
    return { done: submitted - unsettled, failed, total: submitted };
  });
  watch.atEnd(() => show.end());
}

/** A trace that is being written, until it is stopped or the pool is over. */
export interface TraceHandle extends Disposable {
  readonly path: string;
  /** Ends the file. */
  stop(): void;
}

/** What `pool.trace` does. */
export function trace(
  watch: Watch,
  path: string,
  options: TraceOptions,
  traced: Traced,
): TraceHandle {
  const maxBytes = readTraceOptions(path, options);
  refuseOver(watch, "trace its tasks");
  const { Trace } = require("./trace.ts") as typeof import("./trace.ts");
  const made = new Trace(path, maxBytes, traced);
  const added = watch.add(made);
  const stop = () => {
    added[Symbol.dispose]();
    ending[Symbol.dispose]();
    made.stop();
  };
  const ending = watch.atEnd(stop);
  return { path: made.path, stop, [Symbol.dispose]: stop };
}

/** Paths that `BSYNC_TRACE` has led to: each pool of a program has a file of its own. */
let traces = 0;

/** The path for a pool by `BSYNC_TRACE`: as given, then `trace-2.json`, `trace-3.json`. */
export function nextTracePath(path: string): string {
  traces++;
  return traces === 1 ? path : path.replace(/(\.[^./]+)?(\.gz)?$/, `-${traces}$1$2`);
}

/** A trace by `BSYNC_TRACE`: that there is none is no reason for a program not to run. */
export function traceFromStart(begin: () => TraceHandle): void {
  try {
    begin();
  } catch (error) {
    process.stderr.write(`bsync: ${isError(error) ? error.message : String(error)}\n`);
  }
}

/** The live page of a pool, until it is stopped or the pool is over. */
export interface Dashboard extends Disposable {
  /** With the token that opens it. */
  readonly url: string;
  readonly port: number;
  /** Ends the server. */
  stop(): void;
}

/** What `pool.dashboard` does. */
export function dashboard(
  watch: Watch,
  stats: () => PoolStats,
  options: DashboardOptions,
): Dashboard {
  const settings = readDashboardOptions(options);
  refuseOver(watch, "serve a dashboard");
  const { DashboardServer } = require("./dashboard.ts") as typeof import("./dashboard.ts");
  const server = new DashboardServer(watch, stats, settings);
  const stop = () => server.stop();
  return { url: server.url, port: server.port, stop, [Symbol.dispose]: stop };
}

/** Dashboards that `BSYNC_DASHBOARD` has asked for: pools after the first get any free port. */
let dashboards = 0;

/** A dashboard by `BSYNC_DASHBOARD`: that there is none is no reason for a program not to run. */
export async function dashboardFromStart(
  text: string,
  begin: (options: DashboardOptions) => Promise<Dashboard>,
): Promise<void> {
  try {
    if (!/^\d{1,5}$/.test(text)) {
      throw new RangeError(`it must be a port, or 0 for any that is free, got ${show(text)}`);
    }
    dashboards++;
    const { url, port } = await begin({ port: dashboards === 1 ? Number(text) : 0 });
    const host = (require("node:os") as typeof import("node:os")).hostname();
    process.stderr.write(
      `bsync: dashboard at ${url}\n` +
        `bsync: from elsewhere first: ssh -N -L ${port}:127.0.0.1:${port} ${host}` +
        ` (through a login node: add -J LOGIN-NODE)\n`,
    );
  } catch (error) {
    process.stderr.write(
      `bsync: BSYNC_DASHBOARD: ${isError(error) ? error.message : String(error)}\n`,
    );
  }
}
