import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AsyncPool, BsyncError, CancelledError, PoolClosedError } from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { blockAtGate, Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

export const closing = new Subject("closing");

function loopBehind(path: string): void {
  writeFileSync(join(path, "reached-0"), "");
  for (;;);
}

closing.itPerSize("close waits for all that was submitted", async ({ workers }) => {
  const pool = await AsyncPool.open(workers);
  const handles = numbers(50).map((i) =>
    i % 2 ? pool.async(stuck.rest, 2) : pool.async(square, i),
  );
  await pool.close();
  assert.ok(handles.every(({ state }) => state === "done"));
  assert.equal(await handles[4], 16);
});

closing.it("close waits for failures and cancelled ones, too", async () => {
  const pool = await AsyncPool.open(1);
  const handles = [pool.async("JSON.parse", "{"), pool.async(stuck.wander), pool.async(square, 3)];
  handles[1]!.cancel();
  await pool.close();
  assert.deepEqual(
    handles.map(({ state }) => state),
    ["failed", "cancelled", "done"],
  );
});

closing.it("after close every way to submit is a PoolClosedError", async () => {
  const pool = await AsyncPool.open(1);
  const view = pool.with({ priority: 1 });
  await pool.close();
  const error = { name: "PoolClosedError", code: "BSYNC_POOL_CLOSED" };
  assert.throws(() => pool.async(square, 1), error);
  assert.throws(() => pool.async("Math.hypot", 1), error);
  assert.throws(() => view.async(square, 1), error);
  assert.throws(() => pool.with({ timeout: 1 }).async(square, 1), error);
  const problem = await failure(pool.each(square, 1), PoolClosedError);
  assert.ok(problem instanceof BsyncError);
});

closing.it("a closing pool takes no more, and finishes what it has", async () => {
  using gate = new Gate();
  const pool = await AsyncPool.open(1);
  const first = pool.async(passGate, gate.path, "first");
  const second = pool.async(square, 3);
  const closed = pool.close();
  assert.throws(() => pool.async(square, 1), PoolClosedError);
  gate.open();
  await closed;
  assert.deepEqual([await first, await second], ["first", 9]);
});

closing.it("close may be called again, by anyone, at the same time", async () => {
  const pool = await AsyncPool.open(1);
  const handle = pool.async(stuck.rest, 10);
  await Promise.all([pool.close(), pool.close(), pool[Symbol.asyncDispose]()]);
  await pool.close();
  assert.equal(await handle, "rested");
});

closing.itPerSize("close of a pool that did nothing", async ({ workers }) => {
  const pool = await AsyncPool.open(workers);
  await pool.close();
});

closing.it("terminate after close, and close after terminate", async () => {
  const one = await AsyncPool.open(1);
  await one.close();
  await one.terminate();
  await one.close();
  const two = await AsyncPool.open(1);
  await two.terminate();
  await two.close();
  await two.terminate("again");
  assert.throws(() => two.async(square, 1), PoolClosedError);
});

closing.it("terminate ends a close that waits", async () => {
  const pool = await AsyncPool.open(1);
  const handle = pool.async(stuck.never);
  const closed = pool.close();
  await pool.terminate();
  await closed;
  await failure(handle, CancelledError);
});

closing.it(
  "terminate settles what is queued and what runs, the reason being the cause",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(1);
    const running = pool.async(passGate, gate.path);
    await gate.reached();
    const queued = numbers(20).map((i) => pool.async(square, i));
    const reason = new Error("the end");
    const waiting = failure(running, CancelledError);
    await pool.terminate(reason);
    assert.equal((await waiting).cause, reason);
    for (const handle of queued) {
      assert.equal(handle.state, "cancelled");
      assert.equal((await failure(handle, CancelledError)).cause, reason);
    }
    assert.throws(() => pool.async(square, 1), PoolClosedError);
  },
);

closing.it("terminate keeps what was settled before", async () => {
  const pool = await AsyncPool.open(1);
  const done = pool.async(square, 3);
  const bad = pool.async("JSON.parse", "{");
  await Promise.allSettled([done, bad]);
  await pool.terminate();
  assert.equal(await done, 9);
  await failure(bad, SyntaxError);
});

