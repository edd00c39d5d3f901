import {
  AsyncPool,
  BsyncError,
  CancelledError,
  taskContext,
  TimeoutError,
} from "../../../index.ts";
import { assert, failure, thrownBy, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** The option `retryOn`. */
export const retrying = new Subject("retrying");

/** Fails in each attempt before `from`. */
function failBefore(from: number): number {
  const { attempt } = taskContext();
  if (attempt < from) throw new RangeError(`attempt ${attempt}`);
  return attempt;
}

async function wanderBefore(from: number): Promise<number> {
  const { attempt } = taskContext();
  if (attempt < from) await stuck.wander();
  return attempt;
}

const again = () => true;

retrying.it("is asked for each failure, as long as retries are left", async () => {
  await using pool = await AsyncPool.open(1);
  const asked: unknown[] = [];
  const view = pool.with({
    retries: 2,
    retryOn: (error, attempt) => {
      asked.push([(error as Error).name, (error as Error).message, attempt]);
      return true;
    },
  });
  assert.equal(await view.async(failBefore, 3), 3);
  assert.deepEqual(asked.splice(0), [
    ["RangeError", "attempt 1", 1],
    ["RangeError", "attempt 2", 2],
  ]);
  const error = await failure(view.async(failBefore, 4), RangeError);
  assert.equal(error.message, "attempt 3");
  assert.equal(asked.splice(0).length, 2);
  assert.equal(await view.async(failBefore, 1), 1);
  await failure(pool.with({ retryOn: again }).async(failBefore, 2), RangeError);
  await failure(pool.with({ retries: 3 }).async(failBefore, 2), RangeError);
  assert.deepEqual(asked, []);
});

retrying.it("false fails the task with its own error", async () => {
  await using pool = await AsyncPool.open(1);
  const view = pool.with({ retries: 9, retryOn: (_, attempt) => attempt < 3 });
  assert.equal((await failure(view.async(failBefore, 9), RangeError)).message, "attempt 3");
});

retrying.it("a number starts it again after that many ms", async () => {
  await using pool = await AsyncPool.open(1);
  const times: number[] = [];
  const retryOn = () => {
    times.push(performance.now());
    return 30;
  };
  assert.equal(await pool.with({ retries: 3, retryOn }).async(failBefore, 3), 3);
  assert.ok(performance.now() - times[1]! >= 29 && times[1]! - times[0]! >= 29, String(times));
  for (const ms of [0, 0.5, 1e-9]) {
    const view = pool.with({ retries: 1, retryOn: () => ms });
    assert.equal(await view.async(failBefore, 2), 2);
  }
});

retrying.it("also where the caller blocks the thread", async () => {
  await using pool = await AsyncPool.open(1);
  for (const answer of [true, 5]) {
    const view = pool.with({ retries: 3, retryOn: () => answer });
    assert.equal(view.async(failBefore, 3).getSync(), 3);
    const polled = view.async(failBefore, 2);
    while (!polled.ready()) Bun.sleepSync(1);
    assert.equal(polled.getSync(), 2);
  }
  const never = pool.with({ retries: 1, retryOn: () => false }).async(failBefore, 3);
  assert.throws(() => never.getSync(), RangeError);
});

retrying.it("a task that timed out is one that failed", async () => {
  await using pool = await AsyncPool.open(1);
  const seen: unknown[] = [];
  const retryOn = (error: unknown) => (seen.push(error), error instanceof TimeoutError);
  // A busy machine may keep a worker from the last attempt, too.
  const view = pool.with({ timeout: 30, retries: 50, retryOn });
  const attempt = await view.async(wanderBefore, 3);
  assert.ok(attempt >= 3 && seen.length === attempt - 1, `${attempt}, ${seen.length}`);
  assert.ok(seen.every((error) => error instanceof TimeoutError));
});

retrying.it(
  "one whose worker does not answer starts again elsewhere, and its late answer is dropped",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2);
    await pool.each(square, 1);
    // A busy machine may keep a worker from an attempt that is short.
    const view = pool.with({ timeout: 30, retries: 50, retryOn: again });
    // Holds the thread where no timeout reaches, in its first attempt.
    const handle = view.async(async (ms: number) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (taskContext().attempt === 1) Bun.sleepSync(ms);
      return [taskContext().attempt, taskContext().worker];
    }, 300);
    const [attempt, worker] = await handle;
    assert.ok(attempt! > 1 && worker === handle.worker, `${attempt}, ${worker}`);
    const others = numbers(10).map((i) => pool.async(square, i));
    assert.deepEqual(
      await Promise.all(others),
      numbers(10).map((i) => i * i),
    );
    assert.deepEqual(await pool.each(square, 3), [9, 9]);
    assert.deepEqual(await handle, [attempt, worker]);
  },
  { workers: 2 },
);

