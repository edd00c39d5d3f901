import {
  AsyncPool,
  CancelledError,
  FunctionError,
  PoolClosedError,
  QueueFullError,
  ValueError,
} from "../../../index.ts";
import { assert, failure, thrownBy, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { overlapping, renamed, square } from "../fixtures/functions.ts";
import {
  contextOf,
  Counted,
  same,
  sameLater,
  triple,
  waitAtGate,
  withIndex,
} from "../fixtures/mapping.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** Options of maps, and of their pools; arguments that are refused; the end of a pool under a map. */
export const mappingOptions = new Subject("maps", "code");

mappingOptions.it("wrong arguments are refused at the call, and nothing is taken", async () => {
  await using pool = await AsyncPool.open(1);
  const counted = new Counted();
  const map = (items: unknown, options: object = {}) => pool.map(same, items as number[], options);
  for (const items of [null, undefined, 4, true, {}, Symbol("x"), () => 1, 10n]) {
    assert.throws(() => map(items), TypeError, Bun.inspect(items));
    assert.throws(() => pool.starmap(same, items as never), TypeError, Bun.inspect(items));
  }
  for (const name of ["inFlight", "chunk"]) {
    for (const value of [0, -1, 1.5, NaN, -Infinity]) {
      assert.throws(() => map(counted.sync(), { [name]: value }), RangeError, `${name} ${value}`);
    }
    for (const value of ["4", null, true, {}, 4n]) {
      assert.throws(() => map(counted.sync(), { [name]: value }), TypeError, name);
    }
  }
  for (const name of ["ordered", "settled"]) {
    for (const value of [1, "true", null]) {
      assert.throws(() => map(counted.sync(), { [name]: value }), TypeError, name);
    }
  }
  assert.throws(
    () => map(counted.sync(), { inflight: 1 }),
    /^TypeError: Cannot map: unknown option "inflight"; there are .*inFlight/,
  );
  assert.throws(() => map(counted.sync(), { timeout: -1 }), TypeError);
  assert.throws(() => map(counted.sync(), null as never), TypeError);
  assert.throws(() => pool.map(Math.max, [1]), FunctionError);
  assert.throws(() => pool.map(7 as never, [1]), FunctionError);
  assert.deepEqual([counted.taken, counted.returned], [0, 0]);
  await pool.close();
  assert.throws(() => map([1]), PoolClosedError);
});

mappingOptions.it(
  "items of any iterable, and functions of any kind, by text and by name",
  async () => {
    await using pool = await AsyncPool.open(1);
    assert.deepEqual(await pool.map("(x) => x + 1", new Set([1, 2])), [2, 3]);
    assert.deepEqual(await pool.map("Math.abs", new Float64Array([-1.5, 2])), [1.5, 2]);
    assert.deepEqual(await pool.map(renamed, [1, 2]), [1001, 1002]);
    assert.deepEqual(await pool.map((x: string) => x + x, "añ😀"), ["aa", "ññ", "😀😀"]);
    assert.deepEqual(await pool.map(same<[string, number]>, new Map([["a", 1]])), [["a", 1]]);
    assert.deepEqual(await pool.map(withIndex<number>, [7, 8]), [
      [7, 0],
      [8, 1],
    ]);
    assert.deepEqual(await pool.map(same<number>, [Promise.resolve(1), 2]), [1, 2]);
    assert.deepEqual(await pool.map(same, []), []);
    assert.deepEqual(await pool.map(same, "").next(), { done: true, value: undefined });
    assert.deepEqual(await pool.map(same, Array(3)), [undefined, undefined, undefined]);
    const reader = new Blob(["abc"]).stream();
    assert.deepEqual(await pool.map((part: Uint8Array) => part.length, reader), [3]);
  },
);

mappingOptions.it("starmap: the index follows the arguments; a tuple is any iterable", async () => {
  await using pool = await AsyncPool.open(1);
  const rest = (...args: unknown[]) => args;
  const tuples = [[], [1], new Set([1, 2]), [undefined, null]];
  assert.deepEqual(await pool.starmap(rest, tuples as never), [
    [0],
    [1, 1],
    [1, 2, 2],
    [undefined, null, 3],
  ]);
  assert.deepEqual(await pool.starmap<number>("Math.max", [[1, 5, 2]]), [5]);
  for (const wrong of [1, "ab", null, undefined, {}, true]) {
    const results = pool.starmap(rest, [[1], wrong, [2]] as never);
    assert.deepEqual((await results.next()).value, [1, 0]);
    await failure(results.next(), TypeError);
    assert.deepEqual(await results.next(), { done: true, value: undefined });
    const settled = await pool.starmap(rest, [[1], wrong, [2]] as never, { settled: true });
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  }
});

mappingOptions.it("what cannot travel is named by its place, and costs its item only", async () => {
  await using pool = await AsyncPool.open(1);
  const items = numbers(10).map((i) => (i === 5 ? { x: { y: new WeakMap() } } : { x: i }));
  const results = pool.map(same, items as object[]);
  for (let i = 0; i < 5; i++) assert.deepEqual((await results.next()).value, { x: i });
  assert.match((await failure(results.next(), ValueError)).message, /items\[5\]\.x\.y/);
  const settled = await pool.map(same, items as object[], { settled: true });
  assert.deepEqual(
    settled.filter(({ status }) => status === "rejected").map(({ index }) => index),
    [5],
  );
  const star = pool.starmap((_: object) => 1, [[{ a: 1 }], [{ b: new WeakSet() }]]);
  await star.next();
  assert.match((await failure(star.next(), ValueError)).message, /items\[1\]\[0\]\.b/);
  const back = await pool.map((i: number) => (i === 3 ? () => 1 : i), numbers(6), {
    settled: true,
  });
  for (const [i, outcome] of back.entries()) {
    if (i !== 3) assert.equal(outcome.status, "fulfilled");
    else assert.match(String((outcome as PromiseRejectedResult).reason), /ValueError.*result/);
  }
});

mappingOptions.it(
  "unordered: what is there comes first",
  async () => {
    await using pool = await AsyncPool.open(2);
    using gate = new Gate();
    const tuples = numbers(20).map((i) => [gate.path, i, 0] as const);
    const found: number[] = [];
    for await (const value of pool.starmap(waitAtGate, tuples, { ordered: false, chunk: 1 })) {
      found.push(value);
      if (found.length === 19) gate.open();
    }
    assert.equal(found.at(-1), 0);
    assert.deepEqual(
      found.toSorted((a, b) => a - b),
      numbers(20),
    );
  },
  { workers: 2 },
);

mappingOptions.it(
  "the options of a view hold for each item: priority, signal, timeout",
  async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const held = pool.async(passGate, gate.path);
    await gate.reached();
    const order: string[] = [];
    const late = pool.map(same<number>, numbers(3)).then(() => order.push("late"));
    const urgent = pool.with({ priority: -1 }).map(same<number>, numbers(3));
    const early = urgent.then(() => order.push("early"));
    const plain = pool.with({ timeout: 30_000, retries: 2 }).map(contextOf, numbers(20));
    gate.open();
    await Promise.all([held, late, early]);
    assert.deepEqual(order, ["early", "late"]);
    assert.equal((await plain).length, 20);

    const reason = new EvalError("enough");
    const stopping = new AbortController();
    const counted = new Counted();
    const results = pool.with({ signal: stopping.signal }).map(same<number>, counted.sync());
    const seen = await thrownBy(
      (async () => {
        for await (const value of results) if (value === 20) stopping.abort(reason);
      })(),
    );
    assert.equal(seen, reason);
    assert.equal(counted.returned, 1);
    const aborted = pool.map(same<number>, counted.sync(), { signal: AbortSignal.abort(reason) });
    const { taken } = counted;
    assert.equal(await thrownBy(aborted), reason);
    assert.equal(counted.taken, taken);
    assert.equal(await pool.async(square, 3), 9);
  },
);

