import { dlopen } from "bun:ffi";
import { readdirSync } from "node:fs";
import {
  AsyncPool,
  BsyncError,
  type MessageHandle,
  TimeoutError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, thrownBy, timed, timesOutBegun } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { blockAtGateLater, Gate, passGate } from "../gate.ts";

export const timeouts = new Subject("timeouts");

/** Fails with TimeoutError, alone; the next task runs, on this worker or on the one in its place. */
async function failsAlone(
  fn: (...args: never[]) => unknown,
  args: unknown[],
  timeout: number,
): Promise<void> {
  await using pool = await AsyncPool.open(1);
  await pool.async(square, 1);
  let bad: MessageHandle<unknown> | undefined;
  const ms = await timed(async () => {
    bad = pool.with({ timeout }).async(fn as () => unknown, ...(args as []));
    const behind = Array.from({ length: 5 }, (_, i) => pool.async(square, i));
    const error = await failure(bad, TimeoutError);
    assert.equal(error.code, "BSYNC_TIMEOUT");
    assert.ok(error instanceof BsyncError);
    assert.match(error.message, new RegExp(`\\b${timeout} ms`));
    assert.deepEqual(await Promise.all(behind), [0, 1, 4, 9, 16]);
  });
  assert.equal(bad?.state, "failed");
  assert.ok(ms >= timeout - 1, `it took ${ms} ms`);
}

timeouts.it("an endless loop, 50 ms", () => failsAlone(stuck.loop, [], 50));

timeouts.it("an endless loop that catches everything, 50 ms", () =>
  failsAlone(stuck.loopCatching, [], 50),
);

timeouts.it("an endless loop, inline, 50 ms", () =>
  failsAlone(
    () => {
      for (;;);
    },
    [],
    50,
  ),
);

timeouts.it("an await that never ends, 50 ms", () => failsAlone(stuck.never, [], 50));

timeouts.it("an async loop that never ends, 50 ms", () => failsAlone(stuck.wander, [], 50));

timeouts.it("a catastrophic regular expression, 50 ms", () => failsAlone(stuck.backtrack, [], 50));

timeouts.it("a synchronous wait, 50 ms", () => failsAlone(stuck.block, [400], 50));

timeouts.it("an event loop blocked after an await, 50 ms", () =>
  failsAlone(stuck.blockLater, [400], 50),
);

timeouts.it("an endless loop after an await, 50 ms", () => failsAlone(stuck.loopLater, [], 50), {
  processes: true,
});

timeouts.it(
  "a loop of microtasks that starves all timers, 50 ms",
  () => failsAlone(stuck.spinMicrotasks, [], 50),
  { processes: true },
);

timeouts.it("an endless loop, 5 s", () => failsAlone(stuck.loop, [], 5_000), {
  slow: true,
});

timeouts.it("the task that waits for a worker of another that is stuck goes on", async () => {
  await using pool = await AsyncPool.open(1);
  const { pid } = pool.workers[0]!;
  await failure(pool.with({ timeout: 50 }).async(stuck.loop), TimeoutError);
  // What can be interrupted costs no process.
  assert.equal(await pool.async(() => process.pid), pid);
});

timeouts.it(
  "a process that stays stuck is replaced by another, at the same place",
  async () => {
    await using pool = await AsyncPool.open(1);
    const { pid } = pool.workers[0]!;
    const bad = pool.with({ timeout: 50 }).async(stuck.loopLater);
    await failure(bad, TimeoutError);
    const next = pool.async(() => process.pid);
    assert.notEqual(await next, pid);
    assert.deepEqual([pool.size, pool.workers[0]!.index, next.worker], [1, 0, 0]);
    assert.equal(pool.workers[0]!.pid, await next);
  },
  { processes: true },
);

function endSlowly(): void {
  process.on("exit", () => Bun.sleepSync(5));
  process.on("exit", () => {
    for (const end = performance.now() + 200; performance.now() < end;);
  });
  process.exit(3);
}

timeouts.it(
  "a process whose time is over while it comes to its end ends nevertheless",
  async () => {
    await using pool = await AsyncPool.open(1);
    const { pid } = pool.workers[0]!;
    const error = await thrownBy(pool.with({ timeout: 50 }).async(endSlowly));
    assert.ok(error instanceof TimeoutError || error instanceof WorkerLostError, String(error));
    assert.notEqual(await pool.async(() => process.pid), pid);
  },
  { processes: true },
);