retrying.it("meanwhile the task is queued: it can be cancelled, and its signal works", async () => {
  await using pool = await AsyncPool.open(1);
  let isAsked = false;
  const retryOn = () => (isAsked = true) && 3_600_000;
  const controller = new AbortController();
  const view = pool.with({ retries: 5, retryOn, signal: controller.signal });
  const handles = [view.async(failBefore, 9), view.async(failBefore, 9)];
  await until("it to fail", () => isAsked);
  await until("the other to fail", async () => (await pool.async(square, 3)) === 9);
  const [first, second] = handles as [(typeof handles)[0], (typeof handles)[0]];
  assert.deepEqual([first.state, first.worker, first.ready()], ["queued", null, false]);
  assert.ok(first.cancel("no more"));
  assert.equal((await failure(first, CancelledError)).cause, "no more");
  controller.abort("stop");
  assert.equal(await thrownBy(second), "stop");
  assert.deepEqual([first.cancel(), second.cancel()], [false, false]);
});

retrying.it(
  "it counts as pending: close, idle and the end of the program wait for it",
  async () => {
    const pool = await AsyncPool.open(1);
    const view = pool.with({ retries: 1, retryOn: () => 20 });
    const first = view.async(failBefore, 2);
    await pool.idle();
    assert.equal(first.state, "done");
    const second = view.async(failBefore, 2);
    await pool.close();
    assert.deepEqual([second.state, second.getSync()], ["done", 2]);
  },
);

retrying.it("terminate settles what waits to start again", async () => {
  const pool = await AsyncPool.open(1);
  let isAsked = false;
  const retryOn = () => (isAsked = true) && 3_600_000;
  const handle = pool.with({ retries: 1, retryOn }).async(failBefore, 2);
  await until("it to fail", () => isAsked);
  await pool.terminate("over");
  assert.equal((await failure(handle, CancelledError)).cause, "over");
});

retrying.it("it counts for queueLimit", async () => {
  await using pool = await AsyncPool.open(1, { queueLimit: 1 });
  let isAsked = false;
  const retryOn = () => (isAsked = true) && 3_600_000;
  const handle = pool.with({ retries: 1, retryOn }).async(failBefore, 2);
  await until("it to fail", () => isAsked);
  assert.equal(await pool.async(square, 2), 4);
  using gate = new Gate();
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  assert.throws(() => pool.async(square, 2), { name: "QueueFullError" });
  const room = pool.room();
  handle.cancel();
  await room;
  gate.open();
  assert.deepEqual([await running, await pool.async(square, 2)], [undefined, 4]);
});

retrying.it("a task has its old place again", async () => {
  await using pool = await AsyncPool.open(1);
  const ended: number[] = [];
  const view = pool.with({ retries: 1, retryOn: again });
  const first = view.async(failBefore, 2).finally(() => ended.push(0));
  const others = numbers(20, 1).map((i) => pool.async(stuck.rest, 1).finally(() => ended.push(i)));
  await Promise.all([first, ...others]);
  assert.ok(ended.indexOf(0) <= 2, String(ended));
});

