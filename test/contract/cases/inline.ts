import {
  AsyncPool,
  BsyncError,
  CancelledError,
  getRank,
  type PoolOptions,
  taskContext,
  TimeoutError,
} from "../../../index.ts";
import { assert, failure, same } from "../assert.ts";
import { Subject } from "../case.ts";
import { PaintError } from "../fixtures/failing.ts";
import { square } from "../fixtures/functions.ts";
import { numbers } from "../numbers.ts";

/** Pools whose tasks run in the program's own process. */
export const inline = new Subject("inline");

function open(workers: number, options: PoolOptions = {}): Promise<AsyncPool> {
  return AsyncPool.open(workers, { inline: true, isolate: false, ...options });
}

/** State of this module, which is that of the tasks. */
const seen: unknown[] = [];

function see(value: unknown): unknown {
  seen.push(value);
  return value;
}

async function seeLater(value: unknown): Promise<unknown> {
  await new Promise((resolve) => setImmediate(resolve));
  return see(value);
}

/** A call that ends when it is told to, in this very process. */
class Held {
  readonly #began = Promise.withResolvers<void>();
  readonly #end = Promise.withResolvers<string>();
  /** When the call has begun. */
  readonly began = this.#began.promise;
  readonly run: () => Promise<string>;

  constructor() {
    const [began, end] = [this.#began, this.#end];
    this.run = () => {
      began.resolve();
      return end.promise;
    };
  }

  end(value: string): void {
    this.#end.resolve(value);
  }
}

inline.it(
  "tasks run in the controller's process, each worker under its index",
  async () => {
    await using pool = await open(2);
    const found = await pool.each(() => {
      const { worker, rank } = taskContext();
      return [process.pid, worker, rank, getRank()];
    });
    assert.deepEqual(found, [
      [process.pid, 0, null, 0],
      [process.pid, 1, null, 0],
    ]);
    assert.deepEqual(
      pool.workers.map(({ pid, rank, state }) => [pid, rank, state]),
      [0, 1].map(() => [process.pid, null, "idle"]),
    );
  },
  { workers: 2 },
);

inline.itPerSize("left out: as many workers as without inline", async () => {
  await using pool = await AsyncPool.open(undefined, { inline: true, isolate: false });
  await using other = await AsyncPool.open();
  assert.equal(pool.size, other.size);
});

inline.it("the very function that was given runs, a closure among them", async () => {
  await using pool = await open(1);
  const calls: number[] = [];
  const handles = numbers(3).map((i) => pool.async(() => calls.push(i)));
  await Promise.all(handles);
  assert.deepEqual(calls, [0, 1, 2]);
  assert.equal(
    await pool.async(
      (f: (x: number) => number) => f(3),
      (x: number) => x * calls.length,
    ),
    9,
  );
});

inline.it("no task begins within the call of async", async () => {
  await using pool = await open(1);
  seen.length = 0;
  const handle = pool.async(see, 1);
  assert.deepEqual([seen, handle.state], [[], "running"]);
  await handle;
  assert.deepEqual(seen, [1]);
});

inline.it("in the order of priorities, then of submission", async () => {
  await using pool = await open(1);
  const held = new Held();
  const first = pool.async(held.run);
  await held.began;
  seen.length = 0;
  const handles = [3, 1, 2, 1].map((priority, i) =>
    pool.with({ priority }).async(see, `${priority}${i}`),
  );
  held.end("over");
  await Promise.all([first, ...handles]);
  assert.deepEqual(seen, ["11", "13", "22", "30"]);
});

inline.it("values are copies, arguments and results", async () => {
  await using pool = await open(1);
  const given = { list: [1], big: new Uint8Array(100_000).fill(1) };
  const got = await pool.async((value: typeof given) => {
    value.list.push(2);
    value.big[0] = 9;
    return (seen.push(value), value);
  }, given);
  same(given, { list: [1], big: new Uint8Array(100_000).fill(1) });
  assert.deepEqual([got.list, got.big[0]], [[1, 2], 9]);
  (seen.at(-1) as typeof given).list.push(3);
  (seen.at(-1) as typeof given).big[0] = 4;
  assert.deepEqual([got.list, got.big[0]], [[1, 2], 9]);
});

inline.it(
  "an error arrives as from any worker: a copy of its class, the place in its stack",
  async () => {
    await using pool = await open(1);
    const thrown: Error[] = [];
    const error = await failure(
      pool.async(() => {
        const own = new PaintError({ name: "red" }, []);
        thrown.push(own);
        throw own;
      }),
      PaintError,
    );
    assert.equal(error === thrown[0], false);
    assert.match(error.stack!, /--- task 1: .* on worker 0 \(pid \d+, host .*\) --- \(node:remote/);
  },
);

inline.it(
  "the initializer runs once for each worker",
  async () => {
    seen.length = 0;
    await using pool = await open(2, { initializer: [see, "began"] });
    await pool.async(see, "task");
    assert.deepEqual(seen, ["began", "began", "task"]);
    const error = new RangeError("not today");
    const refused = open(1, {
      initializer: () => {
        throw error;
      },
    });
    assert.equal((await failure(refused, RangeError)).message, "not today");
  },
  { workers: 2 },
);

inline.it(
  "asynchronous tasks of several workers interleave",
  async () => {
    await using pool = await open(2);
    const held = new Held();
    const first = pool.async(held.run);
    await held.began;
    assert.equal(await pool.async(square, 3), 9);
    assert.equal(first.state, "running");
    held.end("over");
    assert.equal(await first, "over");
  },
  { workers: 2 },
);

inline.it("getSync and ready run synchronous tasks", async () => {
  await using pool = await open(1);
  const handles = numbers(50).map((i) => pool.async(square, i));
  assert.equal(handles[49]!.getSync(), 49 * 49);
  assert.deepEqual(new Set(handles.map(({ state }) => state)), new Set(["done"]));
  const other = pool.async(square, 2);
  while (!other.ready()) Bun.sleepSync(1);
  assert.equal(other.getSync(), 4);
});

inline.it("getSync refuses what a blocked thread never ends, and says to await", async () => {
  await using pool = await open(1);
  const later = pool.async(seeLater, 5);
  const behind = pool.async(square, 5);
  for (const handle of [later, behind]) {
    assert.throws(
      () => handle.getSync(),
      (error) => {
        assert.ok(error instanceof BsyncError);
        assert.equal(error.code, "BSYNC_INLINE");
        assert.match(error.message, /by blocking.*await the handle$/);
        return true;
      },
    );
  }
  assert.deepEqual([await later, await behind], [5, 25]);
});

inline.it(
  "a task may wait for another in its place, where a worker is free",
  async () => {
    await using pool = await open(2);
    assert.equal(await pool.async(() => pool.async(square, 4).getSync()), 16);
    await using one = await open(1);
    await failure(
      one.async(() => one.async(square, 4).getSync()),
      BsyncError,
    );
    assert.equal(await one.async(square, 5), 25);
  },
  { workers: 2 },
);

inline.it(
  "a text: an export, a global, else what a run of the script of its own has",
  async ({ main }) => {
    await using pool = await open(1);
    assert.equal(await pool.async("Math.hypot", 3, 4), 5);
    assert.equal(await pool.async("(qq) => qq + 1", 4), 5);
    if (main !== null) assert.equal(await pool.async("addOffset", 4), 104);
    await failure(pool.async("process.pid"), BsyncError);
  },
);

inline.it(
  "timeouts: synchronous code fails when it returns, asynchronous code at its time",
  async () => {
    await using pool = await open(1, { timeout: 20 });
    seen.length = 0;
    const error = await failure(
      pool.async(() => {
        Bun.sleepSync(40);
        seen.push("returned");
      }),
      TimeoutError,
    );
    assert.match(error.message, /ran longer than its timeout of 20 ms$/);
    assert.deepEqual(seen, ["returned"]);
    const reasons: unknown[] = [];
    const forever = () =>
      new Promise(() => {
        const { signal } = taskContext();
        signal.addEventListener("abort", () => reasons.push(signal.reason));
      });
    await failure(pool.async(forever), TimeoutError);
    assert.ok(reasons[0] instanceof TimeoutError);
    assert.equal(await pool.async(square, 6), 36);
  },
);

inline.it("cancelling: the signal of what runs aborts, what waits is dropped", async () => {
  await using pool = await open(1);
  const aborted = Promise.withResolvers<unknown>();
  const begun = Promise.withResolvers<void>();
  const running = pool.async(() => {
    const { signal } = taskContext();
    signal.addEventListener("abort", () => aborted.resolve(signal.reason));
    begun.resolve();
    return new Promise(() => {});
  });
  seen.length = 0;
  const waiting = pool.async(see, "never");
  await begun.promise;
  assert.deepEqual([waiting.cancel(), running.cancel()], [true, true]);
  assert.ok((await aborted.promise) instanceof CancelledError);
  await failure(waiting, CancelledError);
  assert.equal(await pool.async(square, 7), 49);
  assert.deepEqual(seen, []);
});

inline.it(
  "terminate stops what it can, and close waits",
  async () => {
    const pool = await open(2);
    const held = new Held();
    const running = pool.async(held.run);
    await held.began;
    await pool.terminate("enough");
    assert.equal((await failure(running, CancelledError)).cause, "enough");
    held.end("over");
    const other = await open(2);
    const handles = numbers(20).map((i) => other.async(seeLater, i));
    await other.close();
    assert.deepEqual(await Promise.all(handles), numbers(20));
    assert.deepEqual(
      other.workers.map(({ state }) => state),
      ["gone", "gone"],
    );
  },
  { workers: 2 },
);

inline.it("beside a pool of other processes", async () => {
  await using here = await open(1);
  await using there = await AsyncPool.open(1);
  const pids = [await here.async(() => process.pid), await there.async(() => process.pid)];
  assert.deepEqual(pids, [process.pid, there.workers[0]!.pid]);
});

inline.it("the event loop turns between long tasks", async () => {
  await using pool = await open(1);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await Promise.all(numbers(20).map(() => pool.async(() => Bun.sleepSync(3))));
  clearInterval(timer);
  assert.ok(turns >= 10, `${turns} turns`);
});

inline.it("getSync of a call that lies behind a map's chunk runs that first", async () => {
  await using pool = await open(1);
  const slowly = (x: number) => {
    Bun.sleepSync(1);
    return x;
  };
  const results = pool.map(slowly, numbers(40), { chunk: 40 });
  assert.equal((await results.next()).value, 0);
  assert.equal(pool.async(square, 5).getSync(), 25);
  assert.deepEqual(await results, numbers(39, 1));
});

inline.it("what is for processes: env and cwd are refused, limits have no effect", async () => {
  for (const [name, value] of [["cwd", "/"] as const, ["env", {}] as const]) {
    const error = await failure(open(1, { [name]: value }), TypeError);
    assert.match(error.message, RegExp(`^Cannot open a pool: ${name} is for workers that are`));
  }
  await using pool = await open(1, { maxTasksPerWorker: 1, maxMemoryPerWorker: 1 });
  const pids = await Promise.all(numbers(5).map(() => pool.async(() => process.pid)));
  assert.deepEqual(new Set(pids), new Set([process.pid]));
});
