/**
 * Cases that run in a job of their own, each shown as a test of the test runner. The contract is one list of
 * cases for every transport; each has a test file of its own, so that they run beside each other.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { lane, seed } from "../lane.ts";
import { LANE, SEED } from "../setup/variables.ts";
import { applies, type Case, LOCAL_WORKERS } from "./case.ts";
import { casesFor } from "./jobs.ts";
import { Job, type Launch } from "./job.ts";
import { ISOLATE, type Line, MIX, PART } from "./runner.ts";

/** ms without a word of a job after which it hangs: longer than the limit of any case. */
const SILENCE_MS = 75_000;

/** ms for all cases of a job, for the test runner: how long they take depends on the machine. */
const JOB_MS = 1_800_000;

/** The contract in a job started in this way. */
export function describeContract(launch: Launch): void {
  const cases = casesFor(launch);
  if (cases.length > 0) describeJob(launch, join(import.meta.dir, "run.ts"), cases);
}

/** Starts `script`, which runs `cases` by `runCases`, and judges what it says, how it ends, what it leaves. */
export function describeJob(launch: Launch, script: string, cases: readonly Case[]): void {
  const { mode, ranks, isolated = false, mixed = false, part } = launch;
  const workers = mode === "local" ? LOCAL_WORKERS : ranks - 1;
  const title = mode === "local" ? "local processes" : `${mode}, ${ranks} ranks`;
  const kind = isolated ? ", isolated" : mixed ? ", mixed with processes" : "";
  const where = part === undefined ? "" : `, part ${part.number} of ${part.of}`;
  const env = {
    [LANE]: lane,
    [SEED]: `${seed}`,
    ...(isolated ? { [ISOLATE]: "1" } : {}),
    ...(mixed ? { [MIX]: "1" } : {}),
    ...(part === undefined ? {} : { [PART]: `${part.number}/${part.of}` }),
  };
  const die = mode === "local" || isolated || mixed;
  describe(title + kind + where, () => {
    let job: Job;
    const lines = new Map<string, Line>();
    let rest = "";

    beforeAll(async () => {
      job = new Job(launch, script, { env });
      // What went wrong is for the tests to tell.
      await job.endedOrSilent(SILENCE_MS).catch(() => {});
      for (const text of job.stdout.split("\n")) {
        if (text.startsWith('{"name":')) {
          const line = JSON.parse(text) as Line;
          lines.set(line.name, line);
        } else rest += text;
      }
    }, JOB_MS);

    afterAll(() => job[Symbol.asyncDispose]());

    for (const { name } of cases.filter((entry) => applies(entry, mode, workers, die))) {
      test(name, () => {
        const line = lines.get(name);
        if (line === undefined) throw new Error(`the job ended before, or hung here: ${end(job)}`);
        if (!line.ok) throw new Error(line.error);
      });
    }

    test("the job ends with exit code 0, and nobody said anything but rank 0", () => {
      expect(rest).toBe("");
      if (job.process.exitCode !== 0) throw new Error(end(job));
    });

    test("the job leaves nothing behind", () => job.leftNothing(), 10_000);
  });
}

function end({ process: { exitCode, signalCode }, stderr }: Job): string {
  return `exit code ${exitCode}, signal ${signalCode}, stderr: ${stderr.slice(-4_000)}`;
}