retrying.it("of calls that share a view, each has its own attempts", async () => {
  await using pool = await AsyncPool.open(1);
  const view = pool.with({ retries: 4, retryOn: (_, attempt) => attempt % 2 === 1 || 1 });
  const handles = numbers(200).map((i) => view.async(failBefore, 1 + (i % 5)));
  assert.deepEqual(
    await Promise.all(handles),
    numbers(200).map((i) => 1 + (i % 5)),
  );
});

retrying.it(
  "an answer that is none, or an error of its own, fails the task and says so",
  async () => {
    await using pool = await AsyncPool.open(1);
    const wrong: [() => unknown, RegExp][] = [
      [() => undefined, /retryOn has returned undefined; let it return/],
      [() => null, /returned null/],
      [() => "yes", /returned "yes"/],
      [() => -1, /returned -1/],
      [() => NaN, /returned NaN/],
      [() => Infinity, /returned Infinity/],
      [async () => true, /returned Promise/],
      [() => ({}), /returned \{\}/],
      [
        () => {
          throw new TypeError("of retryOn");
        },
        /retryOn has thrown TypeError: of retryOn/,
      ],
    ];
    for (const [retryOn, message] of wrong) {
      const handle = pool.with({ retries: 2, retryOn: retryOn as never }).async(failBefore, 2);
      const error = await failure(handle, BsyncError);
      assert.match(error.message, message);
      assert.match(error.message, /^Cannot start task \d+ \(failBefore\) again/);
      assert.ok(error.cause instanceof RangeError && error.cause.message === "attempt 1");
      assert.equal(handle.state, "failed");
    }
    for (const retryOn of [true, 1, null, "yes", {}]) {
      assert.throws(() => pool.with({ retryOn: retryOn as never }), { name: "TypeError" });
    }
    assert.equal(await pool.async(square, 3), 9);
  },
);

retrying.it("may use the pool: submit, cancel the task itself, close, terminate", async () => {
  for (const deed of ["submit", "cancel", "close", "terminate"] as const) {
    const pool = await AsyncPool.open(1);
    const made: PromiseLike<unknown>[] = [];
    const view = pool.with({
      retries: 3,
      retryOn: () => {
        if (deed === "submit") made.push(pool.async(square, 4));
        if (deed === "cancel") assert.ok(handle.cancel());
        if (deed === "close") made.push(pool.close());
        if (deed === "terminate") made.push(pool.terminate());
        return true;
      },
    });
    const handle = view.async(failBefore, 2);
    if (deed === "submit" || deed === "close") assert.equal(await handle, 2);
    else await failure(handle, CancelledError);
    assert.deepEqual(await Promise.all(made), deed === "submit" ? [16] : made.map(() => undefined));
    await pool.close();
  }
});

retrying.it(
  "workers that are lost are retried by `retries` alone, from the same account",
  async () => {
    await using pool = await AsyncPool.open(1);
    const asked: number[] = [];
    const retryOn = (_: unknown, attempt: number) => asked.push(attempt) > 0;
    const mixed = (deaths: number, failures: number) => {
      const { attempt } = taskContext();
      if (attempt <= deaths) process.exit(5);
      if (attempt <= deaths + failures) throw new RangeError(`attempt ${attempt}`);
      return attempt;
    };
    const view = pool.with({ retries: 3, retryOn });
    assert.equal(await view.async(mixed, 2, 1), 4);
    assert.deepEqual(asked.splice(0), [3]);
    assert.equal((await failure(view.async(mixed, 2, 2), RangeError)).message, "attempt 4");
    assert.deepEqual(asked.splice(0), [3]);
    const error = await failure(view.async(mixed, 9, 0), BsyncError);
    assert.equal(error.code, "BSYNC_WORKER_LOST");
    assert.match(error.message, /in attempt 4/);
    assert.deepEqual(asked, []);
  },
  { processes: true },
);