timeouts.itPerSize(
  "a rank that is stuck is set aside until it answers",
  async ({ workers }) => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(workers);
    let bad!: MessageHandle<unknown>;
    await timesOutBegun(
      (timeout) => (bad = pool.with({ timeout }).async(blockAtGateLater, gate.path)),
      () => readdirSync(gate.path).length > 0,
    );
    const others = Array.from({ length: 20 }, () => pool.async(stuck.rest, 2));
    await Promise.all(others);
    assert.ok(others.every(({ worker }) => worker !== bad.worker));
    gate.open();
    assert.equal((await pool.each(square, 2)).length, workers);
  },
  { processes: false, workers: 2 },
);

timeouts.it("time counts from the start of the function, not from its submission", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const first = pool.async(passGate, gate.path, "first");
  const timed = pool.with({ timeout: 400 }).async(square, 3);
  await gate.reached();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(timed.state, "queued");
  gate.open();
  assert.equal(await timed, 9);
  assert.equal(await first, "first");
});

/** Takes longer to be sent than the calls that return it have time for. */
let large: Uint8Array | null = null;

function makeLarge(): void {
  large = new Uint8Array(200_000_000);
}

function returnLarge(): Uint8Array | null {
  return large;
}

async function returnLargeLater(): Promise<Uint8Array | null> {
  return await Promise.resolve(large);
}

timeouts.it(
  "time counts to the end of the function, not to the arrival of its result",
  async () => {
    await using pool = await AsyncPool.open(1);
    const [pid] = await pool.each(() => process.pid);
    // On a busy machine that takes longer than the timeout.
    await pool.each(makeLarge);
    for (const fn of [returnLarge, returnLargeLater]) {
      const result = await pool.with({ timeout: 100 }).async(fn);
      assert.equal(result?.length, 200_000_000);
    }
    assert.deepEqual(await pool.each(() => process.pid), [pid]);
  },
  { slow: true },
);

timeouts.it("a program that is busy while the result arrives gets it", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const timeout = 500;
  const handle = pool.with({ timeout }).async(passGate, gate.path, "in time");
  await gate.reached();
  gate.open();
  Bun.sleepSync(2 * timeout);
  assert.equal(await handle, "in time");
});

/** Outlives its timeout in ways of its own, and then does as if nothing had been. */
const LATE: Readonly<Record<string, (ms: number) => unknown>> = {
  "it returns": (ms) => Bun.sleepSync(ms),
  "it throws": (ms) => {
    Bun.sleepSync(ms);
    throw new RangeError("late");
  },
  "its promise is kept": async (ms) => {
    await Promise.resolve();
    Bun.sleepSync(ms);
    return "late";
  },
  "its promise is broken": async (ms) => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    Bun.sleepSync(ms);
    throw new RangeError("late");
  },
  "it returns a promise": (ms) => {
    Bun.sleepSync(ms);
    return Promise.reject(new RangeError("late"));
  },
  "it returns what has a then": (ms) => ({
    then(resolve: (value: string) => void) {
      Bun.sleepSync(ms);
      resolve("late");
    },
  }),
  "its result is read": (ms) => ({
    get value() {
      Bun.sleepSync(ms);
      return 1;
    },
  }),
  "its error is read": (ms) => {
    const error = new RangeError("late");
    throw Object.defineProperty(error, "code", {
      enumerable: true,
      get: () => Bun.sleepSync(ms),
    });
  },
  "it computes": (ms) => {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
};

function runLate(way: string, ms: number): unknown {
  return LATE[way]!(ms);
}

for (const way of Object.keys(LATE)) {
  timeouts.it(`time is over when ${way} a few ms late`, async () => {
    await using pool = await AsyncPool.open(1);
    await pool
      .async(runLate, way, 0)
      .get({ reraise: false })
      .catch(() => {});
    for (const timeout of [0.1, 1, 5]) {
      for (const ms of [timeout + 1, timeout + 8]) {
        const bad = pool.with({ timeout }).async(runLate, way, ms);
        const error = await failure(bad, TimeoutError);
        assert.match(error.message, new RegExp(`\\b${timeout} ms`));
      }
    }
    assert.equal(await pool.async(square, 3), 9);
  });
}

/** Of a function whose time is over only what it has returned in time is told, by its own clock. */
timeouts.it("of lengths about the timeout, none is told that was longer", async () => {
  await using pool = await AsyncPool.open(1);
  for (const timeout of [0.1, 1, 5]) {
    for (let i = 0; i < 20; i++) {
      const ran = await pool
        .with({ timeout })
        .async(spin, (timeout * i) / 10)
        .get()
        .catch((error: unknown) => error);
      assert.ok(ran instanceof TimeoutError || (ran as number) <= timeout, `${String(ran)} ms`);
    }
  }
});

