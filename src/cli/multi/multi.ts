/** `bsync multi`: makes a farm of its options and words, and runs it. */
import { closeSync, openSync } from "node:fs";
import { AsyncPool } from "../../pool.ts";
import { hostCores } from "../../os/cores.ts";
import { textOf } from "../../errors.ts";
import { mpiJob } from "../../job/environment.ts";
import { Printing } from "./delivery.ts";
import { Farm } from "./farm.ts";
import { exitCodeFor } from "./halt.ts";
import type { MultiOptions } from "./options.ts";
import { argumentLists, combined, countCombined, sourcesOf, STDIN } from "./sources.ts";
import { Template } from "./template.ts";
import { jobsAtOnce } from "./units.ts";
import { type SourceWords, splitWords } from "./words.ts";

/** The exit code for an error of the command's own. */
const OWN_ERROR = 255;

/** Runs the command; resolves with its exit code. `refuse` tells what is wrong with the words. */
export async function multi(
  words: readonly string[],
  options: MultiOptions,
  refuse: (wrong: string) => never,
): Promise<number> {
  const { command, sources } = splitWords(words);
  const files: SourceWords = { kind: "file", words: options.argFile, isLinked: false };
  const given = options.argFile.length > 0 ? [files, ...sources] : sources;
  const all =
    given.length > 0 ? given : [{ kind: "file", words: [STDIN], isLinked: false } as const];
  refuseUnreadable(all, refuse);
  const read = sourcesOf(all, {
    delimiter: options.null ? "\0" : options.delimiter,
    columns: options.colsep ?? null,
  });
  const template = new Template(command.length > 0 ? command : ["{}"], {
    standIn: options.standIn,
    isQuoted: options.quote === true && command.length > 0,
    appends: options.maxArgs !== 0,
  });
  const inputs = argumentLists(combined(read, options.link === true), {
    each: options.maxArgs ?? null,
    skipsEmpty: !options.runIfEmpty,
    isShuffled: options.shuf === true,
  });
  if (options.dryRun) return await printCommands(template, inputs);
  const usual = hostCores();
  const launched = mpiJob() !== null;
  const atOnce = options.jobs === undefined ? null : jobsAtOnce(options.jobs, usual);
  const workers = launched ? undefined : Math.min(atOnce ?? usual, usual);
  const pool = await openPool(workers, atOnce ?? null, options);
  const farm = new Farm(pool, {
    template,
    inputs,
    total: countCombined(read, options.link === true),
    atOnce: atOnce ?? pool.size,
    folder: process.cwd(),
    keepers: [new Printing(null)],
    options,
  });
  await farm.run();
  await pool.close();
  return exitCodeFor(farm.failed);
}

/** Calls on a worker beside its jobs, at once. */
const OTHER_CALLS = 8;

async function openPool(
  workers: number | undefined,
  atOnce: number | null,
  { isolate = false }: MultiOptions,
): Promise<AsyncPool> {
  const here = workers ?? 1;
  const concurrency = 2 * Math.ceil((atOnce ?? here) / here) + OTHER_CALLS;
  return await AsyncPool.open(workers, { isolate, concurrency, unhandled: "ignore" });
}

function refuseUnreadable(sources: readonly SourceWords[], refuse: (wrong: string) => never): void {
  for (const path of sources.flatMap(({ kind, words }) => (kind === "file" ? words : []))) {
    if (path === STDIN) continue;
    try {
      closeSync(openSync(path, "r"));
    } catch (error) {
      refuse(`the input file "${path}" cannot be read: ${textOf(error)}`);
    }
  }
}

async function printCommands(
  template: Template,
  inputs: AsyncIterable<readonly string[]>,
): Promise<number> {
  let sequence = 0;
  for await (const values of inputs) {
    console.log(template.line({ sequence: ++sequence, slot: 1, values }));
  }
  return 0;
}

export { OWN_ERROR };
