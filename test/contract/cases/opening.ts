import { availableParallelism, hostname, tmpdir } from "node:os";
import {
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
} from "node:fs";
import { join } from "node:path";
import {
  AsyncPool,
  BsyncError,
  type PoolOptions,
  TimeoutError,
  type WorkerList,
} from "../../../index.ts";
import { assert, failure, timed, until } from "../assert.ts";
import { MPI, Subject, workersOf } from "../case.ts";
import { limitFiles, openFiles } from "../files.ts";
import { nextCall, setState, square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";
import { isAlive } from "../alive.ts";

export const opening = new Subject("opening");

const steps: string[] = [];

function note(step: string): string[] {
  steps.push(step);
  return steps;
}

async function noteLater(step: string): Promise<void> {
  await Promise.resolve();
  steps.push(step);
}

function forget(): void {
  steps.length = 0;
}

function refuse(message: string): never {
  throw Object.assign(new RangeError(message), { code: 7 });
}

async function refuseLater(message: string): Promise<never> {
  await Promise.resolve();
  throw new RangeError(message);
}

/** True for the first worker that asks, in the whole job. */
function isFirst(path: string): boolean {
  try {
    openSync(join(path, "first"), "wx");
    return true;
  } catch {
    return false;
  }
}

async function hangOnOne(path: string): Promise<void> {
  if (isFirst(path)) await new Promise(() => {});
}

function loopOnOne(path: string): void {
  if (isFirst(path)) for (;;);
}

function refuseOnOne(path: string): void {
  if (isFirst(path)) throw new RangeError("not on this one");
}

opening.itPerSize(
  "without a number: every rank but 0, or a process for each core",
  async ({ mode, workers }) => {
    await using pool = await AsyncPool.open();
    assert.equal(pool.size, mode === "local" ? availableParallelism() : workers);
    assert.equal(await pool.async(square, 3), 9);
  },
);

opening.itPerSize("n workers: the ranks 1 to n, or n processes", async (place) => {
  const { workers } = place;
  const ranks = workersOf(place, workers);
  await using pool = await AsyncPool.open(workers);
  assert.equal(pool.size, workers);
  assert.equal(pool.role, "controller");
  assert.equal(pool.workers.length, workers);
  for (const [i, { index, rank, pid, host, state }] of pool.workers.entries()) {
    assert.deepEqual([index, host, state], [i, hostname(), "idle"]);
    assert.equal(rank, ranks[i]);
    assert.ok(pid > 0 && pid !== process.pid && isAlive(pid));
  }
  assert.equal(new Set(pool.workers.map(({ pid }) => pid)).size, workers);
});

opening.itPerSize("fewer than there are", async ({ workers }) => {
  for (let n = 1; n <= workers; n++) {
    await using pool = await AsyncPool.open(n);
    assert.equal(pool.size, n);
  }
});

opening.itPerSize(
  "a list: exactly these ranks, in that order",
  async ({ workers }) => {
    const lists: WorkerList[] = [
      [workers],
      [workers, 1],
      Array.from({ length: workers }, (_, i) => workers - i),
    ];
    for (const list of lists) {
      await using pool = await AsyncPool.open(list);
      const ranks = pool.workers.map(({ rank }) => rank);
      assert.deepEqual(ranks, list);
      assert.deepEqual(
        await pool.each("() => process.pid"),
        pool.workers.map(({ pid }) => pid),
      );
    }
  },
  { modes: MPI, workers: 2 },
);

opening.it(
  "a list without MPI: as many processes as it has entries",
  async () => {
    for (const list of [[null], [null, null], [5, null, 9], [0], [1, 1]]) {
      await using pool = await AsyncPool.open(list);
      assert.equal(pool.size, list.length);
      assert.ok(pool.workers.every(({ rank }) => rank === null));
      assert.equal(new Set(await pool.each("() => process.pid")).size, list.length);
    }
  },
  { modes: ["local"] },
);

opening.it(
  "more processes than cores",
  async () => {
    await using pool = await AsyncPool.open(availableParallelism() + 3);
    assert.equal((await pool.each(square, 2)).length, availableParallelism() + 3);
  },
  { modes: ["local"] },
);

opening.it(
  "more processes than there may be open files: which worker, what to raise, and nothing is left",
  async () => {
    // Without Bun's own: it makes an event loop for what it runs and waits for, and keeps that.
    const files = () => openFiles().filter((file) => !file.startsWith("anon_inode:")).length;
    const before = files();
    const limit = limitFiles(openFiles().length + 30);
    let error: BsyncError;
    try {
      error = await failure(AsyncPool.open(50), BsyncError);
      await until("its files to be closed", () => files() <= before);
    } finally {
      limitFiles(limit);
    }
    assert.equal(error.code, "BSYNC_START");
    const words =
      /^Cannot open a pool of 50 workers: worker \d+ could not be started \(EMFILE.*\); raise .*ulimit -n/;
    assert.match(error.message, words);
    await using pool = await AsyncPool.open(2);
    assert.equal((await pool.each(square, 3)).length, 2);
  },
  { modes: ["local"] },
);

opening.itPerSize(
  "more workers than the job has: what mpirun should have been told",
  async ({ workers }) => {
    const error = await failure(AsyncPool.open(workers + 1), RangeError);
    assert.match(error.message, new RegExp(`mpirun -n ${workers + 2}\\b`));
    const listed = await failure(AsyncPool.open([workers + 1]), RangeError);
    assert.match(listed.message, new RegExp(`\\b${workers + 1}\\b`));
    await failure(AsyncPool.open([1, workers + 5]), RangeError);
    await using pool = await AsyncPool.open(workers);
    assert.equal(await pool.async(square, 3), 9);
  },
  { modes: MPI },
);

opening.it("numbers of workers that cannot be", async () => {
  for (const wrong of [0, -1, -0, 1.5, NaN, Infinity, -Infinity]) {
    const error = await failure(AsyncPool.open(wrong), RangeError);
    assert.ok(error.message.includes(String(wrong)), error.message);
  }
  for (const wrong of ["2", {}, true, null, () => 2, 2n]) {
    const error = await failure(AsyncPool.open(wrong as never), Error);
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
  }
});

opening.it(
  "lists of ranks that cannot be: 0, twice",
  async () => {
    const wrong: [WorkerList, string][] = [
      [[0], "0"],
      [[1, 0], "0"],
      [[1, 1], "1"],
      [[1, null, 1], "1"],
    ];
    for (const [list, name] of wrong) {
      const error = await failure(AsyncPool.open(list), RangeError);
      assert.ok(error.message.includes(`on rank ${name}`), error.message);
    }
  },
  { modes: MPI },
);

opening.it("lists that cannot be: fraction, negative, not a number, empty", async () => {
  const wrong: [WorkerList, string][] = [
    [[1.5], "1.5"],
    [[-1], "-1"],
    [[NaN], "NaN"],
    [[Infinity], "Infinity"],
    [["1" as never], "1"],
    [[undefined as never], "undefined"],
  ];
  for (const [list, name] of wrong) {
    const error = await failure(AsyncPool.open(list), Error);
    assert.ok(error instanceof RangeError, `${Bun.inspect(list)}: ${error}`);
    assert.ok(error.message.includes(name), error.message);
  }
  await failure(AsyncPool.open([]), RangeError);
  await using pool = await AsyncPool.open([1]);
  assert.equal(await pool.async(square, 3), 9);
});

opening.it("an unknown option is a TypeError that names it", async () => {
  for (const name of ["worker", "timeOut", "Priority", "__proto__x", "constructor", "toString"]) {
    const error = await failure(AsyncPool.open(1, { [name]: 1 } as PoolOptions), TypeError);
    assert.ok(error.message.includes(`"${name}"`), error.message);
  }
});

opening.it("an option of the wrong type is a TypeError that names it", async () => {
  const wrong: Record<string, unknown[]> = {
    mpi: ["no", 0, null],
    tag: ["7", 1.5, -1, NaN, 40_000],
    keepUnused: [1, "yes"],
    release: [1, "yes", null],
    comm: [1, null, {}, "world"],
    initializer: [42, {}, [], [1], null],
    env: ["PATH", 1],
    cwd: [1, {}, []],
    timeout: ["1", NaN, -1, {}, null],
    priority: ["1", NaN, {}],
    spin: ["1", -1, NaN],
    openTimeout: ["1", -1, NaN],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const what = `${name}: ${Bun.inspect(value)}`;
      const error = await failure(AsyncPool.open(1, { [name]: value } as PoolOptions), Error).catch(
        (problem: Error) => assert.fail(`${what}: ${problem.message}`),
      );
      assert.ok(error instanceof TypeError || error instanceof RangeError, `${what}: ${error}`);
      assert.ok(error.message.includes(name), `${what}: ${error.message}`);
    }
  }
  await failure(AsyncPool.open(1, 5 as never), TypeError);
  await failure(AsyncPool.open(1, null as never), TypeError);
});