mappingOptions.it(
  "inFlight bounds what is taken and not yet read, whatever chunks there are",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (const inFlight of [1, 3, 50]) {
      for (const chunk of [1, 7, 100]) {
        const counted = new Counted();
        const results = pool.map(same<number>, counted.sync(), { inFlight, chunk });
        for (let read = 0; read < 120; read++) {
          assert.equal((await results.next()).value, read);
          assert.ok(counted.taken <= read + 1 + inFlight, `${inFlight} ${chunk} ${counted.taken}`);
        }
        await pool.idle();
        assert.ok(counted.taken <= 120 + inFlight);
        await results.return();
      }
    }
  },
);

mappingOptions.it(
  "large results that nobody reads hold up their map, as they are or within others",
  async () => {
    await using pool = await AsyncPool.open(1);
    const large = (): Uint8Array => new Uint8Array(2 ** 20);
    const inside = (): object => ({ pixels: new Uint8Array(2 ** 20), width: 1024 });
    for (const fn of [large, inside]) {
      for (const settled of [false, true]) {
        const counted = new Counted();
        const results = pool.map(fn as () => unknown, counted.sync(), { settled } as object);
        await results.next();
        await until("as many as may wait", () => counted.taken > 60);
        for (let taken = -1; taken !== counted.taken;) {
          ({ taken } = counted);
          await pool.idle();
          await new Promise((resolve) => setImmediate(resolve));
        }
        assert.ok(counted.taken < 80, `${fn.name} ${settled} ${counted.taken}`);
        for (let i = 0; i < 100; i++) assert.ok(!(await results.next()).done);
        await results.return();
      }
    }
  },
);

