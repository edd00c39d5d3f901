import { AsyncPool, CancelledError, PoolClosedError, QueueFullError } from "../../../index.ts";
import { assert, failure } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** `pool.idle` and `pool.room`. */
export const waitingForAll = new Subject("waiting for all", "code");

/** Whether a promise is settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

function fail(): never {
  throw new Error("on purpose");
}

waitingForAll.it("idle: of a pool that does nothing, at once", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.idle();
  await pool.async(square, 2);
  await pool.idle();
});

waitingForAll.it("idle: whatever came of the tasks; later ones do not count", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const handles = [pool.async(square, 3), pool.async(fail), pool.async(square, 4)];
  handles[2]!.cancel();
  const done = pool.idle();
  const later = pool.async(passGate, gate.path, "later");
  await done;
  assert.deepEqual(
    handles.map(({ state }) => state),
    ["done", "failed", "cancelled"],
  );
  assert.ok(later.state === "queued" || later.state === "running");
  const all = pool.idle();
  await gate.reached();
  assert.equal(await isSettled(all), false);
  gate.open();
  await all;
  assert.equal(later.state, "done");
});

waitingForAll.it("idle: many callers, each for what was there", async () => {
  await using pool = await AsyncPool.open(1);
  const waits = numbers(50, 0).map(async (i) => {
    const handle = pool.async(square, i);
    await pool.idle();
    assert.equal(handle.state, "done");
  });
  await Promise.all(waits);
});

waitingForAll.it(
  "idle: asked for while a call is being made, it waits for that call, too",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1);
    const before = pool.async(passGate, gate.path, "before");
    await gate.reached();
    let idle = Promise.resolve();
    const asking = {
      get value() {
        idle = pool.idle();
        return 3;
      },
    };
    const handle = pool.async(({ value }: { value: number }) => value, asking);
    // A call that is made later, and settled before.
    const other = pool.async(square, 2);
    other.cancel();
    handle.cancel();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(await isSettled(idle), false);
    gate.open();
    await idle;
    assert.equal(before.state, "done");
  },
);

waitingForAll.it(
  "idle: callers beyond number, each a task behind the last, cost no more each",
  async () => {
    await using pool = await AsyncPool.open(1);
    const count = 20_000;
    const handles = numbers(count, 0).map((x) => pool.async(square, x));
    let last = -1;
    const waits = numbers(count, 0).map((i) => {
      handles.push(pool.async(square, i));
      return pool.idle().then(() => {
        assert.ok(i > last);
        last = i;
      });
    });
    await Promise.all(waits);
    assert.ok(handles.every(({ state }) => state === "done"));
  },
);

waitingForAll.it("idle: a pool that is terminated", async () => {
  using gate = new Gate();
  const pool = await AsyncPool.open(1);
  const running = pool.async(passGate, gate.path);
  const idle = pool.idle();
  await gate.reached();
  await pool.terminate();
  await idle;
  await failure(running.get(), CancelledError);
  await pool.idle();
});

waitingForAll.it("room: at once without a limit, and where a worker is idle", async () => {
  await using open = await AsyncPool.open(1);
  for (let i = 0; i < 100; i++) void open.async(square, i);
  await open.room();
  await using pool = await AsyncPool.open(1, { queueLimit: 0 });
  await pool.room();
  assert.equal(await pool.async(square, 3), 9);
});

waitingForAll.it("room: as many go on as there are places, in their order", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { queueLimit: 1 });
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  const queued = pool.async(square, 1);
  const order: number[] = [];
  const submitted = numbers(10, 0).map(async (i) => {
    await pool.room();
    order.push(i);
    return await pool.async(square, i);
  });
  assert.throws(() => pool.async(square, 2), QueueFullError);
  assert.deepEqual(order, []);
  queued.cancel();
  // One place: one caller.
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(order, [0]);
  gate.open();
  await running;
  assert.deepEqual(await Promise.all(submitted), numbers(10, 0).map(square));
  assert.deepEqual(order, numbers(10, 0));
});

waitingForAll.it(
  "room: places that come one after another are given to as many callers",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1, { queueLimit: 3 });
    const running = pool.async(passGate, gate.path);
    await gate.reached();
    const queued = numbers(3, 0).map((x) => pool.async(square, x));
    const submitted = numbers(9, 0).map(async (i) => {
      await pool.room();
      return await pool.async(square, i);
    });
    // Nobody who was let go on has submitted by the next one.
    for (const handle of queued) handle.cancel();
    await new Promise((resolve) => setTimeout(resolve, 5));
    gate.open();
    await running;
    assert.deepEqual(await Promise.all(submitted), numbers(9, 0).map(square));
  },
);

waitingForAll.it("room: callers that submit nothing keep nobody waiting", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { queueLimit: 1 });
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  const queued = pool.async(square, 1);
  const all = numbers(10, 0).map(() => pool.room());
  queued.cancel();
  await Promise.all(all);
  gate.open();
  await running;
});

waitingForAll.it("room: a stream that is fed as the pool takes it", async () => {
  await using pool = await AsyncPool.open(1, { queueLimit: 3 });
  const handles = [];
  for (let i = 0; i < 500; i++) {
    await pool.room();
    handles.push(pool.async(square, i));
  }
  assert.deepEqual(await Promise.all(handles), numbers(500, 0).map(square));
});

waitingForAll.it(
  "room: when the pool is closed, everybody goes on, and async says why",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(1, { queueLimit: 0 });
    const running = pool.async(passGate, gate.path, 1);
    await gate.reached();
    const waits = [pool.room(), pool.room()];
    const closing = pool.close();
    await Promise.all(waits);
    assert.throws(() => pool.async(square, 1), PoolClosedError);
    gate.open();
    assert.equal(await running, 1);
    await closing;
    await pool.room();
  },
);
