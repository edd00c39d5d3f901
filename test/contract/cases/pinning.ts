import { AsyncPool, taskContext } from "../../../index.ts";
import { assert, until } from "../assert.ts";
import { Subject, workersOf } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { blockAtGate, Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** The option `worker`. */
export const pinning = new Subject("pinning");

const order: unknown[] = [];

function note(name: unknown): number {
  order.push(name);
  return taskContext().worker;
}

function taken(): unknown[] {
  return order.splice(0);
}

function place(): number {
  return taskContext().worker;
}

/** Which call of it on this worker it is. */
function count(): number {
  order.push(0);
  return order.length;
}

pinning.itPerSize("a call runs on that worker alone", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  for (const worker of numbers(workers, 0)) {
    const view = pool.with({ worker });
    const others = numbers(50).map(() => pool.async(place));
    const handles = numbers(200).map(() => view.async(place));
    assert.deepEqual(new Set(await Promise.all(handles)), new Set([worker]));
    assert.ok(handles.every((handle) => handle.worker === worker));
    await Promise.all(others);
    await view.async(taken);
    const counts = await Promise.all(numbers(300).map(() => view.async(count)));
    assert.deepEqual(counts, numbers(300, 1));
    await view.async(taken);
  }
});

pinning.itPerSize(
  "another index than there is: RangeError; no number: TypeError",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    for (const worker of [-1, workers, 0.5, NaN, Infinity, -Infinity]) {
      const message = new RegExp(`worker must be .*got ${worker}$`);
      assert.throws(() => pool.with({ worker }), { name: "RangeError", message });
    }
    for (const worker of ["0", null, true, 0n, {}]) {
      assert.throws(() => pool.with({ worker: worker as never }), { name: "TypeError" });
    }
    assert.equal(await pool.with({ worker: -0 }).async(place), 0);
    assert.ok((await pool.with({ worker: undefined } as never).async(place)) < workers);
  },
);

pinning.it("its own and others start by priority, then by submission", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  await pool.async(taken);
  const first = pool.async(passGate, gate.path);
  await gate.reached();
  const own = (priority = 0) => pool.with({ worker: 0, priority });
  const all = [
    pool.async(note, "a"),
    own().async(note, "own b"),
    pool.async(note, "c"),
    own(1).async(note, "own, late"),
    own(-1).async(note, "own, urgent"),
    pool.with({ priority: -1 }).async(note, "urgent"),
    pool.with({ priority: 1 }).async(note, "late"),
    own().async(note, "own d"),
    pool.async(note, "e"),
  ];
  gate.open();
  await Promise.all([first, ...all]);
  const expected = "own, urgent|urgent|a|own b|c|own d|e|own, late|late";
  assert.equal((await pool.async(taken)).join("|"), expected);
});

pinning.it(
  "those of a worker that is held wait for it, and the others go elsewhere",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2);
    await pool.each(square, 1);
    const first = pool.with({ worker: 0 }).async(blockAtGate, gate.path);
    await gate.reached();
    const own = numbers(5).map(() => pool.with({ worker: 0 }).async(place));
    const others = numbers(20).map(() => pool.async(place));
    assert.deepEqual(new Set(await Promise.all(others)), new Set([1]));
    // Short ones were sent to it: they are taken back from it, and stay its own.
    await until("another look", async () => (await pool.async(place)) === 1);
    assert.ok(own.every(({ state }) => state === "queued" || state === "running"));
    gate.open();
    assert.deepEqual(new Set(await Promise.all(own)), new Set([0]));
    await first;
  },
  { workers: 2 },
);

