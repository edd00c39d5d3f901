/** A map with a checkpoint whose processes are killed again and again: its results are those of a run in peace. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Job, type Launch } from "../contract/job.ts";
import { drawOne, lane, seed } from "../lane.ts";
import { mpiFamilies } from "../setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "fixtures/killed-map.ts");
const COUNT = lane === "full" ? 1_000_000 : 20_000;
const KILLS = lane === "full" ? 10 : 3;
/** What is killed, in turn. */
const VICTIMS = ["controller", "worker", "launcher"] as const;
const LIMIT_MS = 600_000;

const all: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 5 })),
];
const launches = lane === "full" ? all : [drawOne(all)];
class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "killed-map-"));
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** How often each item was computed, and by which processes. */
function computedIn(folder: string): Map<string, string[]> {
  const computed = new Map<string, string[]>();
  for (const line of readFileSync(join(folder, "computed"), "utf8").trimEnd().split("\n")) {
    const [item, pid] = line.split(" ") as [string, string];
    computed.set(item, [...(computed.get(item) ?? []), pid]);
  }
  return computed;
}

/** Kills a process of a job, if there is one of its kind. */
function kill(job: Job, victim: (typeof VICTIMS)[number]): void {
  const isProgram = (command: string) => command.includes("killed-map.ts");
  const all = job.processes();
  const launcher = job.process.pid;
  const others = all.filter(
    ({ pid, command }) => pid !== launcher && !/mpirun|hydra/.test(command),
  );
  const [controller, ...workers] =
    others.length > 0 && all.some(({ pid, command }) => pid === launcher && isProgram(command))
      ? [{ pid: launcher }, ...others]
      : others;
  const found = { controller, worker: workers.at(-1), launcher: { pid: launcher } }[victim];
  if (found === undefined) return;
  try {
    process.kill(found.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

for (const launch of launches) {
  test(
    `${launch.mode}: a map that is killed again and again ends with the results of one in peace`,
    async () => {
      using undisturbed = new Folder();
      using disturbed = new Folder();
      const digestIn = async (folder: string): Promise<string> => {
        await using job = new Job(launch, PROGRAM, { args: [folder, `${COUNT}`] });
        await job.ended(LIMIT_MS);
        expect(job.process.exitCode).toBe(0);
        await job.leftNothing();
        return job.stdout.trim().split("\n").at(-1)!;
      };
      const expected = await digestIn(undisturbed.path);
      expect(expected).toEndWith(` of ${COUNT}`);
      for (let i = 0; i < KILLS; i++) {
        const victim = VICTIMS[(i + seed) % VICTIMS.length]!;
        await using job = new Job(launch, PROGRAM, { args: [disturbed.path, `${COUNT}`] });
        await Promise.race([job.said("computing", LIMIT_MS), job.process.exited]);
        await Bun.sleep(Math.random() * 100);
        kill(job, victim);
        // A local worker that is lost is replaced, and the map goes on.
        await job.ended(LIMIT_MS);
        await job.leftNothing(20_000);
      }
      expect(await digestIn(disturbed.path)).toBe(expected);
      const computed = computedIn(disturbed.path);
      expect(computed.size).toBe(COUNT);
      for (const pids of computed.values()) expect(pids.length).toBeLessThanOrEqual(1 + KILLS);
    },
    LIMIT_MS,
  );
}
