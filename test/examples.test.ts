/**
 * The examples as a user starts them, at their smallest size: real processes, locally and under
 * each MPI. And their kernels, called directly.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { PNG } from "pngjs";
import { replicate } from "../examples/bootstrap.ts";
import { block, total, verify } from "../examples/nas-ep.ts";
import { count } from "../examples/primes.ts";
import { train } from "../examples/sweep.ts";
import type { Mode } from "./contract/case.ts";
import { AS_ROOT, mpirun, mpirunCommand, run } from "./mpi/launch.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const LIMIT_MS = 60_000;
const EXAMPLES = join(import.meta.dir, "../examples");

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Run = (example: string, ...args: string[]) => Promise<Outcome>;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bsync-examples-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

contract("local processes", "local", runLocally);
for (const family of mpiFamilies()) {
  test(
    `heat gives the same field in four bands of a job of ${family} as in one process, and frames`,
    async () => {
      const field = async (name: string, run: Run): Promise<string | undefined> => {
        const frames = join(folder, `heat-${family}-${name}`);
        const stdout = said(await run("heat.ts", "50", "60", frames));
        const last = await Bun.file(join(frames, "heat-008.png")).bytes();
        const picture = PNG.sync.read(Buffer.from(last));
        expect([picture.width, picture.height]).toEqual([50, 50]);
        expect(colours(picture).size).toBeGreaterThan(50);
        return /heat [\d.]+, field \w+/.exec(stdout)?.[0];
      };
      const alone = await field("alone", runLocally);
      expect(alone).toBeDefined();
      const split = await field("split", (example, ...args) =>
        mpirun(family, 6, join(EXAMPLES, example), args),
      );
      expect(split).toBe(alone);
    },
    LIMIT_MS,
  );

  contract(`${family}, 3 ranks`, family, (example, ...args) =>
    mpirun(family, 3, join(EXAMPLES, example), args),
  );
}

function contract(name: string, mode: Mode, run: Run): void {
  describe(name, () => {
    const test = testsUnder(mode);
    test(
      "nas-ep verifies class S, and says so once",
      async () => {
        const stdout = said(await run("nas-ep.ts", "S"));
        expect(stdout.split("VERIFICATION SUCCESSFUL")).toHaveLength(2);
        expect(stdout).toMatch(/annulus 0 +6140517\n +annulus 1 +5865300\n/);
        expect(stdout).toMatch(/sum of x +-3\.24783465203\d+e\+3\n/);
        expect(stdout).toMatch(/[\d.]+ s, [\d.]+ Mop\/s/);
      },
      LIMIT_MS,
    );

    test(
      "mandelbrot writes a picture",
      async () => {
        const path = join(folder, `${Bun.hash(name)}.png`);
        const stdout = said(await run("mandelbrot.ts", "72", "48", path));
        expect(stdout).toContain("72 x 48, 3 bands on");
        const picture = PNG.sync.read(Buffer.from(await Bun.file(path).bytes()));
        expect([picture.width, picture.height]).toEqual([72, 48]);
        // Inside the set at the middle, outside of it in the corner, and finely shaded between.
        expect(colour(picture, 40, 24)).toBe(0);
        expect(colour(picture, 0, 0)).not.toBe(0);
        expect(colours(picture).size).toBeGreaterThan(100);
      },
      LIMIT_MS,
    );

    test(
      "primes counts those up to 10^7",
      async () => {
        const stdout = said(await run("primes.ts", "1e7"));
        expect(stdout.split("pi(10000000) = 664579\n")).toHaveLength(2);
      },
      LIMIT_MS,
    );

    test(
      "sweep goes on past the configurations that throw, hang and kill their worker",
      async () => {
        const rows = said(await run("sweep.ts", "2", "--limit", "2"))
          .trimEnd()
          .split("\n");
        expect(rows.shift()).toBe("config,rate,hidden,epochs,seed,status,loss,accuracy,reason");
        const sorted = rows.toSorted((a, b) => parseInt(a) - parseInt(b));
        expect(sorted.map((row) => parseInt(row))).toEqual(Array.from({ length: 30 }, (_, i) => i));
        expect(sorted[0]).toMatch(/^0,.*,failed,,,"TimeoutError: /);
        expect(sorted[1]).toMatch(/^1,.*,failed,,,"RangeError: diverged in epoch \d+"$/);
        expect(sorted[2]).toMatch(/^2,.*,failed,,,"WorkerLostError: .* SIGKILL /);
        expect(sorted.slice(3).filter((row) => !row.includes(",done,"))).toEqual([]);
        const { loss, accuracy } = train({ rate: 0.03, hidden: 4, epochs: 7, seed: 3 });
        const scored = `done,${loss.toFixed(4)},${accuracy.toFixed(3)},`;
        expect(sorted.at(-1)).toBe(`29,0.03,4,7,3,${scored}`);
      },
      LIMIT_MS,
    );

    test(
      "bootstrap has the results, in their order, that one process has by itself",
      async () => {
        const stdout = said(await run("bootstrap.ts", "300", "7"));
        const own = Float64Array.from({ length: 300 }, (_, i) => replicate({ seed: 7, stream: i }));
        const digest = Bun.SHA256.hash(own, "hex").slice(0, 16);
        expect(stdout).toContain(`300 samples of seed 7, digest ${digest}\n`);
        expect(stdout).toMatch(/correlation 0\.\d+, 95 % between 0\.\d+ and 0\.\d+\n/);
      },
      LIMIT_MS,
    );

    test(
      "files compresses each of them",
      async () => {
        const place = join(folder, `files-${Bun.hash(name)}`);
        const stdout = said(await run("files.ts", "20", place));
        expect(await readdir(place)).toHaveLength(40);
        let [before, after] = [0, 0];
        for (let i = 0; i < 20; i++) {
          const original = await Bun.file(join(place, `${i}.log`)).bytes();
          const packed = await Bun.file(join(place, `${i}.log.gz`)).bytes();
          expect(Bun.gunzipSync(packed)).toEqual(original);
          before += original.length;
          after += packed.length;
        }
        expect(stdout).toContain(`20 files: ${before} bytes, compressed ${after}\n`);
      },
      LIMIT_MS,
    );

    test(
      "uts counts what one walk through the tree does, and quicksort sorts",
      async () => {
        expect(said(await run("uts.ts", "5", "2"))).toContain("3987 nodes, depth 5, 3232 leaves");
        expect(said(await run("quicksort.ts", "300000"))).toContain("300000 numbers in order");
      },
      LIMIT_MS,
    );

    test.each([
      ["primes.ts", ["2"], "100000000000031 is prime\n100000000000033 is not prime\n"],
      ["monte-carlo.ts", ["1e4"], "pi is about 3.146400\n"],
      ["piscina.ts", ["2", "3"], "2 + 3 = 5\n2 * 3 = 6\n"],
    ])(
      "ports/%s %p prints what it always does, once",
      async (example, args, printed) => {
        expect(said(await run(`ports/${example}`, ...args))).toBe(printed);
      },
      LIMIT_MS,
    );

    test(
      "ports/p-map follows its addresses, in their order",
      async () => {
        const stdout = said(await run("ports/p-map.ts"));
        expect(stdout.replaceAll(/http:.*?\d+/g, "")).toBe("/news/new\n/mail/new\n/maps/new\n");
      },
      LIMIT_MS,
    );

    test(
      "ports/julia writes a picture",
      async () => {
        const path = join(folder, `${Bun.hash(name)}.pgm`);
        expect(said(await run("ports/julia.ts", "40", "30", path))).toContain("40 x 30 in");
        const bytes = await Bun.file(path).bytes();
        const head = "P5\n40 30\n255\n";
        expect(Buffer.from(bytes.subarray(0, head.length)).toString()).toBe(head);
        const pixels = bytes.subarray(head.length);
        expect(pixels).toHaveLength(40 * 30);
        // A point and the one opposite to it are of one grey.
        expect(pixels[15 * 40 + 3]).toBe(pixels[15 * 40 + 37]!);
        expect(new Set(pixels).size).toBeGreaterThan(20);
      },
      LIMIT_MS,
    );

    test.each([
      ["nas-ep.ts", "X"],
      ["mandelbrot.ts", "wide"],
      ["heat.ts", "wide"],
      ["primes.ts", "1.5"],
      ["uts.ts", "11"],
      ["quicksort.ts", "all"],
      ["sweep.ts", "--fast"],
      ["bootstrap.ts", "few"],
      ["files.ts", "some"],
    ])(
      "%s tells its usage when its argument is %s, once",
      async (example, argument) => {
        const { exitCode, stdout, stderr } = await run(example, argument);
        expect(stdout).toBe("");
        expect(stderr.split(`usage: bun run examples/${example}`)).toHaveLength(2);
        expect(exitCode).toBe(2);
      },
      LIMIT_MS,
    );
  });
}

describe("sweep, stopped by Ctrl-C", () => {
  for (const mode of ["local", ...mpiFamilies()] as const) {
    const command = (...args: string[]): string[] => {
      const script = join(EXAMPLES, "sweep.ts");
      return mode === "local"
        ? [process.execPath, "run", script, ...args]
        : [...mpirunCommand(mode, 3, script), ...args];
    };
    testsUnder(mode)(
      `${mode}: goes on where it was, from its checkpoint`,
      async () => {
        const path = join(folder, `sweep-${mode}.sqlite`);
        const args = ["2", "--checkpoint", path, "--limit"];
        await using first = Bun.spawn(command(...args, "1000"), {
          env: { ...process.env, ...AS_ROOT },
          stdio: ["ignore", "pipe", "ignore"],
          detached: true, // a group of its own, as a terminal makes it
        });
        // All is done then but the configuration that never ends.
        let before = "";
        const decoder = new TextDecoder();
        for await (const bytes of first.stdout) {
          before += decoder.decode(bytes, { stream: true });
          if (before.split("\n").length === 31) process.kill(-first.pid, "SIGINT");
        }
        expect(await first.exited).not.toBe(0);
        // The results of the last 100 ms may be missing, the first one is not.
        expect(rowsIn(path)).toBeGreaterThan(0);

        const after = said(await run(command(...args, "1"), AS_ROOT));
        const done = (rows: string): string[] => rows.match(/^.*,done,.*$/gm)!.sort();
        expect(done(before)).toHaveLength(27);
        expect(done(after)).toEqual(done(before));
        expect(after).toMatch(/^0,.*TimeoutError/m);
        expect(rowsIn(path)).toBe(27);
      },
      LIMIT_MS,
    );
  }
});

test(
  "nas-ep exits with 1 when the sums are not the published ones",
  async () => {
    const source = await Bun.file(join(EXAMPLES, "nas-ep.ts")).text();
    const changed = source
      .replace("-3.24783465203474e3", "-3.24783475203474e3")
      .replace("../index.ts", join(import.meta.dir, "../index.ts"));
    const path = join(folder, "wrong-ep.ts");
    await Bun.write(path, changed);
    const { exitCode, stdout } = await runLocally(path);
    expect(stdout).toContain("VERIFICATION FAILED");
    expect(exitCode).toBe(1);
  },
  LIMIT_MS,
);

describe("kernels", () => {
  test("nas-ep's blocks are the same whoever computes them, in whatever order", () => {
    const there = [0, 1, 2].map(block);
    const back = [2, 1, 0].map(block).reverse();
    expect(back).toEqual(there);
    const sum = total(there);
    expect(sum.counts[0]).toBe(there.reduce((n, { counts }) => n + counts[0]!, 0));
  });

  test("nas-ep's verification passes eight digits, and fails a wrong one among them", () => {
    const published = { sx: -3.24783465203474e3, sy: -6.958407078382297e3 };
    expect(verify("S", published)).toBe(true);
    expect(verify("S", { ...published, sx: published.sx * (1 + 1e-9) })).toBe(true);
    expect(verify("S", { ...published, sx: published.sx * (1 + 1e-7) })).toBe(false);
    expect(verify("S", { ...published, sy: published.sy * (1 - 1e-7) })).toBe(false);
    expect(verify("S", { ...published, sy: NaN })).toBe(false);
    expect(verify("W", published)).toBe(false);
  });

  test("primes counts at the edges of its segments", () => {
    expect(count(0, 3, 1)).toBe(1); // 2
    expect(count(0, 11, 3)).toBe(4); // 2 3 5 7
    expect(count(0, 12, 3)).toBe(5); // and 11
    expect(count(10, 14, 3)).toBe(2); // 11 13
    expect(count(24, 29, 5)).toBe(0);
  });
});

/** What a run that succeeded wrote to stdout. An MPI has things of its own to say on stderr. */
function said({ exitCode, stdout, stderr }: Outcome): string {
  if (exitCode !== 0) throw new Error(`exited with ${exitCode}\n${stdout}${stderr}`);
  return stdout;
}

/** How many results a checkpoint has. A job that was ended may hold it for a moment yet. */
function rowsIn(path: string): number {
  using database = new Database(path);
  database.run("pragma busy_timeout = 10000");
  return database.query<{ rows: number }, []>("select count(*) as rows from results").get()!.rows;
}

async function runLocally(example: string, ...args: string[]): Promise<Outcome> {
  await using child = Bun.spawn([process.execPath, "run", resolve(EXAMPLES, example), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

function colour(picture: PNG, x: number, y: number): number {
  return picture.data.readUInt32BE(4 * (y * picture.width + x)) >>> 8;
}

function colours(picture: PNG): Set<number> {
  const found = new Set<number>();
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < picture.width; x++) found.add(colour(picture, x, y));
  }
  return found;
}
