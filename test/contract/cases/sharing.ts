import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AsyncPool,
  CheckpointError,
  PoolClosedError,
  Shared,
  taskContext,
  ValueError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, same, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { openFiles } from "../files.ts";
import { Gate, passGate } from "../gate.ts";

/** Values that are sent once to each host: `pool.share`. */
export const sharing = new Subject("sharing");

const LARGE = 1_000_000;

const valueOf = <T>(shared: Shared<T>): T => shared.value;
const sumOf = ({ value }: Shared<Float64Array | Uint8Array>): number => {
  let sum = 0;
  for (let i = 0; i < value.length; i++) sum += value[i]!;
  return sum;
};
const lengthOf = ({ value }: Shared<{ length: number }>) => value.length;

/** Writes into it; what it sees then. */
function write({ value }: Shared<Float64Array>, at: number, x: number): number {
  value[at] = x;
  return value[at]!;
}

function at({ value }: Shared<Float64Array>, index: number): number {
  return value[index]!;
}

/** Memory without a name that this process maps as a copy: its bytes, by inode and addresses. */
function mappings(): Map<string, number> {
  const lines = readFileSync("/proc/self/maps", "latin1").split("\n");
  const found = lines
    .filter((line) => / rw-p .*\(deleted\)$/.test(line))
    .map((line) => line.split(/ +/) as [string, string, string, string, string]);
  return new Map(
    found.map(([addresses, , , , inode]) => {
      const [from, to] = addresses.split("-");
      return [`${inode} ${addresses}`, Number(`0x${to}`) - Number(`0x${from}`)];
    }),
  );
}

/** The bytes of it in all. */
function mapped(): number {
  return mappings()
    .values()
    .reduce((sum, bytes) => sum + bytes, 0);
}

sharing.itPerSize("what was shared comes as it is, in each worker", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const inner = { a: [1, -0, Number.NaN, undefined], when: new Date(5), of: new Map([[1, /x/g]]) };
  const value = {
    ...{ inner, again: inner, big: new Uint16Array(LARGE).fill(513), n: 2n ** 70n, text: "\ud800" },
    ...{
      list: Array.from({ length: 50_000 }, (_, i) => i / 2),
      set: new Set(["é".repeat(70_000)]),
    },
    ...{ whole: new Uint8Array(100_000).fill(3).buffer, view: new DataView(new ArrayBuffer(8)) },
    error: new RangeError("why", { cause: 4 }),
  };
  const shared = await pool.share(value);
  for (const found of await pool.each(valueOf<typeof value>, shared)) {
    same(found, value);
    assert.equal(found.inner, found.again);
  }
  assert.equal(shared.value, value);
});

sharing.itPerSize("it is decoded once for each worker", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const shared = await pool.share({ list: [1], big: new Float64Array(LARGE) });
  const remember = (s: typeof shared) => {
    const holder = globalThis as { remembered?: unknown };
    const before = holder.remembered;
    holder.remembered = s.value;
    return before === s.value;
  };
  assert.deepEqual(
    await pool.each(remember, shared),
    pool.workers.map(() => false),
  );
  assert.deepEqual(
    await pool.each(remember, shared),
    pool.workers.map(() => true),
  );
  await pool.each(() => delete (globalThis as { remembered?: unknown }).remembered);
});

sharing.itPerSize(
  "arrays of 64 KiB and more are mapped; what one worker writes no other sees",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const numbers = new Float64Array(LARGE).fill(1);
    const before = await pool.each(mappings);
    const shared = await pool.share(numbers);
    // The original may change, too.
    numbers[1] = 7;
    assert.deepEqual(
      await pool.each(sumOf, shared),
      pool.workers.map(() => LARGE),
    );
    // What earlier cases have shared may leave meanwhile.
    for (const [i, after] of (await pool.each(mappings)).entries()) {
      const added = [...after].filter(([where]) => !before[i]!.has(where));
      assert.ok(added.some(([, bytes]) => bytes >= 8 * LARGE));
    }
    assert.equal(await pool.with({ worker: 0 }).async(write, shared, 0, 99), 99);
    const seen = await pool.each(at, shared, 0);
    assert.deepEqual(seen.slice(1), Array(workers - 1).fill(1));
    assert.deepEqual([numbers[0], shared.value], [1, numbers]);
  },
  { workers: 2 },
);

