import { AsyncPool, type Results, type Settled, TimeoutError } from "../../../index.ts";
import { WorkerLostError } from "../../../index.ts";
import { countTasksFrom } from "../../../src/wire/task-id.ts";
import { assert, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import {
  contextOf,
  holdIn,
  holdInLater,
  linesIn,
  loopAt,
  noteIn,
  noteLater,
  runsIn,
  sleepAt,
  useFolder,
} from "../fixtures/mapping.ts";
import { Gate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** Maps whose workers die, or are held, or run out of time; and the numbers of their calls. */
export const mappingLosses = new Subject("maps");

const PROCESSES = { processes: true } as const;

/** Scalars travel as a list; tuples as calls of their own. */
const KINDS = ["scalars", "tuples"] as const;
type Kind = (typeof KINDS)[number];

type Fn = (item: number) => number | Promise<number>;

/** Beyond it calls are counted anew on the wire. */
const TURN = 2 ** 32;

function mapOf(
  pool: AsyncPool,
  kind: Kind,
  fn: Fn,
  items: number[],
  options = {},
): Results<number> {
  if (kind === "scalars") return pool.map(fn, items, options);
  return pool.starmap(
    fn,
    items.map((i) => [i] as const),
    options,
  );
}

function settledOf(
  pool: AsyncPool,
  kind: Kind,
  fn: Fn,
  items: number[],
  options = {},
): Results<Settled<number>> {
  return mapOf(pool, kind, fn, items, { ...options, settled: true }) as unknown as Results<
    Settled<number>
  >;
}

/** So many items from `first` on, of which one is half a number more. */
function itemsWith(count: number, at: number, first = 0): number[] {
  return numbers(count, first).map((i) => (i === first + at ? i + 0.5 : i));
}

mappingLosses.it(
  "an item that kills its worker is charged alone, and no other is lost",
  async () => {
    using gate = new Gate();
    const { path } = gate;
    await using pool = await AsyncPool.open(2, { initializer: [useFolder, path] });
    let first = 0;
    for (const kind of KINDS) {
      for (const [fn, retries] of [
        [noteIn, 0],
        [noteIn, 1],
        [noteLater, 0],
      ] as const) {
        for (const at of [0, 24, 49]) {
          first += 1000;
          const items = itemsWith(50, at, first);
          const outcomes = await settledOf(pool, kind, fn, items, { chunk: 50, retries });
          const what = `${fn.name}, ${kind}, ${retries} retries, item ${at}`;
          const runs = runsIn(path);
          for (const [i, outcome] of outcomes.entries()) {
            const isLost = i === at && retries === 0;
            assert.equal(outcome.status, isLost ? "rejected" : "fulfilled", `${what}: ${i}`);
            if (outcome.status === "rejected") assert.ok(outcome.reason instanceof WorkerLostError);
            // Answers of short items that were about to be sent are lost with their worker.
            const most = i < at ? 2 : i === at ? 1 + retries : 1;
            const count = runs.get(first + i)!;
            assert.ok(count >= 1 && count <= most, `${what}: ${count} runs of ${i}`);
          }
        }
      }
    }
  },
  { slow: true, ...PROCESSES, workers: 2, limit: 60_000 },
);

mappingLosses.it(
  "workers that are killed from outside cost nothing where items may start again",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2, { initializer: [useFolder, gate.path] });
    for (const kind of KINDS) {
      for (const chunk of [1, 20, undefined]) {
        const options = chunk === undefined ? {} : { chunk };
        const items = numbers(600);
        const results = mapOf(pool, kind, noteLater, items, { ...options, retries: 50 });
        const all: number[] = [];
        for await (const value of results) {
          all.push(value);
          if (value === 50 || value === 300)
            process.kill(pool.workers[value % 3 === 0 ? 0 : 1]!.pid);
        }
        assert.deepEqual(all, items);
      }
    }
    for (const { pid } of pool.workers) process.kill(pid, "SIGKILL");
    assert.deepEqual(
      await mapOf(pool, "scalars", noteIn, numbers(50), { retries: 5 }),
      numbers(50),
    );
  },
  { ...PROCESSES, workers: 2, limit: 60_000 },
);

