/**
 * What other pools have in their own tests, or in their trackers because they had it not: loky's crashes,
 * the executors of mpi4py, the worker losses of Parsl, multiprocessing's terminate. What the table
 * has already is not here again.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AsyncPool,
  CancelledError,
  type MessageHandle,
  PoolClosedError,
  ValueError,
  WorkerLostError,
} from "../../index.ts";
import { assert, failure, until } from "../contract/assert.ts";
import { type Case, Subject } from "../contract/case.ts";
import { square } from "../contract/fixtures/functions.ts";
import * as stuck from "../contract/fixtures/stuck.ts";
import { Gate, passGate } from "../contract/gate.ts";
import { numbers } from "../contract/numbers.ts";

/** For workers that can be ended, and are replaced. */
const PROCESSES = { processes: true, limit: 30_000 } as const;

const CONTROLLER = Symbol.for("faults.controller");

function exit(code: number): void {
  process.exit(code);
}

function kill(pids: readonly number[], path: string): Promise<void | undefined> {
  return passGate(path).then(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Another one was quicker.
      }
    }
  });
}

function apply(fn: (x: number) => number, x: number): number {
  return fn(x);
}

function fail(x: number): never {
  throw new RangeError(`failed ${x}`);
}

function unsendable(): object {
  return { socket: Symbol("of this process") };
}

class Broken extends Error {
  override get message(): string {
    throw new Error("not even this");
  }
}

function throwBroken(): never {
  throw new Broken();
}

/** A module that runs `deed` wherever it is loaded but on the controller, and counts how often. */
async function hostileModule(folder: string, deed: string): Promise<(x: number) => number> {
  const file = join(folder, "hostile.ts");
  writeFileSync(
    file,
    `import { appendFileSync } from "node:fs";\n` +
      `if (!Reflect.has(globalThis, Symbol.for("faults.controller"))) {\n` +
      `  appendFileSync(${JSON.stringify(join(folder, "loads"))}, ".");\n` +
      `  ${deed};\n}\n` +
      `export function double(x) { return 2 * x; }\n`,
  );
  Reflect.set(globalThis, CONTROLLER, true);
  return ((await import(file)) as { double: (x: number) => number }).double;
}

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "contract-peers-"));

  get loads(): number {
    return readFileSync(join(this.path, "loads"), "utf8").length;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const loky = new Subject("loky");

for (const [name, deed] of [
  ["exits", "process.exit(0)"],
  ["is killed", "process.kill(process.pid, 'SIGKILL'); for (;;) Bun.sleepSync(10)"],
] as const) {
  loky.it(
    `a worker ${name} while it loads the function: given up after three, the rest goes on`,
    async () => {
      using folder = new Folder();
      const double = await hostileModule(folder.path, deed);
      await using pool = await AsyncPool.open(2);
      const bad = pool.async(double, 3);
      const good = numbers(20).map((x) => pool.async(square, x));
      const error = await failure(bad, WorkerLostError);
      assert.match(error.message, /load/);
      assert.equal(bad.state, "failed");
      assert.deepEqual(await Promise.all(good), numbers(20).map(square));
      assert.equal(folder.loads, 3);
      assert.deepEqual(await pool.each(square, 3), [9, 9]);
    },
    PROCESSES,
  );

  loky.it(
    `a worker ${name} while it loads an argument: given up after three, the rest goes on`,
    async () => {
      using folder = new Folder();
      const double = await hostileModule(folder.path, deed);
      await using pool = await AsyncPool.open(2);
      const bad = pool.async(apply, double, 3);
      const good = numbers(20).map((x) => pool.async(square, x));
      await failure(bad, WorkerLostError);
      assert.deepEqual(await Promise.all(good), numbers(20).map(square));
      assert.equal(folder.loads, 3);
    },
    PROCESSES,
  );
}

for (const count of [1, 2, 5, 13]) {
  loky.it(
    `${count} workers kill one another at once`,
    async () => {
      using gate = new Gate();
      await using pool = await AsyncPool.open(count);
      const pids = pool.workers.map(({ pid }) => pid);
      const running = pids.map(() => pool.async(kill, pids, gate.path));
      const queued = numbers(2 * count).map((x) => pool.async(square, x));
      await until("all to run", () => running.every(({ state }) => state === "running"));
      await gate.reached();
      gate.open();
      // Who is killed first kills nobody else; who had done so before may have answered.
      for (const handle of running) {
        const error = await handle.then(
          () => null,
          (error: unknown) => error,
        );
        assert.ok(error === null || error instanceof WorkerLostError, Bun.inspect(error));
      }
      assert.deepEqual(await Promise.all(queued), numbers(2 * count).map(square));
      await until("all to be there again", () =>
        pool.workers.every(({ state, pid }) => state === "idle" && !pids.includes(pid)),
      );
    },
    { ...PROCESSES, workers: Math.min(count, 2), ...(count > 2 ? { modes: ["local"] } : {}) },
  );
}

loky.it(
  "calls made where a lost one is told go on with the workers in their places",
  async () => {
    await using pool = await AsyncPool.open(2);
    const again = (left: number): Promise<number> =>
      pool.async(exit, left).then(
        () => -1,
        () => (left === 0 ? pool.async(square, 3).get() : again(left - 1)),
      );
    assert.deepEqual(await Promise.all([again(3), again(3)]), [9, 9]);
  },
  PROCESSES,
);

loky.it("a hundred that fail among a hundred that do not", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const handles = numbers(200).map((x) => pool.async(x % 2 ? fail : square, x));
  const settled = await Promise.allSettled(handles);
  settled.forEach((result, x) => {
    if (x % 2 === 0) assert.deepEqual(result, { status: "fulfilled", value: x * x });
    else assert.equal((result as PromiseRejectedResult).reason.message, `failed ${x}`);
  });
});

