/**
 * What a worker does for a farm: starts a job, waits for its end, and gives its output away. The
 * functions that others call are all here; what they keep is the worker's own.
 */
import { existsSync, mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { launcherHere } from "../../mpi/launcher/ancestry.ts";
import { withoutLauncher } from "../../mpi/launcher/launcher.ts";
import { taskContext } from "../../context.ts";
import { textOf } from "../../errors.ts";
import { endGroup, type Group, watched } from "./group.ts";
import { Spool } from "./spool.ts";
import { programFor, shellFor } from "./program.ts";

/** A job as a worker gets it. */
export interface JobSpec {
  /** Unique among all tries of all jobs of the farm. */
  readonly id: string;
  readonly sequence: number;
  readonly slot: number;
  /** For a shell. */
  readonly line: string;
  /** The same in words, if no shell is needed. */
  readonly words: readonly string[] | null;
  readonly folder: string;
  /** In ms; 0: none. */
  readonly timeout: number;
  /** Whether its output is asked for while it runs. */
  readonly isFollowed: boolean;
}

/** The two outputs: 0 is standard output. */
export type Stream = 0 | 1;

/** How a job ended, and its output, if that is short. */
export interface JobResult {
  readonly host: string;
  /** ms since 1970, and ms. */
  readonly start: number;
  readonly runTime: number;
  /** -1 where a time limit has ended it, as in GNU parallel. */
  readonly exit: number;
  readonly signal: number;
  readonly isLate: boolean;
  /** Why it could not be started; null if it was. */
  readonly refusal: string | null;
  /** The bytes of each output. */
  readonly sizes: readonly [number, number];
  /** The outputs; null where `read` has to be asked. */
  readonly outputs: readonly [Uint8Array | null, Uint8Array | null];
  /** The end of the standard error of a job that failed. */
  readonly lastWords: string;
}

/** How far an output has come, and how much of it may be printed. */
export interface Followed {
  readonly upTo: readonly [number, number];
  readonly isOver: boolean;
}

const HOST = hostname();

/** Outputs up to this size come with the result. */
const INLINE_BYTES = 64 * 1024;

/** Bytes of standard error that tell why a job failed. */
const LAST_BYTES = 2_000;

/** The exit code of a job that could not be started, as a shell's. */
const NOT_STARTED = 126;

interface Running {
  readonly spool: Spool;
  group: Group | null;
  isOver: boolean;
}

const jobs = new Map<string, Running>();

let environment: Record<string, string> | null = null;

/** The environment of jobs: that of this process, without what makes it a rank. */
function baseEnvironment(): Record<string, string> {
  if (environment !== null) return environment;
  environment = withoutLauncher(process.env);
  // Where a library has found the launcher in a parent, that one's variables are the same.
  launcherHere();
  // Batch systems send these to each process; the farm alone decides what they mean.
  for (const signal of ["SIGTERM", "SIGUSR1"] as const) process.on(signal, () => {});
  return environment;
}

/** What came of jobs that were sent together, beside what was reported of the first ones. */
export interface BatchResult {
  /** Of the one behind those; null if it still runs, or was not started. */
  readonly result: JobResult | null;
  /** Whether it still runs: `awaitJob` waits for it. No other was started. */
  readonly isRunning: boolean;
}

/** Jobs that are over leave their results here if nobody waits for them. */
const unawaited = new Map<string, Promise<JobResult>>();

/** The farm ends at once: nothing more is started. */
let isEnding = false;

/** Bytes of output that a batch reports: those that found no room would be lost with the worker. */
const MOST_REPORTED = 64 * 1024;

/**
 * Runs jobs one after another. After `patience` ms those that were not started are for another
 * worker: only the last one of a batch may take as long as it likes. Before the next one starts the
 * result of the last one is reported: a worker that is lost costs the job that it ran.
 */
export async function runJobs(specs: readonly JobSpec[], patience: number): Promise<BatchResult> {
  const { report } = taskContext();
  let result: JobResult | null = null;
  const isPatient = specs.length === 1;
  const end = isPatient ? null : Bun.sleep(patience).then(() => null);
  const start = performance.now();
  let bytes = 0;
  for (const spec of specs) {
    if (isEnding || (!isPatient && performance.now() - start > patience)) break;
    if (result !== null) {
      bytes += bytesOf(result);
      if (bytes > MOST_REPORTED) break;
      report(result);
    }
    const job = runJob(spec);
    result = end === null ? await job : await Promise.race([job, end]);
    if (result === null) {
      unawaited.set(spec.id, job);
      return { result, isRunning: true };
    }
  }
  return { result, isRunning: false };
}

function bytesOf({ outputs: [out, error] }: JobResult): number {
  return (out?.length ?? 0) + (error?.length ?? 0);
}

/** Waits for a job that still ran when its batch came back. */
export async function awaitJob(id: string): Promise<JobResult> {
  const job = unawaited.get(id);
  unawaited.delete(id);
  if (job === undefined) throw new Error(`Cannot wait for job ${id}: it is not here`);
  return await job;
}

/** Runs a job to its end; whatever keeps it from starting is how it ends. */
async function runJob(spec: JobSpec): Promise<JobResult> {
  const start = Date.now();
  const from = performance.now();
  let running: Running | null = null;
  let ending: Ending;
  try {
    running = { spool: new Spool(), group: null, isOver: false };
    jobs.set(spec.id, running);
    makeFolder(spec.folder);
    const child = childOf(spec, running.spool);
    running.group = watched(child);
    ending = await endOf(child, running.group, spec.timeout);
  } catch (error) {
    ending = { exit: NOT_STARTED, signal: 0, isLate: false, refusal: textOf(error) };
  }
  const runTime = performance.now() - from;
  if (running !== null) running.isOver = true;
  return { host: HOST, start, runTime, ...ending, ...taken(spec, running, ending) };
}

function childOf(spec: JobSpec, { descriptors: [stdout, stderr] }: Spool): Bun.Subprocess {
  const env = baseEnvironment();
  const { worker } = taskContext();
  const spawn = (command: string[]) =>
    Bun.spawn(command, {
      cwd: spec.folder,
      env: {
        ...env,
        PARALLEL_SEQ: String(spec.sequence),
        PARALLEL_JOBSLOT: String(spec.slot),
        BSYNC_WORKER: String(worker),
      },
      stdin: "ignore",
      stdout,
      stderr,
      // A group of its own, so that it can be ended as one.
      detached: true,
    });
  try {
    return spawn(programFor(spec, env));
  } catch (error) {
    // A script that names no interpreter: shells run it themselves.
    if (!(error instanceof Error && "code" in error && error.code === "ENOEXEC")) throw error;
    return spawn(shellFor(spec.line, env));
  }
}

let lastFolder = "";

/** Makes a folder unless it was there for the last job. */
function makeFolder(folder: string): void {
  if (folder === lastFolder && existsSync(folder)) return;
  mkdirSync(folder, { recursive: true });
  lastFolder = folder;
}

type Ending = Pick<JobResult, "exit" | "signal" | "isLate" | "refusal">;

async function endOf(child: Bun.Subprocess, group: Group, timeout: number): Promise<Ending> {
  let isLate = false;
  let ending: Promise<void> | null = null;
  const alarm =
    timeout > 0
      ? setTimeout(() => {
          isLate = true;
          ending = endGroup(group);
        }, timeout)
      : null;
  await child.exited;
  if (alarm !== null) clearTimeout(alarm);
  // Its children may take longer than itself.
  if (ending !== null) await ending;
  group.forget();
  const signal = signalNumber(child.signalCode);
  return { exit: isLate ? -1 : (child.exitCode ?? 0), signal, isLate, refusal: null };
}

function signalNumber(name: NodeJS.Signals | number | null): number {
  if (name === null || typeof name === "number") return name ?? 0;
  const { signals } = process.getBuiltinModule("node:os").constants;
  return (signals as Record<string, number>)[name] ?? 0;
}

/** The output of a job that is over, which is forgotten if all of it is taken. */
function taken(
  { id, isFollowed }: JobSpec,
  running: Running | null,
  { exit, signal }: Ending,
): Pick<JobResult, "sizes" | "outputs" | "lastWords"> {
  const nothing = new Uint8Array(0);
  if (running === null) return { sizes: [0, 0], outputs: [nothing, nothing], lastWords: "" };
  const { spool } = running;
  const sizes = [spool.size(0), spool.size(1)] as const;
  const hasFailed = exit !== 0 || signal !== 0;
  const from = Math.max(0, sizes[1] - LAST_BYTES);
  const last = hasFailed ? spool.read(1, from, sizes[1] - from) : null;
  const lastWords = last === null ? "" : new TextDecoder().decode(last);
  if (isFollowed) return { sizes, outputs: [null, null], lastWords };
  const short = (stream: Stream) =>
    sizes[stream] <= INLINE_BYTES ? spool.read(stream, 0, sizes[stream]) : null;
  const outputs = [short(0), short(1)] as const;
  if (!outputs.includes(null)) forgetJob(id);
  return { sizes, outputs, lastWords };
}

/** A part of an output; null if it is not here: the worker that had it was lost, and replaced. */
export async function readOutput(
  id: string,
  stream: Stream,
  from: number,
  length: number,
): Promise<Uint8Array | null> {
  return jobs.get(id)?.spool.read(stream, from, length) ?? null;
}

/** ms between two looks at an output that is followed: shorter after some, longer after none. */
const LOOKS_MS = [2, 5, 10, 20, 50] as const;

/**
 * Resolves once the job has written more than `from`, or is over: how much may be printed, which is
 * whole lines where `isByLine`. Null as for `readOutput`.
 */
export async function followOutput(
  id: string,
  from: readonly [number, number],
  isByLine: boolean,
): Promise<Followed | null> {
  for (let look = 0; ; look++) {
    const job = jobs.get(id);
    if (job === undefined) return null;
    const { spool, isOver } = job;
    const upTo = [0, 1].map((stream) =>
      isOver || !isByLine
        ? spool.size(stream as Stream)
        : spool.endOfLines(stream as Stream, from[stream as Stream]),
    ) as [number, number];
    if (isOver || upTo[0] > from[0] || upTo[1] > from[1]) return { upTo, isOver };
    await Bun.sleep(LOOKS_MS[Math.min(look, LOOKS_MS.length - 1)]!);
  }
}

/** The output of a job is no longer needed. */
export async function dropJob(id: string): Promise<void> {
  forgetJob(id);
}

function forgetJob(id: string): void {
  jobs.get(id)?.spool.close();
  jobs.delete(id);
}

/** Ends a job that still runs, with all that it has started, as the farm itself ends. */
export async function endJob(id: string): Promise<void> {
  isEnding = true;
  const job = jobs.get(id);
  if (job?.group != null && !job.isOver) await endGroup(job.group);
}
