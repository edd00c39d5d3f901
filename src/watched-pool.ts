import type { Controller } from "./controller/controller.ts";
import type { Opened } from "./open/opened.ts";
import { keepWhole } from "./os/whole.ts";
import { type Caller, PoolCalls } from "./pool-calls.ts";
import type { TaskEvent, WorkerEvent } from "./watch/events.ts";
import type { DashboardOptions } from "./watch/dashboard-options.ts";
import {
  type Dashboard,
  dashboard,
  listen,
  summaryOf,
  trace,
  type TraceHandle,
} from "./watch/lazy.ts";
import type { PoolStats } from "./watch/stats.ts";
import type { TraceOptions } from "./watch/trace-options.ts";
import { infoOf, statsOf, tracedOf, type WorkerInfo } from "./worker-info.ts";

/** What a pool tells of its tasks and workers. */
export class WatchedPool extends PoolCalls {
  readonly #controller: Controller | null;
  readonly #requireController: (deed: string) => Controller;

  /** @internal `requireController` throws where this process has none. */
  constructor(caller: Caller, opened: Opened, requireController: (deed: string) => Controller) {
    super(caller, opened.task);
    this.#controller = opened.controller;
    this.#requireController = requireController;
  }

  /** How many workers the pool has; 0 where its role is not `"controller"`. */
  get size(): number {
    return this.#controller?.connections.length ?? 0;
  }

  /**
   * The workers as they are now, in the order of their indices; empty where its role is not
   * `"controller"`.
   *
   * @example
   * for (const { index, rank, pid, host } of pool.workers) {
   *   console.log(index, rank ?? "local", pid, host);
   * }
   */
  get workers(): WorkerInfo[] {
    const controller = this.#controller;
    if (controller === null) return [];
    return controller.connections.map((connection) => infoOf(controller, connection));
  }

  /**
   * How many tasks wait, run and are settled, how long they waited and ran, and what each worker
   * has done. Each item of a map counts as a task. Always on, and after the end of the pool, too.
   * Without workers, and all zero, where its role is not `"controller"`.
   *
   * @example
   * const { done, queued, run } = pool.stats();
   * console.log(`${done} done, ${queued} wait; half of them took ${run.p50} ms or less`);
   */
  stats(): PoolStats {
    return statsOf(this.#controller);
  }

  /**
   * The same for a person, in some lines, as `seff` has it for a job: how busy the workers were,
   * their processors and memory, tasks by outcome, the longest ones, failures by message. With
   * `BSYNC_SUMMARY=1` it is written to stderr when a pool closes. Empty where the role is not
   * `"controller"`.
   *
   * @example
   * console.error(pool.summary());
   */
  summary(): string {
    return this.#controller === null ? "" : summaryOf(this.#controller.watch, this.stats());
  }

  /**
   * Calls `listener` with each step of a task, or of a worker, until what it returns is disposed.
   * Items of a map are tasks. A listener that throws ends the program as any callback does; without
   * listeners it costs nothing. `PoolClosedError` where the role is not `"controller"`.
   *
   * @example
   * using _ = pool.on("worker", ({ type, worker, reason }) => {
   *   if (type === "lost") console.error(`worker ${worker} ${reason}`);
   * });
   */
  on(event: "task", listener: (event: TaskEvent) => void): Disposable;
  on(event: "worker", listener: (event: WorkerEvent) => void): Disposable;
  on(event: "task" | "worker", listener: (event: never) => void): Disposable {
    return listen(this.#requireController("listen").watch, event, listener);
  }

  /**
   * Writes what the workers do, from now until the pool is over, as Chrome trace events, which
   * https://ui.perfetto.dev shows; gzipped where the path ends in `.gz`. The file opens also when
   * the job was killed. Above 10,000 tasks a second, and when it comes near `maxBytes` (200e6 by
   * default), neighbours are merged. `BSYNC_TRACE=path` does it from the start. Throws a
   * `BsyncError` of code `BSYNC_TRACE` where the file cannot be made, `PoolClosedError` where the
   * pool is over.
   *
   * @example
   * using _ = pool.trace("job.json.gz");
   */
  trace(path: string, options: TraceOptions = {}): TraceHandle {
    const controller = this.#requireController("trace its tasks");
    return trace(controller.watch, path, options, tracedOf(controller));
  }

  /**
   * Serves a live page of the pool until it is over: workers with their tasks, rate, run times,
   * failures; and `/metrics` for Prometheus. Only this machine reaches it, and only who has the
   * token that is in `url`. It keeps no program alive, and gathers nothing while nobody looks.
   * `BSYNC_DASHBOARD=port` does it from the start, and prints how to get there. Rejects with a
   * `BsyncError` of code `BSYNC_DASHBOARD` where the port cannot be had, with `PoolClosedError`
   * where the pool is over.
   *
   * @example
   * const { url } = await pool.dashboard();
   * console.error(url);
   */
  async dashboard(options: DashboardOptions = {}): Promise<Dashboard> {
    const { watch } = this.#requireController("serve a dashboard");
    return dashboard(watch, () => this.stats(), options);
  }
}

keepWhole([WatchedPool.prototype]);