loky.it("terminate with a hundred tasks queued that never end", async ({ workers }) => {
  const pool = await AsyncPool.open(workers);
  const handles = numbers(100).map(() => pool.async(stuck.never));
  await pool.terminate();
  for (const handle of handles) await failure(handle, CancelledError);
});

loky.it(
  "a pool opened after one whose workers were all killed",
  async ({ workers }) => {
    for (let i = 0; i < 3; i++) {
      const pool = await AsyncPool.open(workers);
      for (const { pid } of pool.workers) process.kill(pid, "SIGKILL");
      if (i === 1) await pool.terminate();
      else await pool.close();
    }
    await using pool = await AsyncPool.open(workers);
    assert.deepEqual(new Set(await pool.each(square, 2)), new Set([4]));
  },
  PROCESSES,
);

const mpi4py = new Subject("mpi4py");

mpi4py.it("fifty short tasks, and close right after: all have their results", async (place) => {
  const pool = await AsyncPool.open(place.workers);
  const handles = numbers(50).map((x) => pool.async(square, x));
  await pool.close();
  assert.deepEqual(
    handles.map((handle) => handle.getSync()),
    numbers(50).map(square),
  );
});

mpi4py.it("close and terminate in all orders and at once, the pool being busy", async (place) => {
  const ends = ["close", "terminate", "close", "terminate", "close", "close"] as const;
  for (let first = 0; first < 3; first++) {
    const pool = await AsyncPool.open(place.workers);
    const running = pool.async(stuck.never);
    const queued = numbers(5).map((x) => pool.async(stuck.rest, x));
    const waits = [...ends.slice(first), ...ends.slice(0, first)].map((end) => pool[end]());
    await Promise.all(waits);
    await failure(running, CancelledError);
    for (const handle of queued) assert.match(handle.state, /done|cancelled/);
    assert.throws(() => pool.async(square, 1), PoolClosedError);
  }
});

mpi4py.it("a queued one is cancelled behind one that is long", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const long = pool.async(passGate, gate.path, "long");
  await gate.reached();
  const queued = pool.async(square, 3);
  assert.equal(queued.cancel(), true);
  assert.equal(queued.cancel(), false);
  await failure(queued, CancelledError);
  gate.open();
  assert.equal(await long, "long");
});

mpi4py.it("cancel between close and its end", async () => {
  using gate = new Gate();
  const pool = await AsyncPool.open(1);
  const running = pool.async(passGate, gate.path, "run");
  await gate.reached();
  const queued = numbers(5).map((x) => pool.async(square, x));
  const closed = pool.close();
  for (const handle of queued) assert.equal(handle.cancel(), true);
  gate.open();
  await closed;
  assert.equal(await running, "run");
  for (const handle of queued) await failure(handle, CancelledError);
});