opening.itPerSize("release is of no effect on the controller", async ({ workers }) => {
  for (let again = 0; again < 3; again++) {
    await using pool = await AsyncPool.open(workers, { release: true });
    assert.equal(pool.role, "controller");
    assert.equal((await pool.each(square, 3)).length, workers);
  }
  await failure(AsyncPool.open(0, { release: true }), RangeError);
  await failure(AsyncPool.open(1, { release: true, initializer: Math.random }), Error);
});

opening.it("options that are undefined are left out", async () => {
  const options = { timeout: undefined, tag: undefined, initializer: undefined, mpi: undefined };
  await using pool = await AsyncPool.open(1, options as never);
  assert.equal(await pool.async(square, 3), 9);
});

opening.itPerSize(
  "twenty pools, one after another",
  async ({ workers }) => {
    for (let i = 0; i < 20; i++) {
      await using pool = await AsyncPool.open(1 + (i % workers));
      assert.equal(await pool.async(square, i), i * i);
    }
  },
  { slow: true },
);

opening.itPerSize(
  "the initializer runs once on each worker, before its first task",
  async ({ workers }) => {
    await AsyncPool.open(workers).then(async (pool) => {
      await pool.each(forget);
      await pool.close();
    });
    await using pool = await AsyncPool.open(workers, { initializer: [note, "began"] });
    for (const noted of await pool.each(note, "task")) assert.deepEqual(noted, ["began", "task"]);
    for (const noted of await pool.each(note, "more"))
      assert.deepEqual(noted, ["began", "task", "more"]);
    await pool.each(forget);
  },
);