sharing.it("it may stand anywhere in arguments, items and results", async () => {
  await using pool = await AsyncPool.open(1);
  const shared = await pool.share(new Uint8Array(LARGE).fill(1));
  const other = await pool.share("small");
  const nested = (
    o: { m: Map<string, Shared<Uint8Array>>; s: typeof shared },
    s: typeof shared,
  ) => [o.m.get("s") === s && o.s === s, s.value.length];
  assert.deepEqual(await pool.async(nested, { m: new Map([["s", shared]]), s: shared }, shared), [
    true,
    LARGE,
  ]);
  const items = [shared, other, shared];
  const lengths = pool.map(
    (s: Shared<Uint8Array | string>, i: number) => s.value.length + i,
    items,
  );
  assert.deepEqual(await lengths, [LARGE, 6, LARGE + 2]);
  const tuples = pool.starmap((s: typeof shared, x: number) => s.value.length + x, [[shared, 3]]);
  assert.deepEqual(await tuples, [LARGE + 3]);
  const back = await pool.async((s: typeof shared) => ({ s, list: [s] }), shared);
  assert.equal(back.s, shared);
  assert.equal(back.list[0], shared);
  const fail = (s: typeof shared) => {
    throw Object.assign(new Error("with it"), { s });
  };
  const error = await failure(pool.async(fail, shared), Error);
  assert.equal((error as Error & { s?: unknown }).s, shared);
});

sharing.it("a task passes it on to tasks of its own, and gets it back", async () => {
  await using pool = await AsyncPool.open(1);
  const shared = await pool.share(Float64Array.from({ length: LARGE }, (_, i) => i));
  const parent = async (s: typeof shared) => {
    const { pool: own } = taskContext();
    const found = await Promise.all([1, 2].map((i) => own.async(at, s, i)));
    const mapped = await own.starmap(at, [[s, 3] as const, [s, 4] as const]);
    const back = await own.async((x: typeof shared) => ({ x }), s);
    return { found, mapped, same: back.x === s, s };
  };
  const { s, ...rest } = await pool.async(parent, shared);
  assert.deepEqual(rest, { found: [1, 2], mapped: [3, 4], same: true });
  assert.equal(s, shared);
});

sharing.it("it may hold others, functions, and nothing at all", async () => {
  await using pool = await AsyncPool.open(1);
  const inner = await pool.share(new Float64Array(LARGE).fill(2));
  const outer = await pool.share({ inner, big: new Uint8Array(LARGE), square });
  const use = ({ value }: typeof outer) => value.square(value.inner.value[5]!) + value.big.length;
  assert.equal(await pool.async(use, outer), 4 + LARGE);
  inner.free();
  await failure(pool.async(use, await pool.share(outer.value)), ValueError);
  const empty = await pool.share(new Uint8Array(0));
  assert.equal(await pool.async(lengthOf, empty), 0);
  for (const value of [undefined, null, 0, "", [], new ArrayBuffer(0), new Map()]) {
    same(await pool.async(valueOf<unknown>, await pool.share(value)), value);
  }
  for (const length of [65_535, 65_536, 65_537, 4096 * 17]) {
    const bytes = new Uint8Array(length).fill(5);
    same(await pool.async(valueOf<unknown>, await pool.share({ bytes, b: bytes })), {
      bytes,
      b: bytes,
    });
  }
});

sharing.it("views of one buffer share it, and only what they cover was sent", async () => {
  await using pool = await AsyncPool.open(1);
  const memory = new ArrayBuffer(8 * LARGE);
  const [a, b] = [new Float64Array(memory, 800, LARGE / 2), new Uint8Array(memory, 808, LARGE)];
  const shared = await pool.share({ a, b });
  const look = ({ value }: typeof shared) => {
    value.a[1] = 1;
    return [value.a.buffer === value.b.buffer, value.b[7], value.a.length, value.b.length];
  };
  assert.deepEqual(await pool.async(look, shared), [true, 0x3f, LARGE / 2, LARGE]);
});

sharing.it("freed, it is gone for who asks later, and stays for who has it", async () => {
  await using pool = await AsyncPool.open(1);
  const holder = (s: Shared<Float64Array>) => {
    (globalThis as { held?: Float64Array }).held = s.value;
  };
  const held = () => (globalThis as { held?: Float64Array }).held![LARGE - 1];
  const shared = await pool.share(new Float64Array(LARGE).fill(3));
  const before = await pool.async(mapped);
  await pool.async(holder, shared);
  shared.free();
  shared.free();
  const late = await failure(pool.async(sumOf, shared), ValueError);
  assert.match(late.message, /freed/);
  assert.throws(() => shared.value, ValueError);
  assert.equal(await pool.async(held), 3);
  await pool.async(() => void delete (globalThis as { held?: Float64Array }).held);
  const isGone = async () => {
    await pool.async(() => Bun.gc(true));
    return (await pool.async(mapped)) <= before;
  };
  await until("the memory to be given back", isGone);
});

