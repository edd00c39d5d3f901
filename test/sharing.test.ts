/**
 * Values that are shared with all workers (`pool.share`), as far as one program cannot tell: what they
 * take of the memory, where memory is missing, between hosts, and what is left when something is killed.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HIDES } from "./cli/setup.ts";
import { until } from "./contract/assert.ts";
import { Cluster, type HostJob } from "./hosts/cluster.ts";
import { AS_ROOT, run } from "./mpi/launch.ts";
import { drawnFamilies } from "./setup/drawn.ts";
import { whyNoHosts } from "./setup/hosts.ts";

setDefaultTimeout(60_000);

const PROGRAM = join(import.meta.dir, "contract/fixtures/shared-value.ts");

describe("memory", () => {
  test("what four workers read is there once, and none has a copy", async () => {
    const { stdout, stderr } = await run([process.execPath, PROGRAM, "4", "64"], AS_ROOT);
    expect(stderr).toBe("");
    const { sums, shared, own } = JSON.parse(stdout);
    expect(sums).toEqual([`sum ${2 * 64 * 2 ** 20}`]);
    // Once in all: for each page four processes that map it count a quarter.
    expect(shared).toBeGreaterThanOrEqual(63);
    expect(shared).toBeLessThanOrEqual(65);
    expect(own).toBeLessThan(64);
  });
});

const work = mkdtempSync(join(tmpdir(), "bsync-sharing-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const temporary = join(work, "tmp");
const small = join(work, "small");
for (const folder of [temporary, small]) mkdirSync(folder);

/** Room for the links to two workers, of which each takes more than 1 MiB, and not for 8 MiB. */
const SMALL_SHM = "mount -t tmpfs -o size=6m tmpfs /dev/shm";
const NO_SHM = "mount -t tmpfs -o ro tmpfs /dev/shm";
const SMALL_TMP = `mount -t tmpfs -o size=6m tmpfs "${small}"`;

/** Runs the program after that was done to the folders; in namespaces of its own. */
async function after(mounts: readonly string[], folder: string) {
  const script = join(work, `script-${crypto.randomUUID()}`);
  writeFileSync(script, ["set -e", "unset NODE_COMPILE_CACHE", ...mounts, 'exec "$@"'].join("\n"));
  const namespaces = ["unshare", "--map-root-user", "--mount", "bash", script];
  return await run([...namespaces, process.execPath, PROGRAM, "2", "8"], { TMPDIR: folder });
}

if (!HIDES) console.error("\n*** no namespaces here: memory elsewhere is NOT tested ***\n");

