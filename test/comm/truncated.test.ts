/** Messages that are longer than their arrays, in every receive and every collective. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { mpirun, type Outcome } from "../mpi/launch.ts";
import { type MpiFamily, mpiFamilies } from "../setup/mpi.ts";

setDefaultTimeout(60_000);

/** Class of the error, whether anything lies beyond the array, whether the ranks go on together. */
type Found = Record<string, [string | null, boolean, boolean]>;

function read({ exitCode, stdout, stderr }: Outcome): { messages: string[]; all: Found[] } {
  if (exitCode !== 0) throw new Error(`exited with ${exitCode}\n${stdout}${stderr}`);
  // UCX warns, on stdout too, of what nobody has received.
  return JSON.parse(stdout.split("\n").find((line) => line.startsWith("{"))!);
}

interface Case {
  readonly size: number;
  readonly short: number;
  readonly long: number;
  readonly type: "Uint8Array" | "Float64Array";
  readonly chunkBytes?: string;
}

async function run(family: "openmpi" | "mpich", of: Case, only: string[] = []) {
  const script = join(import.meta.dir, "truncated.ts");
  const args = [`${of.short}`, `${of.long}`, of.type, ...only];
  return read(
    await mpirun(family, of.size, script, args, { BSYNC_CHUNK_BYTES: of.chunkBytes ?? "" }),
  );
}

const LAST: Found[string] = ["MPI_ERR_TRUNCATE", false, true];
const NO_RESULT: Found[string] = ["MPI_ERR_COUNT", false, true];
const OTHER: Found[string] = [null, false, true];

function expectOnlyLast(found: Found[], names: string[]): void {
  const told = found.map((rank) => names.map((name) => [name, ...(rank[name] ?? [])]));
  const expected = found.map((_, rank) =>
    names.map((name) => [name, ...(rank === found.length - 1 ? LAST : OTHER)]),
  );
  expect(told).toEqual(expected);
}

const REDUCTIONS = ["reduce", "allreduce", "allreduce in place", "scan"];

// On either side of what travels together with its length, of what is sent at once, and of what MPI cuts up.
const CASES: Case[] = [
  { size: 2, short: 100, long: 20_000, type: "Uint8Array" },
  { size: 2, short: 0, long: 1, type: "Float64Array" },
  { size: 3, short: 0, long: 100_000, type: "Uint8Array" },
  { size: 3, short: 2, long: 6, type: "Float64Array" },
  { size: 3, short: 6, long: 14, type: "Float64Array" },
  { size: 3, short: 10_000, long: 50_000, type: "Float64Array" },
  { size: 2, short: 4_000, long: 4_001, type: "Uint8Array" },
  { size: 3, short: 5, long: 600, type: "Float64Array", chunkBytes: "100" },
];

const describeUnder = (family: MpiFamily, title: string, body: () => void): void => {
  if (mpiFamilies().includes(family)) describe(title, body);
};

describeUnder("openmpi", "Open MPI", () => {
  test.each(CASES)(
    "each that is too short is told so, nothing lies beyond it, and all go on: %p",
    async (of) => {
      const { all } = await run("openmpi", of);
      const names = Object.keys(all[0]!);
      expectOnlyLast(
        all,
        names.filter((name) => !REDUCTIONS.includes(name)),
      );
      // A reduction of arrays of different lengths has no result.
      for (const name of REDUCTIONS) {
        expect(all.map((rank) => rank[name])).toEqual([
          ...Array.from({ length: of.size - 1 }, () => NO_RESULT),
          LAST,
        ]);
      }
    },
  );

  test("between hosts, too, where messages travel by other means", async () => {
    const script = join(import.meta.dir, "truncated.ts");
    const tcp = { OMPI_MCA_pml: "ob1", OMPI_MCA_btl: "tcp,self" };
    const outcome = await mpirun("openmpi", 2, script, ["100", "300000", "Uint8Array"], tcp);
    const { all } = read(outcome);
    const names = Object.keys(all[0]!);
    expectOnlyLast(
      all,
      names.filter((name) => !REDUCTIONS.includes(name)),
    );
  });
});

describeUnder("mpich", "MPICH", () => {
  test("each that is too short is told so, and nothing lies beyond it", async () => {
    // Of lengths that MPICH reduces in one way: of others its own ranks wait for each other.
    const of: Case = { size: 2, short: 100, long: 1_000, type: "Uint8Array" };
    const { messages, all } = await run("mpich", of);
    expectOnlyLast(all, messages);
    for (const [error, isBeyond] of Object.values(all[1]!))
      expect([error, isBeyond]).toEqual(["MPI_ERR_TRUNCATE", false]);
    const long = await run("mpich", { ...of, long: 300_000 }, messages);
    expectOnlyLast(long.all, messages);
  });
});

/** What `irecv` gives, and in which order, where MPI gets to know of it only with its message. */
describe.each(mpiFamilies())("%s", (family) => {
  test("receives that wait get what MPI would give them, and keep nobody waiting", async () => {
    const script = join(import.meta.dir, "fixtures", "order.ts");
    const { exitCode, stdout, stderr } = await mpirun(family, 2, script);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(Bun.stripANSI(stdout))).toEqual({
      "in the order of their start": [4, 5],
      "before a receive that comes later": [6, 7],
      "hidden from a probe": [null, 9],
      "small behind large": [1, 2],
      "through a barrier": 50_000,
      "through a communicator that is made and freed": 50_000,
      "through a send": [true, true],
      "through a wait for another": 50_000,
      "many at once": 200,
      "given up": ["CancelledError", 12],
    });
  });

  test.each([1, 2])(
    "messages and receives at random are matched as by a model: seed %p",
    async (seed) => {
      const script = join(import.meta.dir, "fixtures", "matching.ts");
      const { stdout } = await mpirun(family, 2, script, [`${seed}`, "200"]);
      expect(stdout.trim()).toBe("all as the model");
    },
  );
});