mappingOptions.it("two maps on one pool, read in turn, do not wait for each other", async () => {
  await using pool = await AsyncPool.open(1);
  for (const options of [{}, { inFlight: 1 }, { chunk: 5, inFlight: 2 }]) {
    const one = pool.map(same<number>, new Counted().sync(), options);
    const other = pool.map(sameLater<number>, new Counted().slow(), options);
    for (let i = 0; i < 100; i++) {
      assert.equal((await one.next()).value, i);
      assert.equal((await other.next()).value, i);
    }
    await one.return();
    assert.equal((await other.next()).value, 100);
    await other.return();
  }
});

mappingOptions.it("a map of a map is a pipeline: its failures and its end reach both", async () => {
  await using pool = await AsyncPool.open(1);
  for (const options of [{}, { inFlight: 1 }, { chunk: 10 }]) {
    const double = (x: number): number => 2 * x;
    const first = pool.map(triple, numbers(13), options);
    const third = pool.map(double, pool.map(double, first, options), options);
    assert.deepEqual(
      await third,
      numbers(13).map((x) => 12 * x),
    );
    const failing = pool.map(double, pool.map(triple, new Counted().sync(), options), options);
    assert.equal(String(await thrownBy(failing)), "RangeError: item 13");
    const counted = new Counted();
    const inner = pool.map(same<number>, counted.sync(), options);
    for await (const value of pool.map(double, inner, options)) if (value === 20) break;
    assert.equal(counted.returned, 1);
    assert.deepEqual(await inner.next(), { done: true, value: undefined });
  }
});

mappingOptions.it("queueLimit: a map waits for room, and leaves some", async () => {
  await using pool = await AsyncPool.open(1, { queueLimit: 2 });
  using gate = new Gate();
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  const queued = [pool.async(square, 1), pool.async(square, 2)];
  assert.throws(() => pool.async(square, 3), QueueFullError);
  const counted = new Counted();
  const results = pool.map(same<number>, counted.sync(200), { chunk: 1 });
  const all = results.then((values) => values);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(counted.taken, 0);
  gate.open();
  assert.deepEqual(await all, numbers(200));
  await Promise.all([running, ...queued]);
  for (const chunk of [1, 10]) {
    const both = numbers(2).map(() => pool.map(sameLater<number>, numbers(100), { chunk }).then());
    for (const found of await Promise.all(both)) assert.deepEqual(found, numbers(100));
  }
});

