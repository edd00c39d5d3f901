/** Runs the jobs of a farm on the workers of a pool, as many at once as there are slots. */
import { constants } from "node:os";
import { PoolClosedError, textOf } from "../../errors.ts";
import type { AsyncPool } from "../../pool.ts";
import { type FarmJob, hasFailed, idOf, type OutputReader } from "./farm-job.ts";
import { Failures, failureOf } from "./failures.ts";
import { exitCodeFor, type HaltPolicy, statusOf, verdict, type When } from "./halt.ts";
import {
  dropJob,
  endJob,
  followOutput,
  type JobResult,
  type JobSpec,
  readOutput,
  runJob,
} from "./job.ts";
import type { JobLog } from "./joblog.ts";
import type { Outputs } from "./outputs.ts";
import { NoReaderError } from "./printer.ts";
import type { Counts } from "./progress.ts";
import { Slots } from "./slots.ts";
import { TimeLimit } from "./time-limit.ts";

export interface Plan {
  readonly jobs: AsyncIterable<FarmJob>;
  /** What a worker needs to run a job, beside its name. */
  readonly specOf: (job: FarmJob) => Pick<JobSpec, "line" | "words" | "folder">;
  /** The number of jobs; null if it is not known. */
  readonly total: number | null;
  /** How many jobs run at once, at most. */
  readonly atOnce: number;
  readonly halt: HaltPolicy | null;
  readonly limit: TimeLimit;
  /** How often a job may be started. */
  readonly tries: number;
  /** ms between two starts. */
  readonly delay: number;
  readonly isFollowed: boolean;
  readonly outputs: Outputs;
  readonly log: JobLog | null;
}

/** Why no more jobs start, and what becomes of those that run. */
interface Stop {
  readonly when: When;
  readonly exitCode: number | null;
  readonly error?: unknown;
}

interface Place {
  readonly id: string;
  readonly worker: number;
}

type View = ReturnType<AsyncPool["with"]>;

/** The exit code where nobody reads the output any more, as a shell has it for SIGPIPE. */
const NO_READER = 128 + constants.signals.SIGPIPE;

export class Farm {
  readonly #pool: AsyncPool;
  readonly #plan: Plan;
  readonly #slots: Slots;
  /** The pool as each of its workers has it to itself. */
  readonly #views: readonly View[];
  readonly #running = new Map<FarmJob, Place>();
  /** Jobs that failed and start again. */
  readonly #again: FarmJob[] = [];
  readonly failures = new Failures();
  #changed = Promise.withResolvers<void>();
  #stop: Stop | null = null;
  #failed = 0;
  #succeeded = 0;
  /** Outputs on their way. */
  #delivering = 0;
  #seen = 0;

  constructor(pool: AsyncPool, plan: Plan) {
    this.#pool = pool;
    this.#plan = plan;
    this.#slots = new Slots(plan.atOnce);
    this.#views = pool.workers.map(({ index }) => pool.with({ worker: index }));
  }