(HIDES ? describe : () => {})("where memory is missing", () => {
  const sum = `sum ${2 * 8 * 2 ** 20}`;

  test.each([
    ["/dev/shm is too small", [SMALL_SHM], "/dev/shm has none (ENOSPC: "],
    ["/dev/shm is read-only", [NO_SHM], "/dev/shm has none (EROFS"],
  ])("%s: a file in the temporary folder serves, and one line says so", async (_, mounts, why) => {
    const { exitCode, stdout, stderr } = await after(mounts, temporary);
    expect({ exitCode, sums: JSON.parse(stdout).sums }).toEqual({ exitCode: 0, sums: [sum] });
    expect(stderr.split("\n")).toHaveLength(2);
    expect(stderr).toStartWith(`bsync: pool.share: no memory for 9 MiB: ${why}`);
    expect(stderr).toEndWith(`; a file in ${temporary} serves\n`);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test("the temporary folder is too small as well: each has a copy, and one line says so", async () => {
    const { exitCode, stdout, stderr } = await after([SMALL_SHM, SMALL_TMP], small);
    const { sums, shared } = JSON.parse(stdout);
    expect({ exitCode, sums, shared }).toEqual({ exitCode: 0, sums: [sum], shared: 0 });
    expect(stderr.split("\n")).toHaveLength(2);
    expect(stderr).toContain(`${small} has none (ENOSPC: `);
    expect(stderr).toEndWith("; each worker gets a copy\n");
  });
});

test("files may not be that long (ulimit -f): each has a copy, and one line says so", async () => {
  const script = 'ulimit -f 4096 && exec "$@"';
  const limited = ["bash", "-c", script, "bash", process.execPath, PROGRAM, "2", "8"];
  const { exitCode, stdout, stderr } = await run(limited, { TMPDIR: temporary });
  const { sums, shared } = JSON.parse(stdout);
  const expected = { exitCode: 0, sums: [`sum ${2 * 8 * 2 ** 20}`], shared: 0 };
  expect({ exitCode, sums, shared }).toEqual(expected);
  expect(stderr.split("\n")).toHaveLength(2);
  expect(stderr).toContain("/dev/shm has none (EFBIG: ");
  expect(stderr).toEndWith("; each worker gets a copy\n");
  expect(readdirSync(temporary)).toEqual([]);
});

const reason = await whyNoHosts();
if (reason !== null) console.error(`\n*** no tests of several hosts: ${reason} ***\n`);

const fixture = (name: string): string => join(import.meta.dir, "hosts/fixtures", name);

const SHARED_BYTES = 24_000_000;
const HOSTS = ["node1", "node1", "node2", "node2", "node3"];

interface Round {
  readonly round: number;
  readonly pid: number;
  readonly workers: readonly { readonly host: string; readonly pid: number }[];
}

/** Who takes part in a job that shares on and on, after two rounds more. */
async function goesOn(job: HostJob): Promise<Round> {
  const last = (): Round => JSON.parse(job.stdout.split("\n").at(-2) ?? '{ "round": 0 }') as Round;
  const { round } = last();
  await until("it to go on", () => last().round >= round + 2, 30_000);
  return last();
}

/** All has ended, and on each of these hosts no file and no memory of a shared value is left. */
async function leavesNothing(cluster: Cluster, hosts: readonly string[]): Promise<void> {
  await until("all to end", async () => (await cluster.ranks()) === 0, 20_000);
  for (const host of hosts) {
    const used = "df --output=used -B 1M /dev/shm | tail -1";
    const isFree = async (): Promise<boolean> => Number(await cluster.run(host, used)) < 30;
    await until("the memory to be free", isFree);
    const named = "find /dev/shm /dev/shm/tmp -name 'bsync-*' -size +1k";
    expect(await cluster.run(host, named)).toBe("");
  }
}

(reason === null ? describe : () => {})("killed in the midst", () => {
  const program = fixture("sharing-on.ts");

  test("a program without MPI, and a worker of it before", async () => {
    await using cluster = await Cluster.open(1);
    await using job = cluster.launch([process.execPath, program]);
    const { pid, workers } = await goesOn(job);
    await cluster.run("login", `kill -KILL ${workers[0]!.pid}`);
    await goesOn(job);
    await cluster.run("login", `kill -KILL ${pid}`);
    await leavesNothing(cluster, ["login"]);
  });

  for (const family of drawnFamilies()) {
    const killMpirun = async (cluster: Cluster): Promise<void> => {
      const found = `grep -lx mpirun.${family} /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3`;
      await cluster.run("login", `kill -KILL $(${found})`);
    };

    test.each(["the controller", "a rank elsewhere", "mpirun"])(`${family}: %s`, async (whom) => {
      await using cluster = await Cluster.open(2);
      const hosts = ["node1", "node1", "node2", "node2"];
      await using job = cluster.start(family, hosts, [program]);
      const { pid, workers } = await goesOn(job);
      const there = workers.find(({ host }) => host === "node2")!;
      if (whom === "mpirun") await killMpirun(cluster);
      else if (whom === "the controller") await cluster.run("node1", `kill -KILL ${pid}`);
      else await cluster.run("node2", `kill -KILL ${there.pid}`);
      await leavesNothing(cluster, ["node1", "node2"]);
    });

    test(`${family}: children of ranks, again and again, and then mpirun`, async () => {
      await using cluster = await Cluster.open(2);
      await using job = cluster.start(family, ["node1", "node2", "node2"], [program, "isolate"]);
      for (let i = 0; i < 4; i++) {
        const { workers } = await goesOn(job);
        await cluster.run("node2", `kill -KILL ${workers[i % 2]!.pid}`);
      }
      await goesOn(job);
      await killMpirun(cluster);
      await leavesNothing(cluster, ["node1", "node2"]);
    });
  }
});

(reason === null ? describe : () => {})("several hosts", () => {
  for (const family of drawnFamilies()) {
    test(`${family}: where one has no room each rank there has a copy, and one line says so`, async () => {
      await using cluster = await Cluster.open(3);
      const small = "mount -t tmpfs -o size=12m tmpfs /dev/shm && mkdir /dev/shm/tmp";
      await cluster.run("node2", small);
      await using job = cluster.start(family, HOSTS, [fixture("shared.ts"), `${SHARED_BYTES}`, ""]);
      const { exitCode, stdout, stderr } = await job.ended();
      const told = exitCode === 0 ? JSON.parse(stdout) : stderr;
      const total = SHARED_BYTES / 16;
      expect(told).toMatchObject({ others: [total - 2, total, total, total], files: 2 });
      const [line, ...more] = stderr.split("\n").filter((text) => text.startsWith("bsync: "));
      expect(line).toMatch(/^bsync: pool\.share: no memory for 23 MiB to share: .* gets a copy$/);
      expect(more).toEqual([]);
      // Two ranks are sent it there, and one on the third host.
      const [here, two, three, once] = told.counts;
      expect(here).toBeLessThan(1_000_000);
      expect([two, three].map((bytes) => Math.round(bytes / SHARED_BYTES))).toEqual([2, 2]);
      expect(Math.round(once / SHARED_BYTES)).toBe(1);
    });

    test.each(["", "isolate"])(
      `${family}: it crosses the network once to each, and is there once %s`,
      async (kind) => {
        await using cluster = await Cluster.open(3);
        const args = [fixture("shared.ts"), `${SHARED_BYTES}`, kind];
        await using job = cluster.start(family, HOSTS, args);
        const { exitCode, stdout, stderr } = await job.ended();
        expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({
          exitCode: 0,
          stderr: "",
        });
        const told = JSON.parse(stdout);
        const host = (name: string) => {
          const [total, length] = [SHARED_BYTES / 16, SHARED_BYTES / 2];
          return { host: name, total, length, last: 7, text: 100 };
        };
        expect(told.seen).toEqual(["node1", "node2", "node2", "node3"].map(host));
        const total = SHARED_BYTES / 16;
        expect(told.others).toEqual([total - 2, total, total, total]);
        expect(told.files).toBe(3);
        expect(told.replaced).toEqual(kind === "isolate" ? Array(4).fill(total) : []);
        expect(told.freed).toEqual(Array(4).fill("ValueError"));
        const [here, ...elsewhere] = told.counts;
        expect(here).toBeLessThan(1_000_000);
        for (const bytes of elsewhere) {
          expect(bytes).toBeGreaterThan(SHARED_BYTES);
          expect(bytes).toBeLessThan(1.1 * SHARED_BYTES);
        }
      },
    );
  }
});