opening.it("the initializer: async, without arguments, inline, as a text", async () => {
  {
    await using pool = await AsyncPool.open(1, { initializer: [noteLater, "later"] });
    assert.deepEqual((await pool.async(note, "task")).slice(-2), ["later", "task"]);
    await pool.async(forget);
  }
  {
    await using pool = await AsyncPool.open(1, { initializer: () => setState(20) });
    assert.equal(await pool.async(nextCall), 21);
  }
  {
    const initializer = ["(x) => { globalThis.prepared = x }", 5] as const;
    await using pool = await AsyncPool.open(1, { initializer } as never);
    assert.equal(await pool.async("() => globalThis.prepared"), 5);
  }
});

opening.itPerSize(
  "the initializer throws: open rejects with that error, and a later pool works",
  async ({ workers }) => {
    for (const fn of [refuse, refuseLater]) {
      const error = await failure(
        AsyncPool.open(workers, { initializer: [fn, "not today"] }),
        RangeError,
      );
      assert.equal(error.message, "not today");
      const mark = `at --- initializer: ${fn.name}("not today") on worker `;
      assert.ok(error.stack?.includes(mark), String(error.stack));
    }
    const coded = await failure(AsyncPool.open(1, { initializer: [refuse, "coded"] }), RangeError);
    assert.equal(Reflect.get(coded, "code"), 7);
    await using pool = await AsyncPool.open(workers);
    assert.equal((await pool.each(square, 3)).length, workers);
  },
);

opening.itPerSize(
  "the initializer throws on one worker of several",
  async ({ workers }) => {
    using gate = new Gate();
    const initializer = [refuseOnOne, gate.path] as const;
    const error = await failure(AsyncPool.open(workers, { initializer } as never), RangeError);
    assert.equal(error.message, "not on this one");
    await using pool = await AsyncPool.open(workers);
    assert.equal((await pool.each(square, 3)).length, workers);
  },
  { workers: 2 },
);

opening.it("the initializer cannot travel, or has arguments that cannot", async () => {
  await failure(AsyncPool.open(1, { initializer: Math.random }), Error);
  await failure(AsyncPool.open(1, { initializer: [note, Symbol("s") as never] }), Error);
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(square, 3), 9);
});