  counts(): Counts {
    const done = this.#failed + this.#succeeded;
    const running = this.#running.size;
    return { done, failed: this.#failed, running, total: this.#plan.total };
  }

  /** Starts no more jobs; `now` ends those that run, too. */
  stop(stop: Stop): void {
    const before = this.#stop;
    if (before === null || (before.when === "soon" && stop.when === "now")) {
      this.#stop = { ...stop, exitCode: before?.exitCode ?? stop.exitCode };
      if (before?.error !== undefined) this.#stop = { ...this.#stop, error: before.error };
    }
    if (stop.when === "now") this.#endRunning();
    this.#notify();
  }

  /** Runs all jobs; resolves with the exit code. */
  async run(): Promise<number> {
    await this.#startAll();
    while (this.#running.size > 0 || (this.#delivering > 0 && this.#stop?.when !== "now")) {
      await this.#changed.promise;
    }
    if (this.#stop?.error instanceof NoReaderError) return NO_READER;
    if (this.#stop?.error !== undefined) throw this.#stop.error;
    return this.#stop?.exitCode ?? exitCodeFor(this.#failed);
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  async #startAll(): Promise<void> {
    const iterator = this.#plan.jobs[Symbol.asyncIterator]();
    let next: Promise<FarmJob | null> | null = null;
    let isDry = false;
    let nextStart = 0;
    while (this.#stop === null) {
      if (isDry && this.#running.size === 0 && this.#again.length === 0) break;
      let job = this.#slots.isFree ? this.#again.shift() : undefined;
      if (job === undefined && this.#slots.isFree && !isDry && this.#plan.outputs.hasRoom) {
        next ??= this.#read(iterator);
        const found: FarmJob | null | undefined = await Promise.race([
          next,
          this.#changed.promise.then(() => undefined),
        ]);
        if (found === undefined) continue;
        next = null;
        if (found === null) isDry = true;
        else job = found;
      } else if (job === undefined) await this.#changed.promise;
      if (job === undefined) continue;
      await this.#waitUntil(nextStart);
      if (this.#stop !== null) break;
      nextStart = performance.now() + this.#plan.delay;
      this.#start(job);
    }
    // An input that never ends is not waited for.
    void iterator.return?.();
  }

  async #read(iterator: AsyncIterator<FarmJob>): Promise<FarmJob | null> {
    try {
      const { done, value } = await iterator.next();
      if (done === true) return null;
      this.#seen++;
      return value;
    } catch (error) {
      this.#fail(error);
      return null;
    }
  }

  async #waitUntil(time: number): Promise<void> {
    for (let ms = 0; this.#stop === null && (ms = time - performance.now()) > 0;) {
      await Promise.race([Bun.sleep(ms), this.#changed.promise]);
    }
  }

  #start(job: FarmJob): void {
    const { outputs, limit, isFollowed } = this.#plan;
    job.slot = this.#slots.take();
    job.tries++;
    const worker = (job.slot - 1) % this.#views.length;
    const id = idOf(job);
    const view = this.#views[worker]!;
    const spec = this.#plan.specOf(job);
    job.line = spec.line;
    const { sequence, slot } = job;
    const timeout = limit.ms();
    this.#running.set(job, { id, worker });
    const running = view.async(runJob, { ...spec, id, sequence, slot, timeout, isFollowed });
    // Whatever asks for its output comes behind it.
    outputs.begin(job, readerOn(view, id));
    running.then(
      (result) => this.#end(job, result),
      (error) => this.#lose(job, error),
    );
  }

  /** A job's worker is gone, or could not run it. */
  #lose(job: FarmJob, error: unknown): void {
    // The pool as a whole is.
    if (error instanceof PoolClosedError) this.#fail(error);
    const nothing = new Uint8Array(0);
    this.#end(job, {
      host: "",
      start: Date.now(),
      runTime: 0,
      exit: -1,
      signal: constants.signals.SIGKILL,
      isLate: false,
      refusal: textOf(error),
      sizes: [0, 0],
      outputs: [nothing, nothing],
      lastWords: "",
    });
  }

  #end(job: FarmJob, result: JobResult): void {
    this.#running.delete(job);
    this.#slots.give(job.slot);
    const { outputs, tries, limit } = this.#plan;
    const failed = hasFailed(result);
    if (this.#stop?.when === "now") outputs.drop(job);
    else if (failed && job.tries < tries && this.#stop === null) {
      void outputs.endTry(job, result).then(() => {
        this.#again.push(job);
        this.#notify();
      });
      // Until then the farm is not at its end.
      this.#running.set(job, { id: "", worker: 0 });
    } else {
      if (!failed) limit.add(result.runTime);
      this.#count(job, result, failed);
      void this.#deliver(job, result);
    }
    this.#notify();
  }

  #count(job: FarmJob, result: JobResult, failed: boolean): void {
    if (failed) {
      this.#failed++;
      this.failures.add(failureOf(job, result));
    } else this.#succeeded++;
    const { halt, total } = this.#plan;
    if (halt === null || this.#stop !== null) return;
    const tally = { failed: this.#failed, succeeded: this.#succeeded };
    const status = failed ? statusOf(result) || 1 : 0;
    const met = verdict(halt, tally, status, total ?? this.#seen);
    if (met !== null) this.stop({ when: halt.when, exitCode: met.exitCode });
  }

  /** The log has a job once its output is where it should be. */
  async #deliver(job: FarmJob, result: JobResult): Promise<void> {
    this.#delivering++;
    try {
      await this.#plan.outputs.end(job, result);
      this.#plan.log?.add(job, result);
    } catch (error) {
      this.#fail(error);
    }
    this.#delivering--;
    this.#notify();
  }

  /** Something that is no job's fault. */
  #fail(error: unknown): void {
    this.stop({ when: error instanceof NoReaderError ? "now" : "soon", exitCode: null, error });
  }

  #endRunning(): void {
    for (const { id, worker } of this.#running.values()) {
      if (id !== "") this.#views[worker]!.async(endJob, id).catch(() => {});
    }
  }
}

function readerOn(view: View, id: string): OutputReader {
  return {
    read: (stream, from, length) => view.async(readOutput, id, stream, from, length).get(),
    follow: (from, isByLine) => view.async(followOutput, id, from, isByLine).get(),
    drop: () => void view.async(dropJob, id).catch(() => {}),
  };
}
