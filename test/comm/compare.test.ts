/**
 * bsync/mpi against plain C under the same MPI: each operation with each type, each reduction with
 * both, on 1 to 5 ranks. Both programs do the same table of cases, and must write the same.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mpirunProgram, run } from "../mpi/launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { findMpi, mpiFamilies } from "../setup/mpi.ts";
import { casesFor, printed } from "./cases.ts";

const LIMIT_MS = 120_000;
const SIZES = [1, 2, 3, 4, 5];
const SOURCE = join(import.meta.dir, "compare.c");
const OURS = [process.execPath, "run", join(import.meta.dir, "compare.ts")];

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bsync-compare-"));
  for (const size of SIZES) await Bun.write(join(folder, `cases.${size}`), printed(casesFor(size)));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Options {
  readonly cases?: string;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
}

for (const family of mpiFamilies()) {
  describe(family, () => {
    const test = testsUnder(family);
    const peer = (): string => join(folder, `compare-${family}`);

    /** What each rank wrote, as lines. */
    async function written(
      name: string,
      size: number,
      program: readonly string[],
      { cases = `cases.${size}`, args = [], env = {} }: Options = {},
    ): Promise<string[][]> {
      const out = join(folder, `${family}-${name}-${size}`);
      const command = [...program, join(folder, cases), out, ...args];
      const { exitCode, stdout, stderr } = await mpirunProgram(family, size, command, env);
      if (exitCode !== 0) throw new Error(`${name} exited with ${exitCode}\n${stdout}${stderr}`);
      const ranks = Array.from({ length: size }, (_, rank) => Bun.file(`${out}.${rank}`).text());
      return (await Promise.all(ranks)).map((text) => text.trimEnd().split("\n"));
    }

    beforeAll(async () => {
      const { mpicc } = findMpi(family)!;
      const { exitCode, stderr } = await run([mpicc, "-O2", SOURCE, "-o", peer()]);
      if (exitCode !== 0) throw new Error(stderr);
    }, LIMIT_MS);

    test.each(SIZES)(
      "the same as C, on %d ranks",
      async (size) => {
        const inC = await written("c", size, [peer()]);
        const ours = await written("bsync", size, OURS);
        expect(inC[0]).toHaveLength(casesFor(size).length);
        // Some are refused, and only those that the standard refuses: of five reductions, each with five operations, two types.
        expect(inC[0]!.filter((line) => line.endsWith("MPI_ERR_OP")).length).toBe(5 * 5 * 2);
        expect(ours).toEqual(inC);
      },
      LIMIT_MS,
    );

    test.each(["20", "1000"])(
      "the same as C when arrays of more than %s bytes count as long",
      async (bytes) => {
        // A reduction is done block by block: thousands of them would take long.
        const few = casesFor(3).filter(({ op, count }) => op === "-" || count < 1000);
        const cases = "cases.few";
        await Bun.write(join(folder, cases), printed(few));
        // Numbers whose sums are exact, since blocks may be taken in another order.
        const args = ["exact"];
        const inC = await written("c-exact", 3, [peer()], { cases, args });
        const env = { BSYNC_CHUNK_BYTES: bytes };
        const ours = await written(`bsync-${bytes}`, 3, OURS, { cases, args, env });
        expect(ours).toEqual(inC);
      },
      LIMIT_MS,
    );
  });
}
