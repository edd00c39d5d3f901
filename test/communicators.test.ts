/** Pools on communicators: their ranks, their controllers, several at once. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/communicators.ts");
/** ms that a job may take. */
const END_MS = 30_000;
const TEST_MS = 60_000;

describe.each(mpiFamilies())("%s", (mode) => {
  const test = testsUnder(mode);
  async function run(ranks: number, ...args: string[]) {
    await using job = new Job({ mode, ranks }, PROGRAM, { args });
    await job.ended(END_MS);
    await job.leftNothing();
    const lines = Bun.stripANSI(job.stdout).trim().split(/\r?\n/);
    return { exitCode: job.process.exitCode, lines, stderr: job.stderr };
  }

  /** What all ranks found, of a program that ends well. */
  async function said(ranks: number, ...args: string[]): Promise<unknown[]> {
    const { exitCode, lines, stderr } = await run(ranks, ...args);
    if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${lines.join("\n")}\n${stderr}`);
    return lines.map((line) => JSON.parse(line));
  }

  const it = (sentence: string, deed: () => Promise<void>) => test(sentence, deed, TEST_MS);

  for (const how of ["plain", "isolate"]) {
    it(`${how}: two controllers at once, each with its half of the ranks; then one with all`, async () => {
      const even = [
        [1, 2],
        [
          [1, 2, 25],
          [2, 4, 25],
        ],
        true,
      ];
      const odd = [[1], [[1, 3, 25]], true];
      const all = [[1, 2, 3, 4], [1, 2, 3, 4].map((rank) => [rank, rank, 25]), true];
      expect(await said(5, "halves", how)).toEqual([
        [even, odd, "worker", "worker", "worker"],
        [[5, all], ...[1, 2, 3, 4].map(() => [5, "worker"])],
      ]);
    });

    it(`${how}: the ranks in another order: the job's last one is the controller`, async () => {
      const places = [
        [1, 1, 25],
        [2, 0, 25],
      ];
      expect(await said(3, "reversed", how)).toEqual([
        ["worker", "worker", [[1, 2], places, true]],
      ]);
    });

    it(`${how}: each rank is the controller once, and a worker before and after`, async () => {
      const turn = (first: number) => {
        const places = [1, 2].map((rank) => [rank, (first + rank) % 3, 25]);
        return [0, 1, 2].map((at) => (at === first ? [[1, 2], places, true] : "worker"));
      };
      const turns = [0, 1, 2].map(turn);
      expect(await said(3, "turns", how)).toEqual([
        [0, 1, 2].map((rank) => turns.map((found) => found[rank])),
      ]);
    });

    it(`${how}: two ranks are each other's workers, at the same time and under one tag`, async () => {
      const [first, second] = [
        [[1], [[1, 1, 25]], true],
        [[1], [[1, 0, 25]], true],
      ];
      expect(await said(2, "mutual", how)).toEqual([
        [
          [first, "worker", 0],
          [second, "worker", 0],
        ],
      ]);
    });

    it(`${how}: and send each other more than is taken before it is received`, async () => {
      expect(await said(2, "exchanged", how)).toEqual([[true, true]]);
    });

    it(`${how}: functions of the script are found in processes that are no ranks`, async () => {
      expect(await said(2, "own", how)).toEqual([[[0.5, 1, 1.5, 2], []]]);
    });

    it(`${how}: two controllers share a worker, under one tag`, async () => {
      const found = [[1], [[1, 2, 25]], true];
      expect(await said(3, "shared", how)).toEqual([[[found], [found], ["worker", "worker"]]]);
    });

    it(`${how}: two controllers flood a worker, with long and with short calls: none starves`, async () => {
      expect(await said(3, "flooded", how)).toEqual([["controller", "controller", "worker"]]);
    });

    it(`${how}: workers serve as long as their own controller lives`, async () => {
      const { exitCode, lines } = await run(5, "served", how);
      const [even, odd] = ["[[1,2],[[1,2,25],[2,4,25]],true]", "[[1],[[1,3,25]],true]"];
      expect({ exitCode, lines }).toEqual({
        exitCode: 0,
        lines: [`rank 0: ${even}`, `rank 1: ${odd}`],
      });
    });
  }

  for (const how of ["plain", "isolate"]) {
    it(`${how}: a rank that was let go, and ends, is lost for another controller's pool`, async () => {
      const { exitCode, lines, stderr } = await run(3, "left", how);
      if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${lines.join("\n")}\n${stderr}`);
      const [square, ...errors] = JSON.parse(lines[0]!);
      expect(square).toBe(9);
      expect(errors).toHaveLength(3);
      const end = "(rank 1, .*) came to the end of its program";
      expect(errors[0]).toMatch(new RegExp(`^WorkerLostError: Cannot finish task .*${end}`));
      for (const error of errors.slice(1)) {
        expect(error).toMatch(new RegExp(`^WorkerLostError: Cannot keep the pool going: .*${end}`));
      }
    });
  }

  it("tasks wait for those of a pool of their own rank's, done on the rank that sent them", async () => {
    const squares = Array.from({ length: 100 }, (_, i) => i * i);
    expect(await said(2, "asked")).toEqual([[squares, null]]);
  });

  it("a controller that takes in nothing for a while keeps its worker from nobody else", async () => {
    expect(await said(3, "asleep")).toEqual([[4_000_000, "controller", "worker"]]);
  });

  for (const [ranks, deed] of [
    [4, "fails"],
    [2, "fails-serving"],
  ] as const) {
    it(`a controller that fails ends the job with its code: ${deed}`, async () => {
      const { exitCode, stderr } = await run(ranks, deed);
      expect(stderr).toContain("the program's own");
      expect(exitCode).toBe(1);
    });
  }

  it("a communicator of one rank has local processes", async () => {
    const found = ["controller", [null, null], 9];
    expect(await said(2, "single")).toEqual([[found, found]]);
  });

  it("what is no communicator, or was freed, or is too small, is refused at once", async () => {
    const freed = /^MpiError: Cannot open a pool on world\.split\(0\), which was freed: /;
    expect(await said(3, "refused")).toEqual([
      [
        [
          "RangeError: Cannot open a pool of 5 workers: this communicator (world.split(0)) has 1 worker rank",
          "RangeError: Cannot open a pool on rank 2: this communicator (world.split(0)) has ranks 0 to 1",
          expect.stringMatching(freed),
        ],
        [expect.stringMatching(freed)],
        ["TypeError: Cannot open a pool: comm must be a Communicator of bsync/mpi, got null"],
      ],
    ]);
  });
});
