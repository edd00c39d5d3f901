/** Runs the jobs of a farm on the workers of a pool, as many at once as there are slots. */
import { constants } from "node:os";
import { Batches, PATIENCE_MS } from "./batches.ts";
import { PoolClosedError, textOf, WorkerLostError } from "../../errors.ts";
import type { AsyncPool } from "../../pool.ts";
import { type FarmJob, hasFailed, idOf, type OutputReader } from "./farm-job.ts";
import { OutputLostError } from "./errors.ts";
import { Failures, failureOf } from "./failures.ts";
import { exitCodeFor, type HaltPolicy, statusOf, verdict, type When } from "./halt.ts";
import { awaitJob, type BatchResult, endJob, type JobSpec, runJobs } from "./job.ts";
import { type JobResult, type PackedResult, unpacked } from "./job-result.ts";
import type { JobLog } from "./joblog.ts";
import type { Outputs } from "./outputs.ts";
import { NoReaderError } from "./printer.ts";
import type { Counts } from "./progress.ts";
import { Slots } from "./slots.ts";
import { TimeLimit } from "./time-limit.ts";
import { readerOn, type View } from "./worker-output.ts";

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
  /** The code is due only where jobs are left. */
  readonly ifLeft?: boolean;
  readonly error?: unknown;
}

interface Place {
  readonly id: string;
  readonly worker: number;
}

/** The exit code where nobody reads the output any more, as a shell has it for SIGPIPE. */
const NO_READER = 128 + constants.signals.SIGPIPE;

