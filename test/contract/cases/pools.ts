import { AsyncPool, CancelledError } from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { cube, square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

export const pools = new Subject("several pools");

/** Keeps some calls under way, each followed by another, until it is stopped. */
class Flood {
  done = 0;
  #stopped = false;
  readonly #waves: Promise<void>[];

  constructor(calls: number, call: () => PromiseLike<unknown>) {
    const wave = async () => {
      while (!this.#stopped) {
        await call();
        this.done++;
      }
    };
    this.#waves = numbers(calls).map(wave);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#waves);
  }
}

/** Ends when each has done `count` calls more: one that starves never has. */
async function allGetOn(floods: readonly Flood[], count: number): Promise<void> {
  const goals = floods.map(({ done }) => done + count);
  await until("all to get on", () => floods.every(({ done }, i) => done >= goals[i]!), 9_000);
}

pools.itPerSize("two at once on the same workers, their calls interleaved", async ({ workers }) => {
  await using one = await AsyncPool.open(workers);
  await using two = await AsyncPool.open(workers);
  const handles = numbers(500).flatMap((i) => [one.async(square, i), two.async(cube, i)]);
  assert.deepEqual(
    await Promise.all(handles),
    numbers(500).flatMap((i) => [square(i), cube(i)]),
  );
});

pools.it("both progress while a task of the other waits", async () => {
  using gate = new Gate();
  await using one = await AsyncPool.open(1);
  await using two = await AsyncPool.open(1);
  const waiting = one.async(passGate, gate.path, "passed");
  await gate.reached();
  assert.deepEqual(
    await Promise.all(numbers(20).map((i) => two.async(square, i))),
    numbers(20).map(square),
  );
  assert.equal(waiting.state, "running");
  gate.open();
  assert.equal(await waiting, "passed");
});

pools.itPerSize("closing one leaves the other alone, in either order", async ({ workers }) => {
  const one = await AsyncPool.open(workers);
  const two = await AsyncPool.open(workers);
  await one.async(square, 1);
  await one.close();
  assert.equal(await two.async(square, 2), 4);
  const three = await AsyncPool.open(workers);
  await two.close();
  assert.equal(await three.async(square, 3), 9);
  await three.close();
});

pools.it("terminating one leaves the tasks of the other alone", async () => {
  using gate = new Gate();
  const one = await AsyncPool.open(1);
  await using two = await AsyncPool.open(1);
  const kept = two.async(passGate, gate.path, "kept");
  await gate.reached();
  const lost = one.async(stuck.wander);
  await one.terminate();
  await failure(lost, CancelledError);
  gate.open();
  assert.equal(await kept, "kept");
});

pools.it("a timeout in one does not touch the other", async () => {
  await using one = await AsyncPool.open(1);
  await using two = await AsyncPool.open(1);
  const [bad, good] = [one.with({ timeout: 30 }).async(stuck.wander), two.async(stuck.rest, 100)];
  await failure(bad, Error);
  assert.equal(await good, "rested");
});

pools.itPerSize(
  "one for each worker",
  async ({ workers }) => {
    const all = await Promise.all(numbers(workers).map((i) => AsyncPool.open([i + 1])));
    const pids = await Promise.all(all.map((pool) => pool.async(() => process.pid)));
    assert.equal(new Set(pids).size, workers);
    await Promise.all(all.map((pool) => pool.close()));
  },
  { workers: 2 },
);

pools.it(
  "subsets that overlap",
  async () => {
    await using one = await AsyncPool.open([1, 2]);
    await using two = await AsyncPool.open([2]);
    const [[, second], [only]] = await Promise.all([
      one.each(() => process.pid),
      two.each(() => process.pid),
    ]);
    assert.equal(only, second);
  },
  { processes: false, workers: 2 },
);

pools.itPerSize(
  "eight open at once, closed in another order",
  async ({ workers }) => {
    const all = await Promise.all(numbers(8).map(() => AsyncPool.open(Math.min(workers, 2))));
    const sums = await Promise.all(all.map((pool, i) => pool.async((x: number) => x + 1, i)));
    assert.deepEqual(
      sums,
      numbers(8).map((i) => i + 1),
    );
    await Promise.all([5, 0, 7, 2, 6, 1, 4, 3].map((i) => all[i]!.close()));
  },
  { slow: true },
);

pools.itPerSize(
  "each with a tag of its own choice, which is free again after it",
  async ({ workers }) => {
    for (let again = 0; again < 3; again++) {
      await using seven = await AsyncPool.open(workers, { tag: 7 });
      await using eight = await AsyncPool.open(workers, { tag: 8 });
      await using other = await AsyncPool.open(workers);
      const results = [seven, eight, other].map((pool, i) => pool.async(square, i));
      assert.deepEqual(await Promise.all(results), [0, 1, 4]);
    }
    for (const tag of [0, 32_766]) {
      await using pool = await AsyncPool.open(1, { tag });
      assert.equal(await pool.async(square, 3), 9);
    }
  },
  { slow: true },
);

pools.itPerSize("of processes beside one of ranks", async ({ workers }) => {
  await using ranks = await AsyncPool.open(workers);
  await using processes = await AsyncPool.open(2, { mpi: false });
  const handles = numbers(200).map((i) => (i % 2 ? ranks : processes).async(square, i));
  assert.deepEqual(await Promise.all(handles), numbers(200).map(square));
  const pids = [
    ...(await ranks.each("() => process.pid")),
    ...(await processes.each("() => process.pid")),
  ];
  assert.equal(new Set(pids).size, workers + 2);
});

pools.it("one opened in the callback of another, inside of its block", async () => {
  await using outer = await AsyncPool.open(1);
  const sum = await outer.async(square, 2).then(async (x) => {
    await using inner = await AsyncPool.open(1);
    return (await inner.async(square, x)) + (await outer.async(square, 1));
  });
  assert.equal(sum, 17);
});

pools.it("one that fails to open does not touch one that is open", async () => {
  await using pool = await AsyncPool.open(1);
  await failure(
    AsyncPool.open(1, { initializer: "() => { throw new RangeError('no') }" }),
    RangeError,
  );
  await failure(AsyncPool.open(0), RangeError);
  assert.equal(await pool.async(square, 3), 9);
});

pools.itPerSize(
  "two that flood the same workers both get on, in proportion",
  async ({ workers }) => {
    await using one = await AsyncPool.open(workers);
    await using two = await AsyncPool.open(workers);
    const floods = [one, two].map((pool) => new Flood(100, () => pool.async(square, 3)));
    await allGetOn(floods, 1_000);
    const before = floods.map(({ done }) => done);
    await allGetOn(floods, 2_000);
    const [more = 0, other = 0] = floods.map(({ done }, i) => done - before[i]!);
    await Promise.all(floods.map((flood) => flood.stop()));
    assert.ok(more < 20 * other && other < 20 * more, `${more} and ${other} calls`);
  },
  { slow: true },
);

pools.itPerSize(
  "calls that are long, short and asynchronous, from three pools on the same workers: none starves",
  async ({ workers }) => {
    await using long = await AsyncPool.open(workers);
    await using short = await AsyncPool.open(workers);
    await using waiting = await AsyncPool.open(workers);
    const floods = [
      new Flood(10, () => long.async(stuck.block, 5)),
      new Flood(100, () => short.async(square, 3)),
      new Flood(10, () => waiting.async(stuck.rest, 1)),
    ];
    await allGetOn(floods, 30);
    await Promise.all(floods.map((flood) => flood.stop()));
  },
  { slow: true },
);

pools.it(
  "one of two that flood the same workers is closed, and one terminated: the third gets on",
  async () => {
    await using kept = await AsyncPool.open(1);
    const [closed, terminated] = [await AsyncPool.open(1), await AsyncPool.open(1)];
    const flood = new Flood(50, () => kept.async(square, 3));
    const last = numbers(500).map((i) => closed.async(square, i));
    const lost = numbers(500).map(() => terminated.async(stuck.block, 2));
    await allGetOn([flood], 100);
    await Promise.all([closed.close(), terminated.terminate()]);
    assert.deepEqual(await Promise.all(last), numbers(500).map(square));
    const ends = await Promise.allSettled(lost);
    assert.ok(ends.some(({ status }) => status === "rejected"));
    await allGetOn([flood], 100);
    await flood.stop();
  },
);
