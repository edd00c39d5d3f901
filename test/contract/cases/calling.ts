import { existsSync } from "node:fs";
import { AsyncPool, getRank, getSize, usingMpi } from "../../../index.ts";
import { assert, failure, same, thrownBy, until } from "../assert.ts";
import { MPI, Subject, workersOf } from "../case.ts";
import { isMain, overlapping, square, squareLater } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";

export const calling = new Subject("calling");

/** Ends only when `others` tasks run at the same time. */
async function meet(path: string, me: number, others: number): Promise<number> {
  await Bun.write(`${path}/met-${me}`, "");
  for (let i = 0; i < others; i++) await until(`task ${i}`, () => existsSync(`${path}/met-${i}`));
  return process.pid;
}

calling.itPerSize("the program of the documentation prints what it should", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const handles = Array.from({ length: 20 }, (_, i) => pool.async(square, i));
  const results = await Promise.all(handles.map((h) => h.get()));
  assert.deepEqual(
    results,
    Array.from({ length: 20 }, (_, i) => i * i),
  );
});

calling.itPerSize("each of 5000 calls gets its own result", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const handles = Array.from({ length: 5000 }, (_, i) => pool.async(square, i));
  for (const [i, handle] of handles.entries()) assert.equal(await handle, i * i);
});

calling.it("sync and async functions, results now and later, mixed", async () => {
  await using pool = await AsyncPool.open(1);
  const handles = Array.from({ length: 200 }, (_, i) =>
    i % 3 === 0 ? pool.async(squareLater, i) : pool.async(square, i),
  );
  assert.deepEqual(
    await Promise.all(handles),
    Array.from({ length: 200 }, (_, i) => i * i),
  );
});

calling.it("no argument, one, many, and undefined among them", async () => {
  await using pool = await AsyncPool.open(1);
  const list = (...args: unknown[]) => args;
  same(await pool.async(list), []);
  same(await pool.async(list, undefined), [undefined]);
  same(await pool.async(list, 1, undefined, null, undefined), [1, undefined, null, undefined]);
  const many = Array.from({ length: 300 }, (_, i) => i);
  same(await pool.async(list, ...many), many);
});

calling.it("default parameters and rest parameters work as in a local call", async () => {
  await using pool = await AsyncPool.open(1);
  const fill = (a = 1, b = a + 1, ...rest: number[]) => [a, b, rest.length];
  assert.deepEqual(await pool.async(fill), [1, 2, 0]);
  assert.deepEqual(await pool.async(fill, undefined, 5, 6, 7), [1, 5, 2]);
});

calling.it("arguments are those of the moment of the call", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const first = pool.async(passGate, gate.path);
  const list = [1, 2];
  const nested = { list };
  const handle = pool.async((x: typeof nested) => x.list.length, nested);
  list.push(3);
  gate.open();
  await first;
  assert.equal(await handle, 2);
});

calling.it("arguments are copies: what the task does to them is not seen here", async () => {
  await using pool = await AsyncPool.open(1);
  const change = (map: Map<string, number>, bytes: Uint8Array) => {
    map.set("a", 2);
    bytes[0] = 9;
    return [map.get("a"), bytes[0]];
  };
  const map = new Map([["a", 1]]);
  const small = new Uint8Array(4);
  const large = new Uint8Array(200_000);
  assert.deepEqual(await pool.async(change, map, small), [2, 9]);
  assert.deepEqual(await pool.async(change, map, large), [2, 9]);
  assert.deepEqual([map.get("a"), small[0], large[0], large.length], [1, 0, 0, 200_000]);
});

calling.itPerSize(
  "all workers work at the same time",
  async ({ workers }) => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(workers);
    const handles = Array.from({ length: workers }, (_, i) =>
      pool.async(meet, gate.path, i, workers),
    );
    assert.equal(new Set(await Promise.all(handles)).size, workers);
    const indices = handles.map((h) => h.worker).sort();
    assert.deepEqual(
      indices,
      Array.from({ length: workers }, (_, i) => i),
    );
  },
  { workers: 2 },
);