mpi4py.it("arguments, results and errors that cannot travel fail their task alone", async () => {
  await using pool = await AsyncPool.open(1);
  const { pid } = pool.workers[0]!;
  for (let i = 0; i < 3; i++) {
    await failure(pool.async(square, Symbol("here") as unknown as number), ValueError);
    assert.equal(await pool.async(square, i), i * i);
    await failure(pool.async(unsendable), ValueError);
    assert.equal(await pool.async(square, i), i * i);
    await failure(pool.async(throwBroken), Error);
    assert.equal(await pool.async(square, i), i * i);
  }
  assert.equal(pool.workers[0]!.pid, pid);
});

mpi4py.it(
  "waiting for the first, for all, for some that fail, and in vain",
  async ({ workers }) => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(workers);
    const quick: MessageHandle<number> = pool.async(square, 3);
    await quick;
    const held = pool.async(passGate, gate.path, 1);
    assert.equal(await Promise.race([held, quick]), 9);
    const waited = await held.get({ timeout: 20 }).catch((error: Error) => error.name);
    assert.equal(waited, "TimeoutError");
    const zero = await held.get({ timeout: 0 }).catch((error: Error) => error.name);
    assert.equal(zero, "TimeoutError");
    gate.open();
    const all = await Promise.allSettled([held, quick, pool.async(fail, 1)]);
    assert.deepEqual(
      all.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected"],
    );
  },
);

mpi4py.it("three pools on the same workers, three hundred calls in turn", async ({ workers }) => {
  const pools = await Promise.all([1, 2, 3].map(() => AsyncPool.open(workers)));
  const handles = numbers(300).map((x) => pools[x % 3]!.async(square, x));
  const results = Promise.all(handles);
  await pools[1]!.close();
  await pools[0]!.close();
  assert.deepEqual(await results, numbers(300).map(square));
  await pools[2]!.close();
});

mpi4py.it(
  "sixteen pools on the same workers, a hundred and twenty-eight calls each",
  async ({ workers }) => {
    const pools = await Promise.all(numbers(16).map(() => AsyncPool.open(workers)));
    const handles = numbers(16 * 128).map((x) => pools[x % 16]!.async(square, x));
    assert.deepEqual(await Promise.all(handles), numbers(16 * 128).map(square));
    await Promise.all(pools.map((pool, i) => (i % 2 ? pool.close() : pool.terminate())));
  },
  { modes: ["openmpi", "mpich"] },
);

const parsl = new Subject("parsl");

parsl.it(
  "three losses in a row, each told; then the pool goes on",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (let i = 0; i < 3; i++) {
      const error = await failure(pool.async(exit, 2), WorkerLostError);
      assert.equal(error.exitCode, 2);
    }
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);

parsl.it(
  "a task with retries that costs each worker is given up, and the others are not",
  async () => {
    await using pool = await AsyncPool.open(2);
    const bad = pool.with({ retries: 2 }).async(exit, 2);
    const good = numbers(20).map((x) => pool.async(square, x));
    await failure(bad, WorkerLostError);
    assert.deepEqual(await Promise.all(good), numbers(20).map(square));
  },
  PROCESSES,
);

const multiprocessing = new Subject("multiprocessing");

multiprocessing.it("terminate with a hundred queued: each handle tells", async ({ workers }) => {
  using gate = new Gate();
  const pool = await AsyncPool.open(workers);
  const running = numbers(workers).map((i) => pool.async(passGate, gate.path, i, i));
  await gate.reached(workers);
  const queued = numbers(100).map((x) => pool.async(square, x));
  const waiting = queued.map((handle) => failure(handle, CancelledError));
  await pool.terminate();
  await Promise.all(waiting);
  for (const handle of [...running, ...queued]) {
    assert.equal(handle.ready(), true);
    assert.equal(handle.state, "cancelled");
    assert.throws(() => handle.getSync(), CancelledError);
  }
});

export const PEERS: readonly Case[] = [loky, mpi4py, parsl, multiprocessing].flatMap(
  ({ cases }) => cases,
);
