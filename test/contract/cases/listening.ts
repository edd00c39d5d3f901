import {
  AsyncPool,
  taskContext,
  type TaskEvent,
  type WorkerEvent,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject, workersOf } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** What a pool tells of each step: `pool.on`. */
export const listening = new Subject("listening");

function failTwice(): number {
  const { attempt } = taskContext();
  if (attempt < 3) throw new RangeError(`attempt ${attempt}`);
  return attempt;
}

function spinFor(ms: number): number {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
}

function exitAtOnce(): never {
  process.exit(3);
}

function odd(x: number): number {
  if (x % 2 === 1) throw new RangeError(`${x}`);
  return x;
}

function heard(pool: AsyncPool): TaskEvent[] {
  const events: TaskEvent[] = [];
  pool.on("task", (event) => events.push(event));
  return events;
}

listening.it("a task: started, and done or failed, in this order, with its times", async () => {
  await using pool = await AsyncPool.open(1);
  const events = heard(pool);
  const before = Date.now();
  const handles = numbers(3).map(() => pool.async(spinFor, 20));
  await Promise.all(handles);
  assert.deepEqual(
    events.map(({ type, id }) => `${type} ${id}`),
    handles.map((handle) => handle.toJSON().task).flatMap((id) => [`started ${id}`, `done ${id}`]),
  );
  for (const { name, worker, attempt, time, error } of events) {
    assert.deepEqual([name, worker, attempt, error], ["spinFor", 0, 1, undefined]);
    assert.ok(time >= before - 1_000 && time <= Date.now() + 1_000, String(time));
  }
  const [first, firstDone, , , last, lastDone] = events;
  assert.equal(first!.run, null);
  const isNear = (a: number | null, b: number | null) => Math.abs(a! - b!) < 0.01;
  assert.ok(isNear(firstDone!.run, handles[0]!.runTime) && first!.wait! >= 0);
  assert.ok(isNear(lastDone!.run, handles[2]!.runTime) && isNear(lastDone!.wait, last!.wait));
  events.length = 0;
  const error = await failure(pool.async(odd, 1), RangeError);
  assert.deepEqual([events[1]!.type, events[1]!.error], ["failed", error]);
  assert.ok(events[1]!.run !== null);
});

listening.it("cancelled: without a worker, or with the one that runs it", async () => {
  await using pool = await AsyncPool.open(1);
  const events = heard(pool);
  using gate = new Gate();
  const held = pool.async(passGate, gate.path);
  await gate.reached();
  const waiting = pool.async(square, 2);
  waiting.cancel("not wanted");
  held.cancel();
  await pool.idle();
  assert.deepEqual(
    events.map(({ type, worker, run, wait }) => [type, worker, run, wait === null]),
    [
      ["started", 0, null, false],
      ["cancelled", null, null, true],
      ["cancelled", 0, null, false],
    ],
  );
  assert.equal((events[1]!.error as Error).name, "CancelledError");
  gate.open();
});

listening.it("retried: with the attempt that was in vain, and its error", async () => {
  await using pool = await AsyncPool.open(1);
  const events = heard(pool);
  for (const retryOn of [() => true, () => 2]) {
    events.length = 0;
    await pool.with({ retries: 2, retryOn }).async(failTwice);
    assert.deepEqual(
      events.map(({ type, attempt, error }) => [type, attempt, (error as Error)?.message ?? null]),
      [
        ["started", 1, null],
        ["retried", 1, "attempt 1"],
        ["started", 2, null],
        ["retried", 2, "attempt 2"],
        ["started", 3, null],
        ["done", 3, null],
      ],
    );
  }
});

