/** `bsync multi`: makes a farm of its options and words, and runs it. */
import { accessSync, constants, statSync } from "node:fs";
import { resolve } from "node:path";
import { AsyncPool } from "../../pool.ts";
import { textOf } from "../../errors.ts";
import { mpiJob } from "../../job/environment.ts";
import { hostCores } from "../../os/cores.ts";
import { written } from "../../os/output.ts";
import { letRanksGo, OWN_ERROR } from "./rank.ts";
import { Archive } from "./archive.ts";
import type { Keeper, TagOf } from "./delivery.ts";
import { FarmError } from "./errors.ts";
import { Farm, type Plan } from "./farm.ts";
import type { FarmJob } from "./farm-job.ts";
import { JobLog } from "./joblog.ts";
import { failedJobsOf, jobsOf } from "./jobs.ts";
import type { MultiOptions } from "./options.ts";
import { Outputs } from "./outputs.ts";
import { writeAll } from "./printer.ts";
import { Progress } from "./progress.ts";
import { bytesOfText, isOdd, joined, rawWords } from "./raw-text.ts";
import { NamedFiles, ResultTree } from "./results.ts";
import { stopOnSignals } from "./signals.ts";
import { argumentLists, combined, countCombined, sourcesOf, STDIN } from "./sources.ts";
import { Template, TextTemplate } from "./template.ts";
import { TimeLimit } from "./time-limit.ts";
import { jobsAtOnce } from "./units.ts";
import { type SourceWords, splitWords, type Words } from "./words.ts";

/** Tells what is wrong with the words. */
type Refuse = (wrong: string) => never;

/** Runs the command; resolves with its exit code. */
export async function multi(
  words: readonly string[],
  options: MultiOptions,
  refuse: Refuse,
): Promise<number> {
  refuseContradictions(options, refuse);
  const work = workOf(splitWords(rawWords(words)), options, refuse);
  if (options.dryRun === true) {
    const code = await printCommands(work, options);
    await letRanksGo();
    return code;
  }
  let isOpen = false;
  try {
    const { code, isReading } = await runFarm(work, options, () => (isOpen = true));
    // Nothing takes such a read back, and it would keep the process for as long as it waits.
    if (isReading) await written().then(() => process.exit(code));
    return code;
  } catch (error) {
    const text = error instanceof FarmError ? error.message : textOf(error);
    process.stderr.write(`bsync multi: ${text}\n`);
    if (!isOpen) await letRanksGo();
    return OWN_ERROR;
  }
}

function refuseContradictions(options: MultiOptions, refuse: Refuse): void {
  const needsLog = options.resume ?? options.resumeFailed ?? options.retryFailed;
  if (needsLog === true && options.joblog === undefined) {
    refuse("--resume, --resume-failed and --retry-failed go by a log; name it by --joblog");
  }
  if (options.maxArgs === 0 && options.colsep !== undefined) {
    refuse("-N 0 leaves all values out, and --colsep splits them; give one of the two");
  }
}

/** What is to be done, apart from how. */
interface Work {
  /** The command, as it was given. */
  readonly command: readonly string[];
  readonly template: Template;
  readonly inputs: AsyncIterable<readonly string[]>;
  /** The number of inputs; null if it is not known. */
  readonly total: number | null;
}

function workOf({ command, sources }: Words, options: MultiOptions, refuse: Refuse): Work {
  const each = options.maxArgs ?? options.n ?? null;
  const standard: SourceWords = { kind: "file", words: [STDIN], isLinked: false };
  const files: SourceWords = { kind: "file", words: options.argFile, isLinked: false };
  const named = options.argFile.length > 0 ? [files, ...sources] : sources;
  const all = named.length > 0 || options.retryFailed === true ? named : [standard];
  refuseUnreadable(all, refuse);
  if (all.includes(standard) && process.stdin.isTTY) {
    process.stderr.write("bsync multi: input is read from the terminal; ::: or -a give others\n");
  }
  const delimiter = options.null === true ? "\0" : options.delimiter;
  const read = sourcesOf(all, { delimiter, columns: options.colsep ?? null });
  const isLinked = options.link === true;
  const count = countCombined(read, isLinked);
  return {
    command: [...command, options.quote === true ? "-q" : "", options.standIn],
    template: new Template(command.length > 0 ? command : ["{}"], {
      standIn: options.standIn,
      isQuoted: options.quote === true && command.length > 0,
      appends: each !== 0,
    }),
    inputs: argumentLists(combined(read, isLinked), {
      each,
      skipsEmpty: !options.runIfEmpty,
      isShuffled: options.shuf === true,
    }),
    total: count === null || !options.runIfEmpty ? null : Math.ceil(count / Math.max(each ?? 1, 1)),
  };
}

function refuseUnreadable(sources: readonly SourceWords[], refuse: Refuse): void {
  for (const path of sources.flatMap(({ kind, words }) => (kind === "file" ? words : []))) {
    if (path === STDIN) continue;
    try {
      // Not opened: the writer of a pipe would take that for its reader.
      accessSync(path, constants.R_OK);
      if (statSync(path).isDirectory()) throw new Error("it is a folder");
    } catch (error) {
      refuse(`the input file "${path}" cannot be read: ${textOf(error)}`);
    }
  }
}

async function printCommands(work: Work, { joblog, ...options }: MultiOptions): Promise<number> {
  const log = joblog === undefined || !isResumed(options) ? null : new JobLog(joblog, true, null);
  for await (const job of jobsFor(work, options, log, () => {})) {
    const line = job.line || work.template.line({ ...job, slot: 1 });
    await writeAll(1, bytesOfText(`${line}\n`));
  }
  return 0;
}