sharing.it("freed while a task waits, it is gone for that task", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  const shared = await pool.share(new Uint8Array(LARGE));
  const small = await pool.share("text");
  const waiting = [pool.async(sumOf, shared), pool.async(lengthOf, small)];
  {
    using _ = shared;
    small.free();
  }
  gate.open();
  await running;
  for (const handle of waiting) await failure(handle, ValueError);
});

sharing.it("a task lets go what its worker has, and has it again", async () => {
  await using pool = await AsyncPool.open(1);
  const shared = await pool.share({ big: new Uint8Array(LARGE), list: [1] });
  const anew = (s: typeof shared) => {
    const first = s.value;
    first.big[0] = 1;
    s.free();
    return [first === s.value, s.value.big[0], s.value.list[0]];
  };
  assert.deepEqual(await pool.async(anew, shared), [false, 0, 1]);
});

sharing.it("what cannot travel is refused, with the place", async () => {
  await using pool = await AsyncPool.open(1);
  const never = new Promise(() => {});
  const error = await failure(pool.share({ a: [1, { never }] }), ValueError);
  assert.match(error.message, /value\.a\[1\]\.never: a Promise cannot travel/);
  const memory = new SharedArrayBuffer(LARGE);
  await failure(pool.share(new Uint8Array(memory)), ValueError);
  const gone = new Uint8Array(LARGE);
  gone.buffer.transfer();
  await failure(pool.share(gone), ValueError);
  const many = Array.from({ length: 5_000 }, () => new Uint8Array(65_536).subarray(0));
  await failure(pool.share(many), ValueError);
  assert.equal(await pool.async(square, 3), 9);
});

sharing.it("another pool refuses it, and so does its own once that is over", async () => {
  const pool = await AsyncPool.open(1);
  const shared = await pool.share(new Uint8Array(LARGE));
  {
    await using other = await AsyncPool.open(1, { mpi: false });
    const error = await failure(other.async(lengthOf, shared), ValueError);
    assert.match(error.message, /^Cannot send args\[0\]: .*pool that has shared it/);
    await failure(other.share([shared]), ValueError);
    await other.share(1);
    await failure(other.async(lengthOf, shared), ValueError);
  }
  assert.equal(await pool.async(lengthOf, shared), LARGE);
  await pool.close();
  assert.throws(() => shared.value, ValueError);
  shared.free();
  await failure(pool.share(1), PoolClosedError);
  assert.throws(() => new (Shared as unknown as new () => unknown)(), TypeError);
});

sharing.it("a pool that is closed or terminated meanwhile, or before, refuses", async () => {
  for (const end of ["close", "terminate"] as const) {
    const pool = await AsyncPool.open(1);
    const sharing = pool.share(new Uint8Array(LARGE)).then(
      () => "shared",
      (error: Error) => error.name,
    );
    const over = pool[end]();
    await failure(pool.share(1), PoolClosedError);
    await over;
    // Where it was all there at once, it was shared.
    assert.ok(["shared", "PoolClosedError"].includes(await sharing));
  }
});

sharing.itPerSize("workers that are busy have it later", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const gates = pool.workers.map(() => new Gate());
  const running = gates.map(({ path }) => pool.async(passGate, path));
  for (const gate of gates) await gate.reached();
  const shared = await pool.share(new Uint8Array(LARGE).fill(1));
  const handles = gates.map(() => pool.async(sumOf, shared));
  for (const gate of gates) gate.open();
  await Promise.all(running);
  assert.deepEqual(
    await Promise.all(handles),
    gates.map(() => LARGE),
  );
  for (const gate of gates) gate[Symbol.dispose]();
});

sharing.itPerSize(
  "a worker in the place of a lost one has it, too",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const shared = await pool.share(new Float64Array(LARGE).fill(2));
    const small = await pool.share({ x: 1 });
    const freed = await pool.share(new Float64Array(LARGE));
    freed.free();
    const die = (): void => void process.kill(process.pid, "SIGKILL");
    const deaths = pool.workers.map((_, worker) => pool.with({ worker }).async(die));
    for (const death of deaths) await failure(death, WorkerLostError);
    assert.deepEqual(
      await pool.each(sumOf, shared),
      pool.workers.map(() => 2 * LARGE),
    );
    const both = (s: typeof small, f: typeof freed) => {
      try {
        return [s.value.x, f.value.length];
      } catch (error) {
        return [s.value.x, (error as Error).name];
      }
    };
    for (const found of await pool.each(both, small, freed)) {
      assert.deepEqual(found, [1, "ValueError"]);
    }
  },
  { processes: true },
);