listening.itPerSize("each item of a map is told, once", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const events = heard(pool);
  for (const [items, fn] of [
    [numbers(3_000), square],
    [numbers(60), odd],
  ] as const) {
    for (const chunk of [undefined, 7]) {
      events.length = 0;
      await pool.map(fn, items, { settled: true, ...(chunk === undefined ? {} : { chunk }) });
      await pool.idle();
      const open = new Set<number>();
      let ended = 0;
      for (const { type, id, name, worker } of events) {
        assert.ok(name === fn.name && worker !== null && worker < workers);
        if (type === "started") assert.ok(!open.has(id) && open.add(id), `twice ${id}`);
        else {
          assert.ok(open.delete(id), `${type} without a begin: ${id}`);
          ended++;
        }
      }
      assert.deepEqual([ended, open.size], [items.length, 0]);
    }
  }
});

listening.it("several listen, each until it is disposed; wrong ones are refused", async () => {
  await using pool = await AsyncPool.open(1);
  const got: string[] = [];
  {
    using _ = pool.on("task", ({ type }) => got.push(`a ${type}`));
    using __ = pool.on("task", ({ type }) => got.push(`b ${type}`));
    await pool.async(square, 1);
    await pool.idle();
  }
  assert.deepEqual(got.sort(), ["a done", "a started", "b done", "b started"]);
  await pool.async(square, 2);
  assert.equal(got.length, 4);
  assert.throws(() => pool.on("tasks" as "task", () => {}), /"task" and "worker"/);
  assert.throws(() => pool.on("task", null as never), TypeError);
});

listening.it("what a listener calls is no part of what it is told of", async () => {
  await using pool = await AsyncPool.open(1);
  const results: Promise<number>[] = [];
  using _ = pool.on("task", ({ type, id }) => {
    if (type === "done" && id === 1) results.push(pool.async(square, 5).get());
    if (type === "done" && id === 1) results.push(Promise.resolve(pool.async(square, 6).getSync()));
  });
  await pool.async(square, 4);
  await until("the listener has called", () => results.length === 2);
  assert.deepEqual(await Promise.all(results), [25, 36]);
});

listening.it("with several under way each begins once", async () => {
  await using pool = await AsyncPool.open(1, { concurrency: 2 });
  const events = heard(pool);
  using gate = new Gate();
  const held = numbers(3).map((i) => pool.async(passGate, gate.path, i, i));
  await gate.reached(2);
  await until("two have started", () => events.length === 2);
  gate.open();
  await Promise.all(held);
  assert.deepEqual(events.map(({ type }) => type).sort(), [
    ...["done", "done", "done", "started", "started", "started"],
  ]);
});

listening.it(
  "a worker that is lost, replaced, and ready again",
  async (place) => {
    const pool = await AsyncPool.open(1);
    const [before] = pool.workers;
    const events: WorkerEvent[] = [];
    pool.on("worker", (event) => events.push(event));
    await failure(pool.async(exitAtOnce), WorkerLostError);
    assert.equal(await pool.async(square, 3), 9);
    await until("three events", () => events.length === 3);
    assert.deepEqual(
      events.map(({ type }) => type),
      ["lost", "replaced", "ready"],
    );
    const [lost, replaced, ready] = events;
    assert.equal(lost!.pid, before!.pid);
    assert.match(lost!.reason!, /exited with code 3/);
    assert.match(replaced!.reason!, /exited with code 3/);
    assert.equal(ready!.pid, pool.workers[0]!.pid);
    for (const { worker, rank, host } of events) {
      assert.deepEqual([worker, rank, host], [0, workersOf(place, 1)[0], before!.host]);
    }
    await pool.close();
    assert.deepEqual(
      events.map(({ type }) => type),
      ["lost", "replaced", "ready", "gone"],
    );
  },
  { processes: true },
);

listening.itPerSize("at the end each worker is gone, once", async ({ workers }) => {
  for (const end of ["close", "terminate"] as const) {
    const pool = await AsyncPool.open(workers);
    const gone: number[] = [];
    pool.on("worker", ({ type, worker }) => gone.push(type === "gone" ? worker : -1));
    pool.async(square, 1);
    await pool[end]();
    await pool.terminate();
    await Promise.resolve();
    assert.deepEqual(gone.toSorted(), numbers(workers));
  }
});