function isResumed({ resume, resumeFailed, retryFailed }: Omit<MultiOptions, "joblog">): boolean {
  return resume === true || resumeFailed === true || retryFailed === true;
}

function jobsFor(
  { inputs, command, template }: Work,
  options: Omit<MultiOptions, "joblog">,
  log: JobLog | null,
  onLeftOut: () => void,
): AsyncIterable<FarmJob> {
  if (log !== null && options.retryFailed === true) return failedJobsOf(log);
  const rules = {
    againFailed: options.resumeFailed === true,
    accepts: options.accept === true,
  };
  const resume = log !== null && isResumed(options) ? { log, rules } : null;
  return jobsOf(inputs, { command, template, resume }, onLeftOut);
}

/** Runs the jobs; `onOpen` is called when the ranks of a job, if it is one, are met. */
async function runFarm(
  work: Work,
  options: MultiOptions,
  onOpen: () => void,
): Promise<{ code: number; isReading: boolean }> {
  const launched = mpiJob() !== null;
  const usual = hostCores();
  const jobs = options.jobs ?? options.maxProcs;
  const asked = jobs === undefined ? null : jobsAtOnce(jobs, usual);
  const resumed = isResumed(options);
  // Opened before anything starts: what is wrong with them is told at once.
  const log =
    options.joblog === undefined
      ? null
      : new JobLog(options.joblog, resumed, launched ? null : ":");
  const keepers = keepersOf(options, resumed);
  await using pool = await openPool(launched, asked, options);
  onOpen();
  const outputs = outputsOf(options, keepers);
  const gathered = options.halt?.isPercentage === true ? await Array.fromAsync(work.inputs) : null;
  const inputs = gathered === null ? work : { ...work, inputs: asyncOf(gathered) };
  let leftOut = 0;
  const total = gathered?.length ?? work.total;
  const farm = new Farm(pool, {
    ...planOf(work, options),
    jobs: jobsFor(inputs, options, log, () => void leftOut++),
    total: options.retryFailed === true ? null : total,
    atOnce: asked ?? pool.size,
    outputs,
    log,
  });
  const shown = options.bar ?? options.eta ?? options.progress ?? false;
  const progress = shown ? new Progress(() => countsOf(farm, leftOut)) : null;
  const end = stopOnSignals(farm, options.grace);
  try {
    const code = await farm.run();
    return { code, isReading: farm.isReading };
  } finally {
    end();
    progress?.end();
    await outputs.close();
    log?.close();
    process.stderr.write(farm.failures.text(farm.counts().done));
  }
}

function countsOf(farm: Farm, leftOut: number): ReturnType<Farm["counts"]> {
  const { total, ...counts } = farm.counts();
  return { ...counts, total: total === null ? null : total - leftOut };
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

function planOf(
  { template }: Work,
  options: MultiOptions,
): Omit<Plan, "jobs" | "total" | "atOnce" | "outputs" | "log"> {
  const folder = new TextTemplate(options.wd ?? options.workdir ?? ".");
  return {
    specOf: (job) => {
      const isOfLog = options.retryFailed === true;
      return {
        line: isOfLog ? job.line : template.line(job),
        words: isOfLog ? null : template.words(job),
        folder: fromHere(folder.text(job)),
      };
    },
    halt: options.halt,
    limit: new TimeLimit(options.timeout ?? null),
    tries: options.retries,
    delay: options.delay,
    isFollowed: liveOf(options) !== null,
  };
}

function fromHere(folder: string): string {
  if (!isOdd(folder)) return resolve(folder);
  return folder.startsWith("/") ? folder : joined(process.cwd(), folder);
}

function liveOf(options: MultiOptions): "lines" | "bytes" | null {
  if (options.ungroup === true) return "bytes";
  return (options.lineBuffer ?? options.linebuffer) === true ? "lines" : null;
}

function keepersOf(options: MultiOptions, resumed: boolean): Keeper[] {
  const { results = null, files, archive } = options;
  const keepers: Keeper[] = [];
  if (results !== null) keepers.push(new ResultTree(results));
  if (archive !== undefined) keepers.push(new Archive(archive, resumed));
  if (files === true) keepers.push(new NamedFiles(results));
  return keepers;
}

function outputsOf(options: MultiOptions, keepers: readonly Keeper[]): Outputs {
  return new Outputs({
    tag: tagOf(options),
    prints: options.files !== true,
    keepers,
    keepsOrder: options.keepOrder === true,
    live: liveOf(options),
  });
}

function tagOf({ tag, tagstring }: MultiOptions): TagOf | null {
  if (tagstring === undefined && tag !== true) return null;
  const template = new TextTemplate(tagstring ?? "{}");
  return (job) => template.text(job);
}

/** Calls on a worker beside its jobs, at once. */
const OTHER_CALLS = 8;

async function openPool(
  launched: boolean,
  asked: number | null,
  { isolate = false }: MultiOptions,
): Promise<AsyncPool> {
  const usual = hostCores();
  const workers = launched ? undefined : Math.min(asked ?? usual, usual);
  // A job may be followed, read and ended while it runs.
  const concurrency = 4 * Math.ceil((asked ?? usual) / (workers ?? 1)) + OTHER_CALLS;
  return await AsyncPool.open(workers, { isolate, concurrency, spin: 0, unhandled: "ignore" });
}