/** How a job ends whose worker is lost. */
const LOST = { exit: -1, signal: constants.signals.SIGKILL };

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
  /** The input: what is being read, how much was, and whether it has ended. */
  #next: Promise<FarmJob | null> | null = null;
  #seen = 0;
  #isDry = false;
  /** Whether jobs were begun, and not brought to their end. */
  #isCutShort = false;
  readonly #batches: Batches;

  constructor(pool: AsyncPool, plan: Plan) {
    this.#pool = pool;
    this.#plan = plan;
    this.#slots = new Slots(plan.atOnce);
    const { halt, tries, delay, isFollowed } = plan;
    const mayBatch = halt === null && tries === 1 && delay === 0 && !isFollowed;
    this.#batches = new Batches(mayBatch, plan.atOnce);
    this.#views = pool.workers.map(({ index }) => pool.with({ worker: index }));
  }

  /** Whether a value of the input is still waited for, though it is not needed any more. */
  get isReading(): boolean {
    return this.#next !== null;
  }

  counts(): Counts {
    const done = this.#failed + this.#succeeded;
    const running = this.#slots.taken;
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
    const isWhole = this.#isDry && !this.#isCutShort;
    const code = this.#stop?.ifLeft === true && isWhole ? null : this.#stop?.exitCode;
    return code ?? exitCodeFor(this.#failed);
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }

  async #startAll(): Promise<void> {
    const iterator = this.#plan.jobs[Symbol.asyncIterator]();
    let nextStart = 0;
    while (this.#stop === null) {
      if (this.#isDry && this.#running.size === 0 && this.#again.length === 0) break;
      if (!this.#slots.isFree || !this.#mayTake) {
        await this.#changed.promise;
        continue;
      }
      const jobs = await this.#take(iterator);
      if (jobs.length === 0) continue;
      await this.#waitUntil(nextStart);
      if (this.#stop !== null) break;
      nextStart = performance.now() + this.#plan.delay;
      this.#start(jobs);
    }
    if (this.#stop !== null) this.#dropAgain();
    // An input that never ends is not waited for.
    void iterator.return?.();
  }

  get #mayTake(): boolean {
    return this.#again.length > 0 || (!this.#isDry && this.#plan.outputs.hasRoom);
  }

  /** The jobs of the next batch; none if something has happened before there were any. */
  async #take(iterator: AsyncIterator<FarmJob>): Promise<FarmJob[]> {
    const { total } = this.#plan;
    const size = this.#batches.size(total === null ? null : total - this.#seen);
    if (this.#again.length > 0) return this.#again.splice(0, size);
    const jobs: FarmJob[] = [];
    while (jobs.length < size && !this.#isDry) {
      this.#next ??= this.#read(iterator);
      // A batch takes what is there; the first job is waited for.
      const other = jobs.length === 0 ? this.#changed.promise : immediate();
      const found = await Promise.race([this.#next, other.then(() => undefined)]);
      if (found === undefined) break;
      this.#next = null;
      if (found === null) this.#isDry = true;
      else jobs.push(found);
    }
    return jobs;
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
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      await Promise.race([promise, this.#changed.promise]);
      // It would keep the process from ending.
      clearTimeout(timer);
    }
  }

  #start(jobs: readonly FarmJob[]): void {
    const { outputs, limit, isFollowed } = this.#plan;
    const slot = this.#slots.take();
    const worker = (slot - 1) % this.#views.length;
    const view = this.#views[worker]!;
    const timeout = limit.ms();
    const specs = jobs.map((job) => {
      job.slot = slot;
      job.tries++;
      const spec = this.#plan.specOf(job);
      job.line = spec.line;
      const id = idOf(job);
      this.#running.set(job, { id, worker });
      return { ...spec, id, sequence: job.sequence, slot, timeout, isFollowed };
    });
    const running = view.async(runJobs, specs, PATIENCE_MS);
    // Whatever asks for their outputs comes behind it.
    for (const [i, job] of jobs.entries()) outputs.begin(job, readerOn(view, specs[i]!.id));
    let ended = 0;
    running.on("report", (result) => this.#end(jobs[ended++]!, unpacked(result as PackedResult)));
    running.then(
      (batch) => this.#endBatch(jobs.slice(ended), batch, view),
      (error) => {
        this.#slots.give(slot);
        this.#lose(jobs[ended]!, error);
        this.#takeBack(jobs.slice(ended + 1));
      },
    );
  }

  /** `jobs`: all but those that were reported. */
  #endBatch(jobs: readonly FarmJob[], { result, isRunning }: BatchResult, view: View): void {
    const [first, ...others] = jobs as [FarmJob, ...FarmJob[]];
    if (isRunning) {
      view.async(awaitJob, idOf(first)).then(
        (late) => {
          this.#slots.give(first.slot);
          this.#end(first, unpacked(late));
        },
        (error) => {
          this.#slots.give(first.slot);
          this.#lose(first, error);
        },
      );
    } else {
      this.#slots.give(first.slot);
      if (result !== null) this.#end(first, unpacked(result));
    }
    this.#takeBack(isRunning || result !== null ? others : jobs);
  }

  /** Jobs that were sent to a worker, and not started there. */
  #takeBack(jobs: readonly FarmJob[]): void {
    for (const job of jobs) {
      job.tries--;
      this.#running.delete(job);
    }
    this.#queueAgain(jobs, true);
    this.#notify();
  }

  /** Jobs that were begun start again, unless the farm stops: then nothing waits for them. */
  #queueAgain(jobs: readonly FarmJob[], isFirst: boolean): void {
    if (isFirst) this.#again.unshift(...jobs);
    else this.#again.push(...jobs);
    if (this.#stop !== null) this.#dropAgain();
  }

  #dropAgain(): void {
    for (const job of this.#again.splice(0)) {
      this.#plan.outputs.drop(job);
      this.#isCutShort = true;
    }
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
      ...LOST,
      isLate: false,
      refusal: lossOf(error),
      sizes: [0, 0],
      outputs: [nothing, nothing],
      lastWords: "",
    });
  }

  #end(job: FarmJob, result: JobResult): void {
    this.#running.delete(job);
    this.#batches.add(result.runTime);
    const { outputs, tries, limit } = this.#plan;
    const failed = hasFailed(result);
    if (this.#stop?.when === "now") {
      this.#isCutShort = true;
      outputs.drop(job);
    } else if (failed && job.tries < tries && this.#stop === null) {
      // Until then the farm is not at its end.
      this.#running.set(job, { id: "", worker: 0 });
      void outputs.endTry(job, result).then(() => {
        this.#running.delete(job);
        this.#queueAgain([job], false);
        this.#notify();
      });
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
      if (error instanceof OutputLostError) this.#loseOutput(job, result, error);
      else this.#fail(error);
    }
    this.#delivering--;
    this.#notify();
  }

  /** A job that has ended has failed all the same: its output was lost before it was taken. */
  #loseOutput(job: FarmJob, result: JobResult, { message }: OutputLostError): void {
    const hadFailed = hasFailed(result);
    const lost = hadFailed ? result : { ...result, ...LOST, refusal: message };
    if (!hadFailed) {
      this.#succeeded--;
      this.#count(job, lost, true);
    }
    this.#plan.log?.add(job, lost);
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

/** Why a worker has told nothing of a job. */
function lossOf(error: unknown): string {
  if (!(error instanceof WorkerLostError)) return textOf(error);
  const { worker, rank, exitCode, signal } = error;
  const which = rank === null ? `worker ${worker}` : `worker ${worker} (rank ${rank})`;
  return `${which} was lost meanwhile (${signal ?? `exit code ${exitCode}`})`;
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
