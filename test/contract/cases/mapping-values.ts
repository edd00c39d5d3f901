import { AsyncPool, CancelledError, PoolClosedError, taskContext } from "../../../index.ts";
import { assert, same as areSame, thrownBy, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { Counted, same, sameLater, waitAtGate } from "../fixtures/mapping.ts";
import { Gate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** Values as items and as results; what others expect of a `map`; a pool that is drained under it. */
export const mappingValues = new Subject("maps", "code");

/** What lists hold as it is, and what they do not. */
function values(): unknown[] {
  return [
    ...[0, -0, NaN, Infinity, -Infinity, 1, -1, 0.1, 5e-324, 2 ** 31, -(2 ** 31), 2 ** 31 - 1],
    ...[2 ** 32, 2 ** 53, -(2 ** 53) - 2, 1e308, 0n, -1n, 2n ** 64n, -(2n ** 200n)],
    ...[undefined, null, true, false, "", "a", "\0", "\ud800", "\udc00x", "\ufeff", "\ufeffab"],
    ...["é😀", "x".repeat(4096), "y".repeat(5000), "é".repeat(70_000), "__proto__"],
    ...[new Date(0), new Date(NaN), /a/g, [], {}, [[]], { a: undefined }, new Map([[1, {}]])],
    ...[new Set([NaN]), new Uint8Array([1, 2]), new Float64Array(300), new Uint8Array(100 * 1024)],
    ...[new ArrayBuffer(5), new DataView(new ArrayBuffer(9), 2, 3), Object(1)],
  ];
}

/** A list out of the first item on, from which another one is taken. */
const pickValue = (i: number): unknown => values()[i];

mappingValues.itPerLink(
  "every value comes out as it went in, as an item and as a result",
  async () => {
    await using pool = await AsyncPool.open(1);
    const all = values();
    for (const fn of [same<unknown>, sameLater<unknown>]) {
      for (const chunk of [1, 5, 100]) {
        const options = { chunk };
        areSame(await pool.map(fn as typeof same, all, options), all, `${fn.name}, ${chunk}`);
        const twice = all.flatMap((value) => [value, value, value]);
        areSame((await pool.map(fn as typeof same, twice, options)).length, twice.length);
        const tuples = all.map((value) => [value] as const);
        areSame(await pool.starmap(fn as typeof same, tuples, options), all, "starmap");
      }
    }
    areSame(await pool.map(pickValue, numbers(all.length), { chunk: 20 }), all, "results");
    // Lists of one kind, and with one item of another kind at each place.
    for (const [own, other] of [
      [1, 0.5],
      [0.5, -0],
      [7, "seven"],
      ["text", 2n],
      [undefined, null],
      [3, { three: 3 }],
    ]) {
      for (const at of [0, 3, 9]) {
        const items = numbers(10).map((i) => (i === at ? other : own));
        areSame(
          await pool.map(same<unknown>, items, { chunk: 10 }),
          items,
          `${String(other)} ${at}`,
        );
      }
    }
  },
);

mappingValues.itPerLink("large buffers go through, each as it was", async () => {
  await using pool = await AsyncPool.open(1);
  const buffers = numbers(12).map((i) => new Uint8Array(100 * 1024 + i).fill(i));
  areSame(await pool.map(same<Uint8Array>, buffers), buffers);
  areSame(await pool.map(same<Uint8Array>, buffers, { chunk: 5 }), buffers);
  const made = await pool.map((i: number) => new Float64Array(20_000).fill(i), numbers(12));
  for (const [i, array] of made.entries()) assert.deepEqual([array.length, array[9]], [20_000, i]);
});

mappingValues.it("what a function throws at any place of a chunk is that item's", async () => {
  await using pool = await AsyncPool.open(1);
  const throwing = (i: number): unknown => {
    const all: unknown[] = [42, undefined, null, "text", new RangeError("range"), -0, { a: 1 }];
    if (i % 2 === 1) throw all[(i - 1) / 2];
    return i;
  };
  const later = async (i: number): Promise<number> => {
    await null;
    if (i % 2 === 1) throw new SyntaxError(`item ${i}`);
    return i;
  };
  for (const chunk of [1, 7, 14]) {
    const outcomes = await pool.map(throwing, numbers(14), { chunk, settled: true });
    const reasons = outcomes.filter((outcome) => outcome.status === "rejected");
    areSame(
      reasons.filter((_, i) => i !== 4).map(({ reason }) => reason),
      [42, undefined, null, "text", -0, { a: 1 }],
    );
    assert.equal(String(reasons[4]!.reason), "RangeError: range");
    const awaited = await pool.map(later, numbers(14), { chunk, settled: true });
    for (const [i, outcome] of awaited.entries()) {
      assert.equal(outcome.status, i % 2 === 1 ? "rejected" : "fulfilled");
      if (outcome.status === "rejected") {
        assert.equal(String(outcome.reason), `SyntaxError: item ${i}`);
      }
    }
  }
});

mappingValues.it("what can be awaited is, whatever a chunk it is in", async () => {
  await using pool = await AsyncPool.open(1);
  const thenable = (i: number): unknown => {
    if (i % 4 === 0) return { then: (resolve: (value: number) => void) => resolve(i) };
    if (i % 4 === 1) return { then: (_: unknown, reject: (error: unknown) => void) => reject(i) };
    if (i % 4 === 2) return Promise.resolve(i);
    return {
      then: () => {
        throw i;
      },
    };
  };
  for (const chunk of [1, 6, 24]) {
    const outcomes = await pool.map(thenable, numbers(24), { chunk, settled: true });
    for (const [i, outcome] of outcomes.entries()) {
      const { status } = outcome;
      assert.equal(status, i % 2 === 0 ? "fulfilled" : "rejected");
      assert.equal(outcome.status === "fulfilled" ? outcome.value : outcome.reason, i);
    }
  }
});

mappingValues.itPerSize(
  "a hundred thousand items are exact, in either order, of functions of any length",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(Math.min(2, workers));
    const mixed = (i: number): unknown =>
      i % 5000 === 0 ? Promise.resolve(i) : i % 777 === 0 ? { i } : i % 1001 === 0 ? `${i}` : 2 * i;
    let read = 0;
    for await (const value of pool.map(mixed, new Counted().sync(100_000))) {
      areSame(value, await mixed(read), `item ${read}`);
      read++;
    }
    assert.equal(read, 100_000);
    const sum = (list: number[]) => list.reduce((a, b) => a + b, 0);
    const all = await pool.map((i: number) => i, numbers(100_000), { ordered: false });
    assert.deepEqual([all.length, sum(all)], [100_000, sum(numbers(100_000))]);
  },
  { slow: true, limit: 60_000 },
);

mappingValues.it("as mpi4py.futures: two lists in step, by starmap", async () => {
  await using pool = await AsyncPool.open(1);
  const power = (base: number, exponent: number): number => base ** exponent;
  const pairs = numbers(40).map((i) => [i, i % 5] as const);
  const expected = pairs.map(([base, exponent]) => base ** exponent);
  for (const chunk of [1, 2, 3, 5, 7, 10, 100]) {
    assert.deepEqual(await pool.starmap(power, pairs, { chunk }), expected);
    const unordered = await pool.starmap(power, pairs, { chunk, ordered: false });
    assert.deepEqual(unordered.toSorted(), expected.toSorted());
  }
  assert.deepEqual(await pool.starmap(power, []), []);
  assert.deepEqual(await pool.starmap(power, [[2, 5]]), [32]);
  assert.deepEqual(await pool.map(power as (base: number) => number, [3, 3, 3]), [1, 3, 9]);
});

mappingValues.it("as mpi4py.futures: results before an error are read, none after it", async () => {
  await using pool = await AsyncPool.open(1);
  const divide = (x: number, y: number): bigint => BigInt(x) / BigInt(y);
  const results = pool.starmap(divide, [
    [1, 1],
    [5, 2],
    [1, 0],
    [8, 2],
  ] as const);
  assert.deepEqual(await results.next(), { done: false, value: 1n });
  assert.deepEqual(await results.next(), { done: false, value: 2n });
  assert.ok((await thrownBy(results.next())) instanceof RangeError);
  assert.deepEqual(await results.next(), { done: true, value: undefined });
});

mappingValues.it(
  "as mpi4py.futures: a map that takes too long is given up by its reader",
  async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const tuples = numbers(5).map((i) => [gate.path, i, 2] as const);
    const found: number[] = [];
    const results = pool.starmap(waitAtGate, tuples, { signal: AbortSignal.timeout(300) });
    const error = await thrownBy(
      (async () => {
        for await (const value of results) found.push(value);
      })(),
    );
    assert.equal((error as Error).name, "TimeoutError");
    assert.ok(found.length <= 2);
    assert.deepEqual(await pool.map(same<number>, [1]), [1]);
  },
);

