/**
 * What a worker does for a farm: starts a job, waits for its end, and gives its output away. The
 * functions that others call are all here; what they keep is the worker's own.
 */
import { hostname, tmpdir } from "node:os";
import { taskContext } from "../../context.ts";
import { textOf } from "../../errors.ts";
import { type ChildSpec, startChild } from "./child.ts";
import { endGroup, type Group, watched } from "./group.ts";
import { type JobResult, packed, type PackedResult } from "./job-result.ts";
import { mostJobs, roomFor } from "./room.ts";
import { hasRoom, Spool } from "./spool.ts";

/** A job as a worker gets it. */
export interface JobSpec extends ChildSpec {
  /** Unique among all tries of all jobs of the farm. */
  readonly id: string;
  /** In ms; 0: none. */
  readonly timeout: number;
  /** Whether its output is asked for while it runs. */
  readonly isFollowed: boolean;
}

/** The two outputs: 0 is standard output. */
export type Stream = 0 | 1;

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

/** The exit code in the place of 0 of a job whose output is not whole. */
const CUT_OFF = -1;

interface Running {
  /** Null before there was room for one. */
  spool: Spool | null;
  group: Group | null;
  /** Of its outputs, when it ended; what it has left behind may write on. Null: it is not over. */
  sizes: readonly [number, number] | null;
}

const jobs = new Map<string, Running>();

/** What came of jobs that were sent together, beside what was reported of the first ones. */
export interface BatchResult {
  /** Of the one behind those; null if it still runs, or was not started. */
  readonly result: PackedResult | null;
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
      report(packed(result));
    }
    const job = runJob(spec);
    result = end === null ? await job : await Promise.race([job, end]);
    if (result === null) {
      unawaited.set(spec.id, job);
      return { result: null, isRunning: true };
    }
  }
  return { result: result === null ? null : packed(result), isRunning: false };
}

function bytesOf({ outputs: [out, error] }: JobResult): number {
  return (out?.length ?? 0) + (error?.length ?? 0);
}

/** Waits for a job that still ran when its batch came back. */
export async function awaitJob(id: string): Promise<PackedResult> {
  const job = unawaited.get(id);
  unawaited.delete(id);
  if (job === undefined) throw new Error(`Cannot wait for job ${id}: it is not here`);
  return packed(await job);
}

/** Runs a job to its end; whatever keeps it from starting is how it ends. */
async function runJob(spec: JobSpec): Promise<JobResult> {
  let start = Date.now();
  let from = performance.now();
  let ending: Ending;
  const running: Running = { spool: null, group: null, sizes: null };
  // At once: others may ask for its output.
  jobs.set(spec.id, running);
  try {
    const child = await whenRoom(() => {
      start = Date.now();
      from = performance.now();
      return begun(running, spec);
    });
    running.group = watched(child);
    ending = await endOf(child, running.group, spec.timeout);
  } catch (error) {
    ending = { exit: NOT_STARTED, signal: 0, isLate: false, refusal: textOf(error) };
  }
  const runTime = performance.now() - from;
  running.sizes = [running.spool?.size(0) ?? 0, running.spool?.size(1) ?? 0];
  const [outSize, errorSize] = running.sizes;
  if (ending.refusal === null && !hasRoom(outSize + errorSize > 0)) ending = cutOff(ending);
  return { host: HOST, start, runTime, ...ending, ...taken(spec, running, ending) };
}

/** Begins a job with all that it needs, or with nothing of it: others may need that. */
function begun(running: Running, spec: JobSpec): Bun.Subprocess {
  const spool = new Spool();
  try {
    const child = startChild(spec, spool.descriptors);
    running.spool = spool;
    return child;
  } catch (error) {
    spool.close();
    throw error;
  }
}

/** Waits for other jobs where there is no room for one more. */
function whenRoom<T>(deed: () => T): Promise<T> {
  return roomFor(deed, {
    isFull: () => count(({ spool }) => spool !== null) >= mostJobs(),
    isUseful: () => count(({ group, sizes }) => group !== null && sizes === null) > 0,
    isOver: () => isEnding,
  });
}

function count(isOne: (job: Running) => boolean): number {
  let found = 0;
  for (const job of jobs.values()) if (isOne(job)) found++;
  return found;
}

/** How a job has ended whose output may not be whole. */
function cutOff({ exit, signal, isLate }: Ending): Ending {
  return {
    exit: exit === 0 && signal === 0 ? CUT_OFF : exit,
    signal,
    isLate,
    refusal: `its output may be cut off: there is no room left in "${tmpdir()}" on ${HOST}`,
  };
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

const NOTHING = new Uint8Array(0);

/** The output of a job that is over, which is forgotten if all of it is taken. */
function taken(
  { id, isFollowed }: JobSpec,
  { spool, sizes }: Running,
  { exit, signal }: Ending,
): Pick<JobResult, "sizes" | "outputs" | "lastWords"> {
  if (spool === null || sizes === null) {
    if (!isFollowed) forgetJob(id);
    return { sizes: [0, 0], outputs: [NOTHING, NOTHING], lastWords: "" };
  }
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
  return jobs.get(id)?.spool?.read(stream, from, length) ?? null;
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
    const { spool, sizes } = job;
    if (sizes !== null) return { upTo: sizes, isOver: true };
    const end = (stream: Stream) =>
      (isByLine ? spool?.endOfLines(stream, from[stream]) : spool?.size(stream)) ?? 0;
    const upTo = [end(0), end(1)] as const;
    if (upTo[0] > from[0] || upTo[1] > from[1]) return { upTo, isOver: false };
    await Bun.sleep(LOOKS_MS[Math.min(look, LOOKS_MS.length - 1)]!);
  }
}

/** The output of a job is no longer needed. */
export async function dropJob(id: string): Promise<void> {
  forgetJob(id);
}

function forgetJob(id: string): void {
  jobs.get(id)?.spool?.close();
  jobs.delete(id);
}

/** Ends a job that still runs, with all that it has started, as the farm itself ends. */
export async function endJob(id: string): Promise<void> {
  isEnding = true;
  const job = jobs.get(id);
  if (job?.group != null && job.sizes === null) await endGroup(job.group);
}