sharing.it(
  "workers that are replaced after each task have it",
  async () => {
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 1 });
    const shared = await pool.share({ big: new Float64Array(LARGE).fill(1), square });
    const use = ({ value }: typeof shared) => [process.pid, value.square(value.big.length)];
    const found = await Promise.all([1, 2, 3].map(() => pool.async(use, shared)));
    assert.equal(new Set(found.map(([pid]) => pid)).size, 3);
    assert.deepEqual(
      found.map(([, length]) => length),
      Array(3).fill(LARGE ** 2),
    );
  },
  { processes: true },
);

sharing.it(
  "its memory does not count for maxMemoryPerWorker",
  async () => {
    await using pool = await AsyncPool.open(1, { maxMemoryPerWorker: 250_000_000 });
    const { pid } = pool.workers[0]!;
    const shared = await pool.share(new Uint8Array(400_000_000).fill(1));
    // More than one look, and they are some time apart.
    for (let i = 0; i < 2; i++) {
      assert.equal(await pool.async(sumOf, shared), 400_000_000);
      await pool.async(() => Bun.sleepSync(1));
    }
    assert.equal(await pool.async(() => process.pid), pid);
  },
  { processes: true, slow: true },
);

sharing.it(
  "what a worker takes besides counts, however little of the memory in common it has looked at",
  async () => {
    await using pool = await AsyncPool.open(1, { maxMemoryPerWorker: 300_000_000 });
    const { pid } = pool.workers[0]!;
    const shared = await pool.share(new Uint8Array(400_000_000));
    const take = ({ value }: typeof shared) => {
      (globalThis as { own?: Uint8Array }).own = new Uint8Array(350_000_000).fill(1);
      return value.length;
    };
    assert.equal(await pool.async(take, shared), 400_000_000);
    const isReplaced = async () => {
      // It looks once in a while.
      await pool.async(() => Bun.sleepSync(1));
      return (await pool.async(() => process.pid)) !== pid;
    };
    await until("the worker to be replaced", isReplaced);
    assert.equal(await pool.async(lengthOf, shared), 400_000_000);
  },
  { processes: true, slow: true },
);

sharing.it("a checkpoint knows items that hold it by its content", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bsync-sharing-"));
  const checkpoint = join(folder, "map.sqlite");
  // What another one holds is of its content, too.
  const add = (s: Shared<{ inner: Shared<Uint8Array> }>, x: number) => s.value.inner.value[0]! + x;
  const run = async (fill: number): Promise<unknown> => {
    await using pool = await AsyncPool.open(1);
    const inner = await pool.share(new Uint8Array(LARGE).fill(fill));
    const shared = await pool.share({ inner });
    await pool.share(0);
    const tuples = [1, 2, 3].map((x) => [shared, x] as const);
    return await pool.starmap(add, tuples, { checkpoint });
  };
  assert.deepEqual(await run(1), [2, 3, 4]);
  assert.deepEqual(await run(1), [2, 3, 4]);
  await failure(run(2), CheckpointError);
  rmSync(folder, { recursive: true });
});

sharing.it("many at once, large and small, and nothing is left open", async () => {
  await using pool = await AsyncPool.open(1);
  // The runtime opens some of its own.
  const files = () => openFiles().filter((file) => file.endsWith("(deleted)"));
  const before = [files(), await pool.async(files)];
  const values = Array.from({ length: 300 }, (_, i) => (i % 3 ? { i } : new Uint8Array(70_000)));
  const all = await Promise.all(values.map((value) => pool.share(value as { i?: number })));
  const sumOfAll = (list: Shared<{ i?: number }>[]) =>
    list.reduce((total, { value }) => total + (value.i ?? 1), 0);
  const sum = Array.from({ length: 300 }, (_, i) => (i % 3 ? i : 1)).reduce((a, b) => a + b);
  assert.equal(await pool.async(sumOfAll, all), sum);
  for (const shared of all) shared.free();
  await failure(pool.async(sumOfAll, [all[7]!]), ValueError);
  assert.deepEqual([files(), await pool.async(files)], before);
});