closing.it("terminate twice at the same time", async () => {
  const pool = await AsyncPool.open(1);
  const handle = pool.async(stuck.never);
  await Promise.all([pool.terminate("one"), pool.terminate("two")]);
  assert.equal((await failure(handle, CancelledError)).cause, "one");
});

closing.it("terminate while a worker is in a synchronous wait", async () => {
  using gate = new Gate();
  const pool = await AsyncPool.open(1);
  const running = pool.async(blockAtGate, gate.path);
  await gate.reached();
  await pool.terminate();
  await failure(running, CancelledError);
});

closing.it(
  "terminate while a worker is in an endless loop",
  async () => {
    const pool = await AsyncPool.open(2);
    const pids = pool.workers.map(({ pid }) => pid);
    using gate = new Gate();
    const running = pool.async(loopBehind, gate.path);
    await gate.reached();
    await pool.terminate();
    await failure(running, CancelledError);
    await until("the workers to go", () => !pids.some((pid) => existsSync(`/proc/${pid}`)));
  },
  { processes: true, workers: 2 },
);

closing.it("after close the local workers are gone", async () => {
  for (const end of ["close", "terminate"] as const) {
    const pool = await AsyncPool.open(2, { mpi: false });
    const pids = pool.workers.map(({ pid }) => pid);
    await pool[end]();
    await until(`gone after ${end}`, () => !pids.some((pid) => existsSync(`/proc/${pid}`)), 1_000);
  }
});

closing.itPerSize(
  "after close the ranks wait for the next pool, as the same processes",
  async ({ workers }) => {
    const pids = () => process.pid;
    const one = await AsyncPool.open(workers);
    const before = await one.each(pids);
    await one.close();
    const two = await AsyncPool.open(workers);
    assert.deepEqual(await two.each(pids), before);
    await two.terminate();
    await using three = await AsyncPool.open(workers);
    assert.deepEqual(await three.each(pids), before);
  },
  { processes: false },
);

closing.itPerSize(
  "a pool opened right after terminate is not disturbed by what ran",
  async ({ workers }) => {
    const old = await AsyncPool.open(workers);
    numbers(workers).forEach(() => old.async(stuck.rest, 100));
    await new Promise((resolve) => setTimeout(resolve, 10));
    await old.terminate();
    await using pool = await AsyncPool.open(workers);
    assert.deepEqual(
      await Promise.all(numbers(100).map((i) => pool.async(square, i))),
      numbers(100).map(square),
    );
    await new Promise((resolve) => setTimeout(resolve, 120));
    assert.equal(await pool.async(square, 3), 9);
  },
);

closing.it("await using closes, at the end of the block and when it throws", async () => {
  let kept: AsyncPool | undefined;
  const block = async () => {
    await using pool = await AsyncPool.open(1);
    kept = pool;
    const handle = pool.async(stuck.rest, 10);
    throw Object.assign(new RangeError("out of the block"), { handle });
  };
  const error = await failure(block(), RangeError);
  assert.equal((Reflect.get(error, "handle") as { state: string }).state, "done");
  assert.throws(() => kept?.async(square, 1), PoolClosedError);
});

closing.it("results can be had after the pool is closed", async () => {
  const pool = await AsyncPool.open(1);
  const [good, bad] = [pool.async(square, 3), pool.async("JSON.parse", "{")];
  await pool.close();
  assert.deepEqual([await good.get(), await good, good.ready(), good.worker], [9, 9, true, 0]);
  await failure(bad, SyntaxError);
  assert.equal(good.cancel(), false);
});

closing.itPerSize("after close and after terminate every worker is gone", async ({ workers }) => {
  const gone = Array.from({ length: workers }, () => "gone");
  const states = (pool: AsyncPool) => pool.workers.map(({ state }) => state);
  const closed = await AsyncPool.open(workers);
  await closed.async(square, 2);
  await closed.close();
  assert.deepEqual([states(closed), closed.size], [gone, workers]);
  using gate = new Gate();
  const terminated = await AsyncPool.open(workers);
  const running = terminated.async(passGate, gate.path);
  await gate.reached();
  terminated.async(square, 2);
  await terminated.terminate();
  assert.deepEqual(states(terminated), gone);
  await failure(running, CancelledError);
  await terminated.close();
  assert.deepEqual([states(terminated), terminated.size], [gone, workers]);
});