mappingOptions.it(
  "concurrency: items are under way together; idle waits for all of them",
  async () => {
    await using pool = await AsyncPool.open(1, { concurrency: 4 });
    const counts = await pool.map(overlapping, numbers(40) as never);
    assert.equal(Math.max(...(counts as number[])), 4);
    const results = pool.map(sameLater<number>, numbers(100));
    void results.next();
    await pool.idle();
    assert.deepEqual((await results).slice(0, 3), [1, 2, 3]);
  },
);

mappingOptions.it(
  "maxTasksPerWorker: an item is a task, and none is lost between two processes",
  async () => {
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 10 });
    const pids = await pool.map("() => process.pid", numbers(45), { chunk: 20 });
    const counts = new Map<unknown, number>();
    for (const pid of pids) counts.set(pid, (counts.get(pid) ?? 0) + 1);
    assert.ok(counts.size >= 5);
    for (const count of counts.values()) assert.ok(count <= 10);
  },
  { processes: true },
);

mappingOptions.itPerLink(
  "close: the reader of a map gets what was taken, and then is told",
  async () => {
    for (const start of ["running", "unbegun"]) {
      const pool = await AsyncPool.open(1);
      const counted = new Counted();
      const results = pool.map(same<number>, counted.sync(), { inFlight: 10 });
      if (start === "running") assert.equal((await results.next()).value, 0);
      const closed = pool.close();
      const values: number[] = [];
      const error = await thrownBy(
        (async () => {
          for await (const value of results) values.push(value);
        })(),
      );
      assert.ok(error instanceof PoolClosedError, start);
      assert.deepEqual(values, start === "running" ? numbers(counted.taken - 1, 1) : []);
      assert.equal(counted.returned, start === "running" ? 1 : 0);
      await closed;
      assert.deepEqual(await results.next(), { done: true, value: undefined });
    }
    const pool = await AsyncPool.open(1);
    const counted = new Counted();
    const ended = pool.map(same<number>, counted.sync(5));
    await ended.next();
    await until("the source to end", () => counted.ended === 1);
    await pool.close();
    assert.deepEqual(await ended, numbers(4, 1));
  },
);

mappingOptions.itPerLink(
  "terminate: a map under way fails, whether it is read or not",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(1);
    const tuples = numbers(20).map((i) => [gate.path, i, 3] as const);
    const results = pool.starmap(waitAtGate, tuples);
    const unread = pool.map(same<number>, new Counted().sync());
    void (await unread.next());
    for (let i = 0; i < 3; i++) await results.next();
    const last = thrownBy(results.next());
    await pool.terminate("told to");
    assert.ok((await last) instanceof CancelledError, Bun.inspect(await last));
    assert.deepEqual(await results.next(), { done: true, value: undefined });
    const left = await thrownBy(unread);
    const isOver = left instanceof CancelledError || left instanceof PoolClosedError;
    assert.ok(isOver, Bun.inspect(left));
  },
);

mappingOptions.it(
  "getSync of another call does not hold up, or lose, anything of a map",
  async () => {
    await using pool = await AsyncPool.open(1);
    const results = pool.map(same<number>, new Counted().sync(300), { chunk: 3 });
    for (let i = 0; i < 300; i++) {
      assert.equal((await results.next()).value, i);
      if (i % 50 === 0) assert.equal(pool.async(square, i).getSync(), i * i);
    }
    assert.deepEqual(await results.next(), { done: true, value: undefined });
  },
);

mappingOptions.it("maps that fail and are not read raise nothing", async () => {
  await using pool = await AsyncPool.open(1);
  const results = [
    pool.map(triple, numbers(20)),
    pool.map(triple, numbers(20), { ordered: false }),
    pool.map(same<number>, new Counted().sync(20, 5)),
  ];
  for (const each of results) await each.next();
  await pool.idle();
  assert.equal(await pool.async(square, 3), 9);
});