opening.itPerSize(
  "the initializer hangs on one worker: openTimeout names it, and a later pool works",
  async ({ workers }) => {
    using gate = new Gate();
    const options = { initializer: [hangOnOne, gate.path], openTimeout: 3_000 } as const;
    let error: unknown;
    const ms = await timed(async () => {
      error = await AsyncPool.open(workers, options as never).catch((reason: unknown) => reason);
    });
    assert.ok(error instanceof TimeoutError, String(error));
    assert.equal(error.message.match(/worker \d+ \(/g)?.length, 1, error.message);
    assert.ok(ms > 2_950, `it took ${ms} ms`);
    await using pool = await AsyncPool.open(workers);
    assert.equal((await pool.each(square, 3)).length, workers);
  },
  { slow: true },
);

opening.it(
  "the initializer loops for ever on one worker: openTimeout names it",
  async () => {
    using gate = new Gate();
    const options = { initializer: [loopOnOne, gate.path], openTimeout: 3_000 } as const;
    const error = await failure(AsyncPool.open(2, options as never), TimeoutError);
    assert.equal(error.message.match(/worker \d+ \(/g)?.length, 1, error.message);
    await using pool = await AsyncPool.open(2);
    assert.equal((await pool.each(square, 3)).length, 2);
  },
  { processes: true, workers: 2, slow: true },
);

opening.it(
  "an openTimeout that nobody can meet rejects, and leaves no process",
  async () => {
    const before = new Set(childrenOf(process.pid));
    // A worker that is started in no time waits there.
    using gate = new Gate();
    const options = { openTimeout: 0, initializer: [passGate, gate.path] } as const;
    const error = await failure(AsyncPool.open(2, options), TimeoutError);
    assert.match(error.message, /worker 0.*worker 1/);
    const left = () => childrenOf(process.pid).filter((pid) => !before.has(pid));
    await until("the workers to be gone", () => left().length === 0);
  },
  { modes: ["local"] },
);

opening.it("mpi: false makes local processes, even in an MPI job", async () => {
  await using pool = await AsyncPool.open(2, { mpi: false });
  assert.deepEqual(
    pool.workers.map(({ rank }) => rank),
    [null, null],
  );
  const there = await pool.each(() => [process.ppid, Object.keys(process.env).join(" ")] as const);
  for (const [parent, names] of there) {
    assert.equal(parent, process.pid);
    assert.ok(!/\b(OMPI_COMM|PMI_|PMIX_|HYDI)/.test(names), names);
  }
  assert.equal(await pool.async(square, 3), 9);
});

opening.it("env and cwd are those of local workers", async () => {
  const env = {
    PATH: process.env["PATH"],
    BSYNC_TEST_JOB: process.env["BSYNC_TEST_JOB"],
    OWN: "1",
  };
  const cwd = realpathSync(tmpdir());
  await using pool = await AsyncPool.open(1, { mpi: false, env, cwd });
  const there = () => [process.cwd(), process.env["OWN"], process.env["HOME"]] as const;
  assert.deepEqual(await pool.async(there), [cwd, "1", undefined]);
});

opening.it("env is inherited, with what was set meanwhile", async () => {
  process.env["CONTRACT_SET"] = "late";
  await using pool = await AsyncPool.open(1, { mpi: false });
  assert.equal(await pool.async(() => process.env["CONTRACT_SET"]), "late");
  assert.equal(await pool.async(() => process.cwd()), process.cwd());
});

opening.it("a folder or a program that cannot be is told", async () => {
  await failure(AsyncPool.open(1, { mpi: false, cwd: "/nowhere/at/all" }), Error);
});

opening.itPerSize("spin is taken as a number of microseconds", async ({ workers }) => {
  for (const spin of [0, 50, 2000]) {
    await using pool = await AsyncPool.open(workers, { spin });
    assert.equal(await pool.async(square, spin), spin * spin);
  }
});

function childrenOf(pid: number): number[] {
  const { stdout } = Bun.spawnSync(["ps", "-o", "pid=,comm=", "--ppid", String(pid)]);
  return stdout
    .toString()
    .split("\n")
    .filter((line) => line.includes("bun"))
    .map((line) => Number.parseInt(line, 10));
}