calling.it("one worker runs one task at a time", async () => {
  await using pool = await AsyncPool.open(1);
  const overlap = Array.from({ length: 5 }, () => pool.async(overlapping));
  assert.deepEqual(await Promise.all(overlap), [1, 1, 1, 1, 1]);
});

calling.itPerSize(
  "results call for more work from the callbacks of others",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const chain = async (x: number, steps: number): Promise<number> =>
      steps === 0 ? x : await chain(await pool.async((y: number) => y + 1, x), steps - 1);
    const sums = await Promise.all(Array.from({ length: 20 }, (_, i) => chain(i, 20)));
    assert.deepEqual(
      sums,
      Array.from({ length: 20 }, (_, i) => i + 20),
    );
  },
);

calling.it("the controller's event loop turns while tasks run", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(passGate, gate.path, "passed");
  await gate.reached();
  let turns = 0;
  for (; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(handle.state, "running");
  gate.open();
  assert.equal(await handle, "passed");
});

calling.it("what a task leaves behind does not harm the next one", async () => {
  await using pool = await AsyncPool.open(1);
  const litter = () => {
    setTimeout(() => {}, 1_000_000);
    setInterval(() => {}, 1_000_000);
    process.exitCode = 5;
    return "left";
  };
  assert.equal(await pool.async(litter), "left");
  assert.equal(await pool.async(square, 3), 9);
});

calling.itPerSize("rank, size and whether there is MPI, on both sides", async (place) => {
  const { mode, workers } = place;
  await using pool = await AsyncPool.open(workers);
  const mpi = mode !== "local";
  assert.deepEqual([usingMpi(), getRank(), getSize()], [mpi, 0, mpi ? workers + 1 : 1]);
  const there = await pool.each(() => [usingMpi(), getRank(), getSize()]);
  const expected = workersOf(place, workers).map((rank) =>
    rank === null ? [false, 0, 1] : [true, rank, workers + 1],
  );
  assert.deepEqual(there, expected);
});

calling.it("import.meta.main is false on a worker", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(isMain), false);
});

calling.itPerSize("each: once on every worker, in their order", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const pids = await pool.each(() => process.pid);
  assert.deepEqual(
    pids,
    pool.workers.map((worker) => worker.pid),
  );
  assert.equal(new Set(pids).size, workers);
  assert.deepEqual(await pool.each(square, 7), Array(workers).fill(49));
  assert.deepEqual(await pool.each("Math.hypot", 3, 4), Array(workers).fill(5));
  assert.deepEqual(await pool.each(squareLater, 2), Array(workers).fill(4));
});

calling.itPerSize(
  "each waits for a worker that is busy, and reaches it once",
  async ({ workers }) => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(workers);
    const first = pool.async(passGate, gate.path);
    await gate.reached();
    const all = pool.each(() => process.pid);
    gate.open();
    assert.equal(new Set(await all).size, workers);
    await first;
  },
);

calling.itPerSize("each fails with the first failure, once all have ended", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const fail = (pid: number) => {
    if (process.pid === pid) throw new RangeError(`not on ${pid}`);
    return pid;
  };
  const last = pool.workers[workers - 1]!.pid;
  const error = await failure(pool.each(fail, last), RangeError);
  assert.equal(error.message, `not on ${last}`);
  assert.equal(await thrownBy(pool.each("() => { throw 42 }")), 42);
  assert.equal((await pool.each(square, 1)).length, workers);
});

calling.itPerSize("each leaves the order of other calls alone", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const before = Array.from({ length: 50 }, (_, i) => pool.async(square, i));
  const all = pool.each(square, 5);
  const after = Array.from({ length: 50 }, (_, i) => pool.async(square, i));
  assert.deepEqual(await all, Array(workers).fill(25));
  const results = await Promise.all([...before, ...after]);
  assert.deepEqual(results.slice(0, 50), results.slice(50));
});

calling.itPerSize(
  "a rank of a pool of one is the rank asked for",
  async ({ workers }) => {
    await using pool = await AsyncPool.open([workers]);
    assert.equal(await pool.async(getRank), workers);
  },
  { modes: MPI },
);