pinning.it(
  "nothing starves: a stream of one kind leaves room for the other",
  async () => {
    await using pool = await AsyncPool.open(2);
    let isOver = false;
    const view = pool.with({ worker: 1 });
    const stream = async (next: () => PromiseLike<unknown>) => {
      while (!isOver) await next();
    };
    const streams = numbers(20).flatMap((i) => [
      stream(() => view.async(square, i)),
      stream(() => pool.async(square, i)),
    ]);
    for (let i = 0; i < 20; i++) {
      assert.equal(await view.async(place), 1);
      await pool.async(place);
      assert.deepEqual(await pool.each(place), [0, 1]);
    }
    isOver = true;
    await Promise.all(streams);
  },
  { workers: 2 },
);

pinning.it("each comes before what waits, also what is pinned and urgent", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { priority: 3 });
  await pool.async(taken);
  const first = pool.async(passGate, gate.path);
  await gate.reached();
  const urgent = pool.with({ worker: 0, priority: -1e9 }).async(note, "urgent");
  const each = pool.each(note, "each");
  gate.open();
  await Promise.all([first, urgent, each]);
  assert.deepEqual(await pool.async(taken), ["each", "urgent"]);
});

pinning.it("is cancelled, times out and aborts as any other", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const first = pool.with({ worker: 0 }).async(passGate, gate.path);
  await gate.reached();
  const { signal } = new AbortController();
  const controller = new AbortController();
  const queued = pool.with({ worker: 0, signal }).async(place);
  const aborted = pool.with({ worker: 0, signal: controller.signal }).async(place);
  assert.ok(queued.cancel());
  controller.abort("reason");
  assert.equal(await aborted.get().catch((error) => error), "reason");
  gate.open();
  await first;
  const late = pool.with({ worker: 0, timeout: 20 }).async(stuck.wander);
  assert.equal((await late.get().catch((error) => error)).code, "BSYNC_TIMEOUT");
  assert.equal(await pool.with({ worker: 0 }).async(place), 0);
});

pinning.itPerSize(
  "stays its own when the worker is replaced",
  async (place) => {
    const { workers } = place;
    await using pool = await AsyncPool.open(workersOf(place, workers));
    const worker = workers - 1;
    const { pid } = pool.workers[worker]!;
    const view = pool.with({ worker });
    const exits = view.async(() => process.exit(3));
    const own = numbers(20).map(() => view.async(() => [taskContext().worker, process.pid]));
    assert.equal((await exits.get().catch((error) => error)).worker, worker);
    for (const [index, now] of await Promise.all(own)) {
      assert.equal(index, worker);
      assert.notEqual(now, pid);
    }
    const again = pool.with({ worker, retries: 2 });
    const attempts = await again.async(() => {
      if (taskContext().attempt < 3) process.exit(1);
      return [taskContext().worker, taskContext().attempt];
    });
    assert.deepEqual(attempts, [worker, 3]);
  },
  { processes: true, workers: 2 },
);

pinning.it(
  "maxTasksPerWorker: the one that takes its place goes on with them",
  async () => {
    await using pool = await AsyncPool.open(2, { maxTasksPerWorker: 3 });
    const view = pool.with({ worker: 1 });
    const seen = numbers(10).map(() => view.async(() => [taskContext().worker, process.pid]));
    const found = await Promise.all(seen);
    assert.deepEqual(new Set(found.map(([index]) => index)), new Set([1]));
    assert.equal(new Set(found.map(([, pid]) => pid)).size, 4);
  },
  { processes: true, workers: 2 },
);

pinning.it("close waits for those that wait, terminate cancels them", async () => {
  const pool = await AsyncPool.open(1);
  const view = pool.with({ worker: 0 });
  const own = numbers(10).map((i) => view.async(stuck.rest, i % 3));
  await pool.close();
  assert.ok(own.every(({ state }) => state === "done"));
  const other = await AsyncPool.open(1);
  const running = other.with({ worker: 0 }).async(stuck.wander);
  const queued = numbers(10).map(() => other.with({ worker: 0 }).async(square, 1));
  await other.terminate();
  assert.ok([running, ...queued].every(({ state }) => state === "cancelled"));
});
