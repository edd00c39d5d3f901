/** bsync/mpi by itself, beside a pool, beside C, and alone. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AS_ROOT, mpirun, mpirunProgram, type Outcome, run } from "../mpi/launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { findMpi, mpiFamilies } from "../setup/mpi.ts";

setDefaultTimeout(60_000);

const fixture = (name: string): string => join(import.meta.dir, "fixtures", name);
const BUN = process.execPath;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bsync-comm-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function said({ exitCode, stdout, stderr }: Outcome): string {
  if (exitCode !== 0) throw new Error(`exited with ${exitCode}\n${stdout}${stderr}`);
  return Bun.stripANSI(stdout);
}

describe.each(mpiFamilies())("%s", (family) => {
  const test = testsUnder(family);
  /** What each of three ranks found. */
  async function ask(deed: string, env: Record<string, string> = {}): Promise<unknown[][]> {
    const script = join(import.meta.dir, "rank.ts");
    return JSON.parse(said(await mpirun(family, 3, script, [deed], env)));
  }

  test.each(["", "100"])("values of every kind (BSYNC_CHUNK_BYTES=%p)", async (bytes) => {
    const found = await ask("objects", { BSYNC_CHUNK_BYTES: bytes });
    found.forEach((values, rank) => {
      const whole = [true, true, true, true, "Odd", 5, true, 4, ["1n", "two"]];
      expect(values.slice(0, 9)).toEqual(whole);
      expect(values.slice(9)).toEqual([
        rank === 2 ? [{ rank: 0 }, { rank: 1 }, { rank: 2 }] : null,
        ["none", [1], "none"],
        `to ${rank}`,
        [0, 1, 2].map((from) => ({ from, to: rank })),
        rank === 0 ? "012" : null,
        "2n",
        3,
        [0, 1, 2].slice(0, rank + 1),
        0,
      ]);
    });
  });

  test("a value that cannot travel is an error on every rank, and nobody waits", async () => {
    expect(await ask("unsendable")).toEqual([0, 1, 2].map(() => Array(6).fill(true)));
  });

  test("a list that has not a value for each rank is an error on every rank, and nobody waits", async () => {
    const own = ["MPI_ERR_COUNT: Cannot scatter values", "MPI_ERR_COUNT: Cannot exchange values"];
    const other =
      "ValueError: Cannot receive the value of rank 1 of world: it could not be sent; " +
      "that rank has an error that says why";
    for (const [rank, found] of (await ask("misfits")).entries()) {
      const errors = Array(5).fill(rank === 1 ? own : [other, other]);
      expect(found).toEqual([errors.flat(), [0, 1, 2]]);
    }
  });

  test("awaiting keeps the event loop alive, and requests keep their arrays", async () => {
    const status = { source: 1, tag: 5, count: 3 };
    const first = [false, false, true, status, [1, 2, 3], true, status, 300];
    expect(await ask("awaiting")).toEqual([first, [300], [300]]);
  });

  test("requests are tested, waited for, awaited together, given up, and fail", async () => {
    const empty = { source: -1, tag: -1, count: 0 };
    const nobody = { ...empty, source: -2 };
    const tags = [...[0, 1, 2].map((tag) => [tag, 1]), ...[0, 1, 2].map(() => [-1, 0])];
    for (const found of await ask("requests")) {
      expect(found).toEqual([
        ...[tags, true],
        ...[1, true, false, false, true, -1, []],
        ...[["first", "second", "third"], true, "CancelledError"],
        ...["MPI_ERR_TRUNCATE", "MPI_ERR_TRUNCATE"],
        ...[false, "MPI_ERR_TRUNCATE", 14],
        ...[nobody, empty, nobody, nobody, null, null, null],
        ...[null, 2, 2, 5, "a value", 0, 6, 70_000_000, [-1, 0, 1]],
      ]);
    }
  });

  test("values are sent without waiting for who receives them, as far as there is room", async () => {
    for (const found of await ask("sending"))
      expect(found).toEqual([true, true, true, false, true, true]);
  });

  test("mistakes are MpiErrors with MPI's class, code and text, and name the call", async () => {
    const [found] = (await ask("mistakes")) as string[][];
    const classes = found!.map((text) => text.split(":")[0]!.replace("MPI_ERR_", ""));
    expect(classes.join(" ")).toBe(
      "RANK RANK RANK RANK TAG TAG BUFFER BUFFER BUFFER BUFFER BUFFER BUFFER RANK TAG RANK RANK TAG " +
        "ROOT ROOT ROOT BUFFER OP TYPE COUNT COUNT COUNT ARG ARG COUNT ARG OP " +
        "ARG ARG RANK GROUP GROUP COMM BUFFER BUFFER BUFFER REQUEST COMM COMM COMM TAG TYPE ValueError TRUNCATE " +
        "TRUNCATE TRUNCATE beyond",
    );
    expect(found!.at(-1)).toBe("beyond: false");
    expect(found![0]).toEndWith("Cannot send Float64Array(3) to rank 99 with tag 0");
    expect(found![12]).toEndWith("Cannot receive up to Float64Array(3) from rank 99 with any tag");
    expect(found![17]).toEndWith("Cannot broadcast Float64Array(3) from root 99");
    expect(found!.join("\n")).toContain("Cannot look for a message from rank 0 with tag 1.5");
  });

  test("communicators are split, duplicated, grouped, nested and freed, and never mix", async () => {
    const found = await ask("communicators");
    expect(found.map(([first]) => first)).toEqual([
      { even: [1, 2], some: [1, 2, "world.group([1, 0])"] },
      { even: [0, 1], some: [0, 2, "world.group([1, 0])"] },
      { even: [0, 2], some: null },
    ]);
    expect(found.map(([, none]) => none)).toEqual([
      null,
      [0, 2, "world.split(3)"],
      [1, 2, "world.split(3)"],
    ]);
    for (const values of found) expect(values[3]).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    expect(found.map((values) => values.at(-2))).toEqual([[2, 0], [1], [2, 0]]);
  });

  test.each(["any mixed", "any isolated", "any plain", "main"])(
    "a script that speaks to others at its top level, and is run again for its functions: %s",
    async (how) => {
      const { exitCode, stdout } = await mpirun(family, 3, fixture("again.ts"), how.split(" "));
      expect({ exitCode, stdout: stdout.trim() }).toEqual({ exitCode: 0, stdout: "1 4 9 16" });
    },
  );

  test("a Worker of a rank's has no part in the job: what it asks of MPI is refused, and it may fail", async () => {
    const { exitCode, stdout } = await mpirun(family, 2, fixture("thread.ts"));
    const refusal = expect.stringMatching(/^Cannot use MPI in a Worker: /);
    expect(JSON.parse(stdout)).toEqual([refusal, refusal]);
    expect(exitCode).toBe(0);
  });

  test("beside a pool: before open, on unused ranks while it works, and inside its tasks", async () => {
    const outcome = await mpirun(family, 5, fixture("pool.ts"));
    expect(JSON.parse(said(outcome))).toEqual({
      highest: 4,
      names: ["rank 0", "rank 3", "rank 4"],
      last: 49 * 49,
      sums: [3, 3],
    });
  });

  test.each(["well", "pending"])("a program without a pool ends: %s", async (deed) => {
    const stdout = said(await mpirun(family, 3, fixture("ends.ts"), [deed]));
    expect(stdout.trim().split("\n").sort()).toEqual([0, 1, 2].map((rank) => `rank ${rank} ends`));
  });

  test.each([
    ["throw", 1],
    ["reject", 1],
    ["exit", 5],
    ["abort", 6],
    ["refused", 1],
  ])("a rank that fails ends the job, though others wait for it: %s", async (deed, code) => {
    const { exitCode, stderr } = await mpirun(family, 3, fixture("ends.ts"), [deed]);
    expect(exitCode).toBe(code);
    if (deed === "throw" || deed === "reject") expect(stderr).toContain("the program's own");
    if (deed === "refused") expect(stderr).toContain("Cannot send Int32Array(1) to rank 99");
  });

  test("C and bsync in one job, either being rank 0", async () => {
    const { mpicc } = findMpi(family)!;
    const peer = join(folder, `peer-${family}`);
    said(await run([mpicc, "-O2", fixture("peer.c"), "-o", peer]));
    const ours = [BUN, "run", fixture("peer.ts")];
    const lines = async (one: string[], other: string[]): Promise<string[]> => {
      const outcome = await mpirunProgram(family, 1, [...one, ":", "-n", "1", ...other]);
      return said(outcome).trim().split("\n").sort();
    };
    expect(await lines([peer], ours)).toEqual([
      "C: 1 5e+09, 11.5 22.5 35, from bsync, 1, 0 1",
      "bsync: 5000000000, 11.5 22.5 35, from bsync, 0",
    ]);
    expect(await lines(ours, [peer])).toEqual([
      "C: 1 5e+09, 11.5 22.5 35, from C, 0",
      "bsync: 5000000000, 11.5 22.5 35, from C, 1, 0 1",
    ]);
  });

  test("without a launcher the program is a world of one, of one process", async () => {
    const env = { ...AS_ROOT, BSYNC_MPICC: findMpi(family)!.mpicc };
    const outcome = await run([BUN, "run", fixture("alone.ts")], env);
    expect(JSON.parse(said(outcome))).toEqual({ rank: 0, size: 1, sum: 4, beside: 0 });
  });
});

test("where there is no MPI, its first use says what to install", async () => {
  const env = { BSYNC_MPICC: "/nowhere/mpicc" };
  const { message } = JSON.parse(said(await run([BUN, "run", fixture("alone.ts")], env)));
  expect(message).toStartWith("Cannot load MPI, which bsync/mpi needs: rejected /nowhere/mpicc");
  expect(message).toContain("apt install openmpi-bin");
});
