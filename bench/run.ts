/**
 * Everything that can be measured on this machine, bsync beside every reference of the same run:
 *
 *   bun run bench             the table
 *   bun run bench --json      the same for machines
 *   bun run bench --save      the table, also as bench/RESULTS.md
 *   --rounds 9                more rounds than five
 *   --only rate,references    only these programs
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { QuantityId } from "./harness/lines.ts";
import { describeMachine, findFamilies, findPython } from "./harness/machine.ts";
import { findModes, type Job, LAUNCH_ENV, planOnce, planRound, type Step } from "./harness/plan.ts";
import { compileReferences, installPools } from "./harness/prepare.ts";
import { endAll, endWithThis, measure } from "./harness/process.ts";
import { Series } from "./harness/series.ts";
import { type Absent, describe, type Results, table, tally } from "./harness/table.ts";
import { judge } from "./harness/targets.ts";

/** After so many failures a job is left out. */
const MOST_FAILURES = 2;

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    only: { type: "string" },
  },
});
const roundCount = Number(options.rounds);
if (!Number.isInteger(roundCount) || roundCount < 1) throw new RangeError("--rounds 5, say");
const only = options.only?.split(",");

endWithThis();
const started = performance.now();
const seconds = () => Math.round((performance.now() - started) / 1e3);
const series = new Series();
const absent: Absent[] = [];
const failures = new Map<string, { count: number; reason: string }>();

/** What goes on, for who waits: one line that is written over on a terminal. */
function say(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K[${seconds()} s] ${text}`);
  else process.stderr.write(`[${seconds()} s] ${text}\n`);
}

function keyOf({ who, name }: Job): string {
  return `${name}\0${who}`;
}

async function runJob(job: Job): Promise<void> {
  const key = keyOf(job);
  if ((failures.get(key)?.count ?? 0) >= MOST_FAILURES) return;
  const outcome = await measure(job.command, { seconds: job.seconds, env: LAUNCH_ENV });
  if ("found" in outcome) {
    for (const [name, quantities] of Object.entries(job.yields)) {
      for (const quantity of [quantities].flat() as QuantityId[]) {
        addNumbers(job, quantity, outcome.found[name] ?? []);
      }
    }
    return;
  }
  const missing = "missing" in outcome;
  const reason = missing ? outcome.missing : outcome.failed;
  const count = (failures.get(key)?.count ?? 0) + (missing ? MOST_FAILURES : 1);
  failures.set(key, { count, reason });
}

/** A job with rounds of its own prints one number for each. */
function addNumbers(job: Job, quantity: QuantityId, numbers: readonly number[]): void {
  if (job.once) for (const number of numbers) series.add(quantity, job.who, [number]);
  else series.add(quantity, job.who, numbers);
}

async function runSteps(steps: readonly Step[], label: string): Promise<void> {
  for (const step of steps) {
    const jobs = step.filter(({ name }) => only === undefined || only.includes(name));
    if (jobs.length === 0) continue;
    say(`${label}: ${jobs.map(({ who, name }) => `${name}, ${who}`).join(" and ")}`);
    await Promise.all(jobs.map(runJob));
  }
}

const [families, python] = await Promise.all([findFamilies(), findPython()]);
const machine = await describeMachine(families, python.version);
if (machine.strangers.length > 0) say(`not quiet: ${machine.strangers.join(", ")}\n`);
for (const { name, launcher } of families) {
  if (launcher === null) {
    absent.push({ who: `bsync, ${name}`, what: "mode", reason: `there is no ${name} here` });
  }
}
if (python.path === null) {
  absent.push({ who: "mpi4py, multiprocessing", what: "reference", reason: "no Python here" });
}
const folder = mkdtempSync(join(tmpdir(), "bsync-bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

await installPools(say);
say("compiling what is in C");
const { compiled, absent: broken } = await compileReferences(
  ["pingpong", "comm", "broadcast"],
  families,
  folder,
);
absent.push(...broken);
const modes = findModes(families);
// The first start under an MPI builds bsync's binding for it, which is not to be measured.
for (const { who, command } of modes) {
  say(`once before it counts: ${who}`);
  await measure(command(1, "open.ts"), { seconds: 40, env: LAUNCH_ENV });
}
const here = { families, python: python.path, compiled };
const steps = planRound(modes, here);
for (let round = 1; round <= roundCount; round++) {
  await runSteps(steps, `round ${round} of ${roundCount}`);
}
await runSteps(planOnce(modes, here), "its own rounds");
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");

for (const [key, { count, reason }] of failures) {
  const [name = "", who = ""] = key.split("\0");
  const what = name === "references" ? "reference" : name;
  absent.push({ who, what, reason: count === 1 ? `failed once: ${reason}` : reason });
}
const left = endAll();
if (left > 0) {
  absent.push({ who: "all", what: "end", reason: `${left} processes were left over, and ended` });
}

const present = families.filter(({ launcher }) => launcher !== null).map(({ name }) => name);
const results: Results = {
  machine,
  command: ["bun run bench", ...process.argv.slice(2)].join(" "),
  rounds: roundCount,
  seconds: seconds(),
  summaries: series.summaries(modes.map(({ who }) => who)),
  verdicts: judge(series, present),
  absent,
};
const lines = [...describe(results), "", ...table(results), "", tally(results.verdicts)];
console.log(options.json ? JSON.stringify(results, null, 2) : lines.join("\n"));
if (options.save) {
  const title = "# The last full run\n\nHow to read it: [README.md](README.md).\n";
  writeFileSync(join(import.meta.dir, "RESULTS.md"), `${title}\n${lines.join("\n")}\n`);
}
process.exit(0);
