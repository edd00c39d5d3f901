/**
 * Programs whose time is over: a signal with the option `drainSignals`, sent to those whom batch systems
 * and launchers send it to. The program sees it and ends by itself, nothing left behind.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/draining.ts");
const END_MS = 8_000;
const TEST_MS = 40_000;

type Signal = "SIGTERM" | "SIGUSR1";

/** Whom the signal is sent to. */
const receivers = {
  "the controller": (job: Job) => [Number(/ready (\d+)/.exec(job.stdout)?.[1])],
  "the launcher": (job: Job) => [job.process.pid],
  "every process but the launcher's": (job: Job) =>
    job.processes().flatMap(({ pid, command }) => (isLauncher(command) ? [] : [pid])),
} as const;

function isLauncher(command: string): boolean {
  return /^\S*(mpirun|mpiexec|hydra|orted)/.test(command);
}

async function run(
  launch: Launch,
  deed: string,
  signal: Signal,
  to: keyof typeof receivers,
): Promise<{ stdout: string; exitCode: number | null; stderr: string }> {
  await using job = new Job(launch, PROGRAM, { args: [deed] });
  await job.said("ready");
  for (const pid of receivers[to](job)) process.kill(pid, signal);
  if (deed === "again") await sendAgain(job, signal, to);
  await job.ended(END_MS);
  await job.leftNothing();
  const { stdout, stderr } = job;
  return { stdout: stdout.replace(/ready \d+\n/, ""), exitCode: job.process.exitCode, stderr };
}

/** Sends a signal until the program has noticed that it comes once more. */
async function sendAgain(job: Job, signal: Signal, to: keyof typeof receivers): Promise<void> {
  await job.said("queued: ");
  while (!job.stdout.includes("running: ") && job.process.exitCode === null) {
    for (const pid of receivers[to](job)) process.kill(pid, signal);
    await Bun.sleep(100);
  }
}

const ORDERLY = [
  "queued: cancelled",
  "running: ended",
  "running: ended",
  "refused: PoolClosedError",
  "closed\n",
].join("\n");

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];

for (const launch of launches) {
  const { mode } = launch;
  describe(mode, () => {
    const test = testsUnder(mode);
    const cases: [Signal, keyof typeof receivers][] = [
      ["SIGTERM", "the controller"],
      ["SIGTERM", "every process but the launcher's"],
    ];
    if (mode !== "local") cases.push(["SIGUSR1", "the launcher"]);
    // Open MPI's launcher ends its job on SIGTERM, whatever the ranks do: see docs/launching.md.
    if (mode === "mpich") cases.push(["SIGTERM", "the launcher"]);
    for (const [signal, to] of cases) {
      test(
        `${signal} to ${to}: what runs ends, the rest is cancelled, the program ends by itself`,
        async () => {
          const { stdout, exitCode, stderr } = await run(launch, "orderly", signal, to);
          expect({ stdout, stderr }).toMatchObject({ stdout: ORDERLY });
          expect(stderr).toContain(`bsync: ${signal} came: no more tasks start, and 10 that wait`);
          // MPICH's launcher ends with 0 now and then, where it was sent the signal itself.
          const codes = mode === "mpich" && to === "the launcher" ? [0, 7] : [7];
          expect(codes).toContain(exitCode!);
        },
        TEST_MS,
      );
    }

    test(
      "the same signal once more ends at once what still runs",
      async () => {
        const { stdout, exitCode } = await run(launch, "again", "SIGTERM", "the controller");
        const expected = ORDERLY.replaceAll("running: ended", "running: cancelled");
        expect({ stdout, exitCode }).toEqual({ stdout: expected, exitCode: 7 });
      },
      TEST_MS,
    );

    test(
      "what does not end within drainTimeout is cancelled, and does not keep the program",
      async () => {
        const { stdout, exitCode, stderr } = await run(
          launch,
          "stuck",
          "SIGTERM",
          "the controller",
        );
        const expected = ORDERLY.replaceAll("running: ended", "running: cancelled");
        expect({ stdout, exitCode, stderr }).toMatchObject({ stdout: expected, exitCode: 7 });
      },
      TEST_MS,
    );
  });
}