function spin(ms: number): number {
  const start = performance.now();
  while (performance.now() < start + ms);
  return performance.now() - start;
}

/**
 * Sleeps in a call of the system's, which the signal that interrupts the engine ends early. Another
 * signal, such as wakes a rank, may end it before `ms` are over; then it sleeps on.
 */
function sleepInSystem(ms: number): number {
  const { symbols } = dlopen("libc.so.6", { sleep: { args: ["u32"], returns: "u32" } });
  const end = performance.now() + ms;
  let left = symbols.sleep(2);
  while (performance.now() < end) left = symbols.sleep(2);
  return left;
}

timeouts.it("a call of the system that the timeout cuts short has timed out", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(square, 1);
  for (let i = 0; i < 3; i++) {
    await failure(pool.with({ timeout: 100 }).async(sleepInSystem, 90), TimeoutError);
  }
  assert.equal(await pool.async(square, 3), 9);
});

timeouts.it("one that is not reached changes nothing", async () => {
  await using pool = await AsyncPool.open(1);
  const view = pool.with({ timeout: 5_000 });
  assert.equal(await view.async(square, 3), 9);
  assert.equal(await view.async(stuck.rest, 5), "rested");
  await failure(view.async("JSON.parse", "{"), SyntaxError);
  assert.equal(await view.async(square, 4), 16);
});

timeouts.it("one that is very long does not end at once", async () => {
  await using pool = await AsyncPool.open(1);
  for (const timeout of [2 ** 31 - 1, 2 ** 31, 2 ** 32, 1e12, 1e300, Infinity]) {
    assert.equal(await pool.with({ timeout }).async(stuck.rest, 5), "rested");
    assert.equal(await pool.with({ timeout }).async(square, 3), 9);
  }
});

timeouts.it("fractions of a millisecond, and none at all", async () => {
  await using pool = await AsyncPool.open(1);
  for (const timeout of [0.5, 0.001, 7.25]) {
    await failure(pool.with({ timeout }).async(stuck.loop), TimeoutError);
    await failure(pool.with({ timeout }).async(stuck.wander), TimeoutError);
  }
  await failure(pool.with({ timeout: 0 }).async(stuck.wander), TimeoutError);
  assert.equal(await pool.async(square, 3), 9);
});

timeouts.it("of the pool, for every task; of a view, for its own", async () => {
  await using pool = await AsyncPool.open(1, { timeout: 250 });
  await failure(pool.async(stuck.loop), TimeoutError);
  assert.equal(await pool.async(square, 3), 9);
  assert.equal(await pool.with({ timeout: 5_000 }).async(stuck.rest, 400), "rested");
  await failure(pool.with({ priority: 1 }).async(stuck.never), TimeoutError);
});

timeouts.itPerSize("of each on all workers at once", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers, { timeout: 100 });
  await failure(pool.each(stuck.wander), TimeoutError);
  assert.equal((await pool.each(square, 2)).length, workers);
});

timeouts.itPerSize("many tasks, many timeouts, each on its own", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  // A machine that is busy may keep even a short call from its core for a while.
  const ample = pool.with({ timeout: 10_000 });
  const handles = Array.from({ length: 20 }, (_, i) =>
    i % 4 === 0 ? pool.with({ timeout: 20 + i }).async(stuck.wander) : ample.async(square, i),
  );
  const settled = await Promise.allSettled(handles);
  for (const [i, result] of settled.entries()) {
    assert.equal(result.status, i % 4 === 0 ? "rejected" : "fulfilled", `task ${i}`);
    if (result.status === "rejected") assert.ok(result.reason instanceof TimeoutError);
    else assert.equal(result.value, i * i);
  }
});

timeouts.it("the late end of an abandoned task is nobody else's result", async () => {
  await using pool = await AsyncPool.open(1);
  await failure(pool.with({ timeout: 20 }).async(stuck.rest, 60), TimeoutError);
  assert.deepEqual(await Promise.all([1, 2, 3].map((x) => pool.async(square, x))), [1, 4, 9]);
  assert.equal(await pool.async(stuck.rest, 100), "rested");
  assert.equal(await pool.async(square, 3), 9);
});

timeouts.it("what is no number of milliseconds is a TypeError that names it", async () => {
  await using pool = await AsyncPool.open(1);
  for (const timeout of ["1", NaN, -1, null, {}, 1n, true]) {
    assert.throws(() => pool.with({ timeout: timeout as number }), {
      name: "TypeError",
      message: /timeout/,
    });
  }
  assert.equal(await pool.async(square, 3), 9);
});
