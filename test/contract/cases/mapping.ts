import { type AsyncPool as Pool, AsyncPool, CancelledError } from "../../../index.ts";
import { assert, failure, thrownBy, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import {
  Counted,
  linesIn,
  same,
  sameLater,
  triple,
  tripleLater,
  UNLUCKY,
  untilAborted,
  waitAtGate,
} from "../fixtures/mapping.ts";
import { Gate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** `pool.map` and `pool.starmap`: sources, readers, order and ends. */
export const mapping = new Subject("maps", "code");

/** Items of a map of the grid, and where a source of it throws. */
const ITEMS = 20;
const THROWS_AT = 11;

interface Cell {
  readonly ordered: boolean;
  readonly settled: boolean;
  readonly chunk?: number;
  readonly inFlight?: number;
  readonly timeout?: number;
}

/** All combinations of options. */
function cells(): Cell[] {
  const all: Cell[] = [];
  const flags = [false, true];
  for (const ordered of flags)
    for (const settled of flags)
      for (const chunk of [undefined, 1, 7])
        for (const inFlight of [undefined, 1, 5])
          for (const timeout of [undefined, 60_000]) {
            const given = { chunk, inFlight, timeout };
            const known = Object.entries(given).filter(([, value]) => value !== undefined);
            all.push({ ordered, settled, ...Object.fromEntries(known) });
          }
  return all;
}

/** Each yields the numbers below `ITEMS`; those that fail do so in the midst. */
const SOURCES: Record<string, (counted: Counted) => Iterable<number> | AsyncIterable<number>> = {
  array: () => numbers(ITEMS),
  generator: (counted) => counted.sync(ITEMS),
  slow: (counted) => counted.slow(ITEMS),
  throwing: (counted) => counted.sync(ITEMS, THROWS_AT),
};

const FUNCTIONS = [triple, tripleLater];

/** What a map yields, and what it throws after that. */
async function read<T>(results: AsyncIterable<T>): Promise<{ values: T[]; error: unknown }> {
  const values: T[] = [];
  try {
    for await (const value of results) values.push(value);
  } catch (error) {
    return { values, error };
  }
  return { values, error: null };
}

async function playCell(pool: Pool, cell: Cell, source: string, fn: typeof triple): Promise<void> {
  const counted = new Counted();
  const results = pool.map(fn, SOURCES[source]!(counted), cell) as AsyncIterable<never>;
  const { values, error } = await read<unknown>(results);
  const taken = source === "throwing" ? THROWS_AT : ITEMS;
  if (cell.settled) {
    const outcomes = values as { status: string; index: number; item: number; value?: number }[];
    const found = outcomes.map(({ status, index, item, value }) => [status, index, item, value]);
    if (!cell.ordered) found.sort(([, a], [, b]) => (a as number) - (b as number));
    const expected = numbers(taken).map((i) =>
      i === UNLUCKY ? ["rejected", i, i, undefined] : ["fulfilled", i, i, 3 * i],
    );
    assert.deepEqual(found, expected);
    assert.equal(String(error), source === "throwing" ? `EvalError: source ${taken}` : "null");
  } else {
    const ends = Math.min(taken, UNLUCKY);
    if (cell.ordered) assert.deepEqual(values, numbers(ends).map(triple));
    else {
      const expected = new Set(numbers(ITEMS).map((i) => 3 * i));
      expected.delete(3 * UNLUCKY);
      for (const value of values) assert.ok(expected.delete(value as number), `${values}`);
    }
    const text = source === "throwing" ? `EvalError: source ${taken}` : `RangeError: item ${ends}`;
    assert.equal(String(error), text);
  }
  // A failure is told at once, be the source ever so slow to end.
  if (source !== "array") await until("the source to be closed", () => counted.returned > 0);
}

mapping.itPerSize(
  "a grid of options, sources and functions",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(Math.min(2, workers));
    for (const source of Object.keys(SOURCES)) {
      for (const fn of source === "slow" ? [tripleLater] : FUNCTIONS) {
        const all = cells().map(async (cell) => {
          try {
            await playCell(pool, cell, source, fn as typeof triple);
          } catch (error) {
            const what = `${fn.name}, ${source}, ${JSON.stringify(cell)}`;
            throw new Error(what, { cause: error });
          }
        });
        await Promise.all(all);
      }
    }
    assert.equal(await pool.async(square, 3), 9);
  },
  { slow: true, limit: 120_000 },
);

mapping.it("nothing is taken before the first next, or then", async () => {
  await using pool = await AsyncPool.open(1);
  for (const begin of ["next", "then", "await"]) {
    const counted = new Counted();
    let begun = 0;
    const items = { [Symbol.iterator]: () => (begun++, counted.sync(10)) };
    const results = pool.map(same<number>, items);
    await pool.async(square, 1);
    assert.deepEqual([begun, counted.taken], [0, 0], begin);
    if (begin === "next") assert.deepEqual(await results.next(), { done: false, value: 0 });
    if (begin === "then") await new Promise((resolve) => void results.then(resolve));
    assert.deepEqual(await results, begin === "next" ? numbers(9, 1) : numbers(10));
    assert.deepEqual([begun, counted.taken, counted.returned], [1, 10, 1], begin);
  }
});

mapping.it("a source is closed once, in whichever way its reader leaves", async () => {
  await using pool = await AsyncPool.open(1);
  const leave: Record<string, (results: ReturnType<typeof map>) => Promise<unknown>> = {
    async break(results) {
      for await (const value of results) if (value === 3) break;
    },
    async throw(results) {
      const leaving = (async () => {
        for await (const value of results) if (value === 3) throw new EvalError("left");
      })();
      assert.match(String(await thrownBy(leaving)), /EvalError: left/);
    },
    async dispose(results) {
      await using open = results;
      await open.next();
    },
    async return(results) {
      await results.next();
      const ends = await Promise.all([results.return(), results.return(), results.return()]);
      assert.deepEqual(ends, Array(3).fill({ done: true, value: undefined }));
    },
    async failing(results) {
      await failure(
        read(results).then(({ error }) => Promise.reject(error)),
        RangeError,
      );
    },
    async first(results) {
      for await (const _ of results) return;
    },
  };
  const map = (counted: Counted, kind: "sync" | "slow" | "plain") =>
    pool.map(triple, counted[kind]());
  for (const [way, deed] of Object.entries(leave)) {
    for (const kind of ["sync", "slow", "plain"] as const) {
      const counted = new Counted();
      const results = map(counted, kind);
      await deed(results);
      if (way === "failing") await until("the source to be closed", () => counted.returned > 0);
      assert.equal(counted.returned, 1, `${way}, ${kind}`);
      const { taken } = counted;
      assert.deepEqual(await results.next(), { done: true, value: undefined });
      assert.deepEqual(await results, []);
      assert.deepEqual([counted.taken, counted.returned], [taken, 1], `${way}, ${kind}`);
    }
  }
  assert.equal(await pool.async(square, 3), 9);
});

mapping.it("a map that is left before its first result has not touched its source", async () => {
  await using pool = await AsyncPool.open(1);
  const counted = new Counted();
  const results = pool.map(triple, counted.sync());
  assert.deepEqual(await results.return(), { done: true, value: undefined });
  assert.deepEqual(await results.next(), { done: true, value: undefined });
  assert.deepEqual(await results, []);
  {
    await using unread = pool.map(triple, counted.plain());
    assert.equal(typeof unread.next, "function");
  }
  assert.deepEqual([counted.taken, counted.returned], [0, 0]);
});

mapping.it(
  "a promise among the items that rejects is a failure, and the source is closed",
  async () => {
    await using pool = await AsyncPool.open(1);
    let returned = 0;
    function* items(): Generator<number | Promise<number>> {
      try {
        yield 1;
        yield Promise.reject(new EvalError("item"));
      } finally {
        returned++;
      }
    }
    const { values, error } = await read(pool.map(same<number>, items()));
    assert.deepEqual([values, String(error), returned], [[1], "EvalError: item", 1]);
  },
);

mapping.it("a source whose return fails: leaving says so, a failure before does not", async () => {
  await using pool = await AsyncPool.open(1);
  for (const onReturn of [
    () => {
      throw new EvalError("return");
    },
    () => Promise.reject(new EvalError("return")),
  ]) {
    const leaving = (async () => {
      for await (const value of pool.map(same<number>, new Counted().plain(onReturn))) {
        if (value === 3) break;
      }
    })();
    assert.equal(String(await thrownBy(leaving)), "EvalError: return");
    const failing = pool.map(triple, new Counted().plain(onReturn));
    assert.equal(String(await thrownBy(failing)), `RangeError: item ${UNLUCKY}`);
  }
});

mapping.it("calls of next wait in their order, a thousand at once", async () => {
  await using pool = await AsyncPool.open(1);
  for (const fn of [same<number>, sameLater<number>]) {
    const results = pool.map(fn as (x: number) => number | Promise<number>, numbers(900));
    const steps = await Promise.all(numbers(1000).map(() => results.next()));
    assert.deepEqual(
      steps.map(({ value }) => value as number | undefined),
      numbers(1000).map((i) => (i < 900 ? i : undefined)),
    );
    assert.equal(steps.filter(({ done }) => done).length, 100);
  }
  const failing = pool.map(triple, numbers(100));
  const steps = await Promise.allSettled(numbers(20).map(() => failing.next()));
  for (const [i, step] of steps.entries()) {
    if (i === UNLUCKY)
      assert.equal(String((step as PromiseRejectedResult).reason), "RangeError: item 13");
    else {
      const value = i < UNLUCKY ? 3 * i : undefined;
      assert.deepEqual(step, { status: "fulfilled", value: { done: i > UNLUCKY, value } });
    }
  }
});

mapping.it("return answers the calls of next that wait, and a map that is awaited", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  using other = new Gate();
  const at = ({ path }: Gate, held: number) =>
    pool.starmap(waitAtGate, [
      [path, 0, held],
      [path, 1, held],
    ] as const);
  const results = at(gate, 1);
  const steps = numbers(5).map(() => results.next());
  assert.deepEqual(await steps[0], { done: false, value: 0 });
  await gate.reached();
  await results.return();
  assert.deepEqual(
    await Promise.all(steps.slice(1)),
    Array(4).fill({ done: true, value: undefined }),
  );
  const awaited = at(other, 0);
  const collected = thrownBy(awaited.then((all) => all));
  await other.reached();
  await awaited.return();
  assert.ok((await collected) instanceof CancelledError);
});

mapping.itPerLink(
  "leaving a map tells its running item by its signal, and drops the rest",
  async () => {
    await using pool = await AsyncPool.open(1);
    // Scalars travel as a list, other values as calls of their own.
    for (const kind of ["scalars", "objects"]) {
      for (const chunk of [1, 10]) {
        using gate = new Gate();
        const { path } = gate;
        const items = numbers(50).map(() => (kind === "scalars" ? path : { path }));
        const results = pool.map(untilAborted, items, { chunk });
        const first = results.next();
        await until("an item to run", () => linesIn(path, "begun") === 1);
        await results.return();
        assert.deepEqual(await first, { done: true, value: undefined });
        await until("its signal to abort", () => linesIn(path, "aborted") === 1);
        assert.equal(await pool.async(square, 3), 9);
        const found = [linesIn(path, "begun"), linesIn(path, "aborted")];
        assert.deepEqual(found, [1, 1], `${kind}, ${chunk} to a message`);
      }
    }
  },
);