mappingValues.it(
  "as mpi4py.futures: what is cancelled, or comes too late, is refused",
  async () => {
    const pool = await AsyncPool.open(1);
    using gate = new Gate();
    const tuples = numbers(50).map((i) => [gate.path, i, 0] as const);
    const results = pool.starmap(waitAtGate, tuples);
    const all = thrownBy(results);
    await gate.reached();
    await pool.terminate();
    assert.ok((await all) instanceof CancelledError);
    assert.throws(() => pool.map(same, [1]), PoolClosedError);
    assert.throws(() => pool.starmap(same, [[1]]), PoolClosedError);
  },
);

mappingValues.it(
  "a signal that drains the pool ends its maps: none goes on with failures alone",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(1, { drainSignals: "SIGUSR2", drainTimeout: 20_000 });
    const tuples = function* () {
      for (let i = 0; ; i++) yield [gate.path, i, 2] as const;
    };
    const results = pool.starmap(waitAtGate, tuples(), { settled: true, chunk: 1 });
    assert.equal((await results.next()).value!.index, 0);
    await gate.reached();
    process.kill(process.pid, "SIGUSR2");
    await until("the signal to be heard", () => isClosed(pool));
    gate.open();
    const states: string[] = [];
    const error = await thrownBy(
      (async () => {
        for await (const { status } of results) states.push(status);
      })(),
    );
    assert.ok(error instanceof PoolClosedError, String(error));
    assert.deepEqual(states.slice(0, 2), ["fulfilled", "fulfilled"]);
    assert.ok(states.length < 50);
    await pool.close();
    process.removeAllListeners("SIGUSR2");
  },
  { modes: ["local"] },
);

function isClosed(pool: AsyncPool): boolean {
  try {
    void pool.async(same, 1);
    return false;
  } catch {
    return true;
  }
}

mappingValues.it("idle waits for the items that were taken, and for no more", async () => {
  await using pool = await AsyncPool.open(1);
  const counted = new Counted();
  const results = pool.map((i: number) => [i, taskContext().id], counted.sync(), { inFlight: 8 });
  await results.next();
  await pool.idle();
  const { taken } = counted;
  await pool.idle();
  assert.equal(counted.taken, taken);
  await results.return();
});