mappingLosses.it(
  "what an idle worker could do of a chunk is not left behind an item that holds its thread",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2, { initializer: [useFolder, gate.path] });
    for (const kind of KINDS) {
      for (const at of [0, 3, 8]) {
        using here = new Gate();
        await pool.each(useFolder, here.path);
        const items = itemsWith(50, at);
        const results = mapOf(pool, kind, holdIn, items, { chunk: 10, ordered: false });
        const found: number[] = [];
        const behind = new Set(numbers(50 - at - 1, at + 1));
        for await (const value of results) {
          found.push(value);
          if (behind.delete(value) && behind.size === 0) {
            assert.ok(!found.includes(at), `${kind}, ${at}`);
            here.open();
          }
        }
        assert.deepEqual(
          found.toSorted((a, b) => a - b),
          numbers(50),
        );
      }
    }
  },
  { workers: 2, limit: 60_000 },
);

mappingLosses.it("a result is not kept by a long item that follows in its chunk", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { initializer: [useFolder, gate.path] });
  for (const [kind, fn] of [
    ["scalars", holdIn],
    ["scalars", holdInLater],
    ["tuples", holdIn],
    ["tuples", holdInLater],
  ] as const) {
    using here = new Gate();
    await pool.each(useFolder, here.path);
    const results = mapOf(pool, kind, fn, itemsWith(20, 9), { chunk: 20 });
    for (let i = 0; i < 9; i++) assert.equal((await results.next()).value, i);
    await here.reached();
    here.open();
    assert.deepEqual(await results, numbers(11, 9));
  }
});

mappingLosses.it(
  "an item that takes seconds within its chunk is left alone",
  async () => {
    await using pool = await AsyncPool.open(2);
    const { pid } = pool.workers[0]!;
    const results = mapOf(pool, "scalars", sleepAt, itemsWith(20, 3), { chunk: 20 });
    assert.deepEqual(await results, numbers(20));
    assert.equal(pool.workers[0]!.pid, pid);
  },
  { workers: 2, slow: true, limit: 60_000 },
);

mappingLosses.it(
  "a map that is left while an item holds the thread leaves the worker usable",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1, { initializer: [useFolder, gate.path] });
    for (const kind of KINDS) {
      using here = new Gate();
      await pool.each(useFolder, here.path);
      const results = mapOf(pool, kind, holdIn, itemsWith(50, 3), { chunk: 25 });
      const third = numbers(4).map(() => results.next())[2];
      assert.equal((await third!).value, 2);
      await here.reached();
      await results.return();
      const after = pool.async(square, 5);
      here.open();
      assert.equal(await after, 25);
      // None of the chunk behind; of its own a rank may begin some before it reads that.
      const ran = [...runsIn(here.path).keys()];
      assert.ok(ran.length >= 4 && Math.max(...ran) < 25, `${kind}: ${ran} have run`);
    }
  },
);

mappingLosses.it(
  "an item that never ends costs a map that is left its process, and not the pool",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1, { initializer: [useFolder, gate.path] });
    for (const [i, kind] of KINDS.entries()) {
      const { pid } = pool.workers[0]!;
      const results = mapOf(pool, kind, loopAt, itemsWith(10, 3), { chunk: 10 });
      for (let i = 0; i < 3; i++) assert.equal((await results.next()).value, i);
      await until("the loop to begin", () => linesIn(gate.path, "begun") === i + 1);
      await results.return();
      assert.equal(await pool.async(square, 5), 25);
      assert.notEqual(pool.workers[0]!.pid, pid);
    }
  },
  PROCESSES,
);

mappingLosses.it("a timeout is each item's own, be its loop ever so synchronous", async () => {
  // A rank may have one from an earlier case.
  await using pool = await AsyncPool.open(1, { initializer: [useFolder, ""] });
  for (const kind of KINDS) {
    const items = itemsWith(12, 5);
    const outcomes = await settledOf(pool, kind, loopAt, items, { timeout: 100, chunk: 12 });
    for (const [i, outcome] of outcomes.entries()) {
      assert.equal(outcome.status, i === 5 ? "rejected" : "fulfilled", `${kind} ${i}`);
      if (outcome.status === "rejected")
        assert.ok(outcome.reason instanceof TimeoutError, Bun.inspect(outcome.reason));
    }
  }
  assert.equal(await pool.async(square, 3), 9);
});

mappingLosses.it("each item is a task with a number of its own, in their order", async () => {
  await using pool = await AsyncPool.open(1);
  for (const chunk of [1, 7, undefined]) {
    const options = chunk === undefined ? {} : { chunk };
    const found = await pool.map(contextOf, numbers(100), options);
    const first = found[0]![0];
    assert.deepEqual(
      found,
      numbers(100, first).map((id) => [id, 1]),
    );
  }
});

for (const start of [TURN - 60, TURN - 3, TURN - 1]) {
  mappingLosses.it(`calls around the ${start}th are the ones that were meant`, async () => {
    using gate = new Gate();
    countTasksFrom(start);
    await using pool = await AsyncPool.open(1, { initializer: [useFolder, gate.path] });
    countTasksFrom(1);
    let order = start;
    for (const chunk of [10, 7, 1, 40]) {
      const found = await pool.map(contextOf, numbers(40), { chunk });
      assert.deepEqual(
        found,
        numbers(40, order).map((id) => [id, 1]),
      );
      order += 40;
      assert.deepEqual(await pool.map(square, numbers(40), { chunk }), numbers(40).map(square));
      order += 40;
    }
  });
}

mappingLosses.it(
  "a worker that is lost around the 2^32nd call costs the item that it ran",
  async () => {
    using gate = new Gate();
    for (const start of [TURN - 25, TURN - 3]) {
      countTasksFrom(start);
      await using pool = await AsyncPool.open(1, { initializer: [useFolder, gate.path] });
      countTasksFrom(1);
      for (const kind of KINDS) {
        const items = itemsWith(30, 20);
        const outcomes = await settledOf(pool, kind, noteIn, items, { chunk: 30 });
        const lost = outcomes.filter(({ status }) => status === "rejected");
        assert.deepEqual(
          lost.map(({ index }) => index),
          [20],
          `${start}, ${kind}`,
        );
      }
    }
  },
  { ...PROCESSES, slow: true, limit: 60_000 },
);

mappingLosses.it(
  "a process that ends idle, between two maps and before the first, is not missed",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (let i = 0; i < 2; i++) {
      process.kill(pool.workers[0]!.pid, "SIGKILL");
      assert.deepEqual(await pool.map(square, numbers(30), { chunk: 30 }), numbers(30).map(square));
    }
    await until("a worker", () => pool.workers[0]!.state !== "gone");
  },
  PROCESSES,
);

mappingLosses.it("a map that its own source ends runs nothing of what it gathered", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { initializer: [useFolder, gate.path] });
  const ends: Record<string, (results: Results<unknown>, controller: AbortController) => unknown> =
    {
      aborts: (_, controller) => controller.abort(new RangeError("enough")),
      returns: (results) => results.return(),
    };
  for (const [how, end] of Object.entries(ends)) {
    const controller = new AbortController();
    let closed = 0;
    function* source(): Generator<number> {
      try {
        for (let i = 0; ; i++) {
          if (i === 5) end(results, controller);
          yield i;
        }
      } finally {
        closed++;
      }
    }
    const results: Results<unknown> = pool.map(noteIn, source(), {
      chunk: 10,
      signal: controller.signal,
    });
    const first: unknown = await results.next().catch((error) => error);
    if (how === "aborts") assert.ok(first instanceof RangeError, Bun.inspect(first));
    else assert.deepEqual(first, { done: true, value: undefined });
    await results.return();
    await pool.idle();
    assert.deepEqual([linesIn(gate.path, "runs"), closed], [0, 1], how);
  }
});

type Large = string | Uint8Array;

mappingLosses.it(
  "large items are taken as far as workers come, be their calls ever so short",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (const large of ["x".repeat(100_000), new Uint8Array(100_000)]) {
      let taken = 0;
      let most = 0;
      function* source(): Generator<Large> {
        for (; taken < 2_000; taken++) yield large;
      }
      let read = 0;
      for await (const length of pool.map((item: Large) => item.length, source())) {
        assert.equal(length, 100_000);
        most = Math.max(most, taken - read++);
      }
      assert.equal(read, 2_000);
      // Some for each worker, and their results that wait for the reader.
      assert.ok(most <= 100, `${typeof large} ${most}`);
    }
  },
);
