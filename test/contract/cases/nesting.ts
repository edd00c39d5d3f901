import {
  AsyncPool,
  BsyncError,
  CancelledError,
  FunctionError,
  type MessageHandle,
  PoolClosedError,
  taskContext,
  TimeoutError,
  ValueError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure } from "../assert.ts";
import { Subject, workersOf } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** Tasks that submit tasks. */
export const nesting = new Subject("nesting");

const PROCESSES = { processes: true } as const;

async function fib(n: number): Promise<number> {
  if (n < 2) return n;
  const { pool } = taskContext();
  const [a, b] = await Promise.all([pool.async(fib, n - 1), pool.async(fib, n - 2)]);
  return a! + b!;
}

async function chain(depth: number): Promise<number> {
  return depth === 0 ? 0 : 1 + (await taskContext().pool.async(chain, depth - 1));
}

/** What began and went on here, in its order. */
const log: string[] = [];

function takeLog(): string[] {
  return log.splice(0);
}

/** A node of a tree of `width` children each. */
async function node(name: string, width: number, depth: number): Promise<void> {
  log.push(name);
  if (depth === 0) return;
  const { pool } = taskContext();
  const names = numbers(width).map((i) => `${name}${i}`);
  await Promise.all(names.map((child) => pool.async(node, child, width, depth - 1)));
  log.push(`/${name}`);
}

function note(name: string): void {
  log.push(name);
}

function fail(text: string): never {
  throw new RangeError(text);
}

function exit(code: number): never {
  process.exit(code);
}

nesting.itPerSize("recursion, on one worker and on all", async ({ workers }) => {
  for (const count of new Set([1, workers])) {
    await using pool = await AsyncPool.open(count);
    assert.equal(await pool.async(fib, 9), 34);
    assert.deepEqual(await Promise.all(numbers(5).map((n) => pool.async(fib, n))), [0, 1, 1, 2, 3]);
  }
});

nesting.it("a chain that is far deeper than a stack of waiting calls could be", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(chain, 2_000), 2_000);
});

nesting.itOnce(
  "one worker, ten thousand deep",
  async () => {
    await using pool = await AsyncPool.open(1);
    assert.equal(await pool.async(chain, 10_000), 10_000);
  },
  { slow: true },
);

nesting.it("one worker walks a tree depth-first, siblings in order", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  const roots = ["a", "b"].map((name) => pool.async(node, name, 2, 2));
  await Promise.all(roots);
  const walk = (name: string, depth: number): string[] => {
    if (depth === 0) return [name];
    return [name, ...[0, 1].flatMap((i) => walk(`${name}${i}`, depth - 1)), `/${name}`];
  };
  assert.deepEqual(await pool.async(takeLog), [...walk("a", 2), ...walk("b", 2)]);
});

nesting.it(
  "children come before tasks of the same priority, urgent tasks before both",
  async () => {
    await using pool = await AsyncPool.open(1);
    await pool.async(takeLog);
    using gate = new Gate();
    const parent = pool.async(async (path: string) => {
      const { pool } = taskContext();
      const children = ["child 1", "child 2"].map((name) => pool.async(note, name));
      await passGate(path);
      await Promise.all(children);
      note("parent");
    }, gate.path);
    await gate.reached();
    const others = [
      pool.async(note, "other"),
      pool.with({ priority: 1 }).async(note, "late"),
      pool.with({ priority: -1 }).async(note, "urgent"),
    ];
    gate.open();
    await Promise.all([parent, ...others]);
    assert.deepEqual(await pool.with({ priority: 2 }).async(takeLog), [
      "urgent",
      "child 1",
      "child 2",
      "parent",
      "other",
      "late",
    ]);
  },
);

nesting.it("who waits for anything but children keeps its place", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  using gate = new Gate();
  const parent = pool.async(async (path: string) => {
    await taskContext().pool.async(note, "child");
    note("before");
    await passGate(path);
    note("after");
  }, gate.path);
  const other = pool.async(note, "other");
  await gate.reached();
  gate.open();
  await Promise.all([parent, other]);
  assert.deepEqual(await pool.async(takeLog), ["child", "before", "after", "other"]);
});

nesting.it("a handle that is returned, none at all, and one after another", async () => {
  await using pool = await AsyncPool.open(1);
  const returned = pool.async((x: number) => taskContext().pool.async(square, x), 3);
  assert.equal(await returned, 9);
  const none = pool.async(async () => await Promise.all([] as MessageHandle<number>[]));
  assert.deepEqual(await none, []);
  const sum = pool.async(async (n: number) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += await taskContext().pool.async(square, i);
    return sum;
  }, 20);
  assert.equal(await sum, 2470);
  const raced = pool.async(async () => {
    const { pool } = taskContext();
    return await Promise.race([pool.async(square, 5), pool.async(square, 6)]);
  });
  assert.equal(await raced, 25);
});

nesting.it("map, starmap, with and asCompleted are those of the pool", async () => {
  await using pool = await AsyncPool.open(1, { timeout: 60_000 });
  const all = await pool.async(async () => {
    const { pool } = taskContext();
    const squares = await pool.map(square, [1, 2, 3]);
    const streamed: number[] = [];
    for await (const value of pool.map(square, numbers(50))) streamed.push(value);
    const powers = await pool.starmap(
      (a: number, b: number) => a ** b,
      [
        [2, 3],
        [3, 2],
      ],
    );
    const settled = await pool.map(fail, ["a"], { settled: true });
    const handles = [pool.async(square, 4), pool.with({ priority: 3 }).async(square, 5)];
    const completed: number[] = [];
    for await (const { handle } of pool.asCompleted(handles)) completed.push(await handle);
    return { squares, streamed, powers, status: settled[0]!.status, completed, size: pool.size };
  });
  assert.deepEqual(all, {
    squares: [1, 4, 9],
    streamed: numbers(50).map(square),
    powers: [8, 9],
    status: "rejected",
    completed: [16, 25],
    size: 1,
  });
});

nesting.itPerSize("items of a map submit tasks, whatever their chunk", async ({ workers }) => {
  for (const count of new Set([1, workers])) {
    await using pool = await AsyncPool.open(count);
    for (const chunk of [undefined, 1, 4, 100]) {
      const options = chunk === undefined ? {} : { chunk };
      assert.deepEqual(
        await pool.map(
          async (n: number) => await taskContext().pool.async(square, n),
          numbers(20),
          options,
        ),
        numbers(20).map(square),
      );
    }
  }
});

nesting.it(
  "values travel as in any call: functions, arrays, errors, what refers to itself",
  async () => {
    await using pool = await AsyncPool.open(1);
    const result = await pool.async(async () => {
      const { pool } = taskContext();
      const self: { me?: unknown; floats: Float64Array } = {
        floats: new Float64Array(200_000).fill(2),
      };
      self.me = self;
      const sum = await pool.async((value: typeof self) => {
        if (value.me !== value) throw new Error("not itself");
        return value.floats.reduce((a, b) => a + b);
      }, self);
      const applied = await pool.async((fn: (x: number) => number, x: number) => fn(x), square, 7);
      const large = await pool.async(() => new Uint8Array(300_000).fill(3));
      return [sum, applied, large.length, large.at(-1)];
    });
    assert.deepEqual(result, [400_000, 49, 300_000, 3]);
  },
);

nesting.it(
  "an error of a child is its parent's to catch; uncaught it comes through both",
  async () => {
    await using pool = await AsyncPool.open(1);
    const caught = await pool.async(async () => {
      try {
        await taskContext().pool.async(fail, "no");
      } catch (error) {
        return [error instanceof RangeError, (error as Error).message];
      }
      return [];
    });
    assert.deepEqual(caught, [true, "no"]);
    const error = await failure(
      pool.async(async () => await taskContext().pool.async(fail, "through")),
      RangeError,
    );
    assert.equal(error.message, "through");
    assert.match(error.stack!, /task \d+: fail\("through"\) on worker 0/);
  },
);

nesting.it("a child that cannot travel is refused where it is submitted", async () => {
  await using pool = await AsyncPool.open(1);
  const refused = await pool.async(async () => {
    const { pool } = taskContext();
    const value = await pool.async(square, Symbol() as never).catch((error: Error) => error.name);
    const results = await pool.async(() => Symbol()).catch((error: Error) => error.name);
    let thrown = "";
    try {
      pool.async(Math.max.bind(null), 1);
    } catch (error) {
      thrown = (error as Error).name;
    }
    const names: string[] = [];
    for (const options of [{ worker: 5 }, { timeout: -1 }, { retryOn: () => true }, { color: 1 }]) {
      try {
        pool.with(options as object);
      } catch (error) {
        names.push((error as Error).name);
      }
    }
    return [value, results, thrown, ...names, await pool.async(square, 2)];
  });
  const errors = ["RangeError", "TypeError", "TypeError", "TypeError"];
  assert.deepEqual(refused, [ValueError.name, ValueError.name, FunctionError.name, ...errors, 4]);
});

nesting.it("a task that is cancelled cancels the children it awaits, at any depth", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  using gate = new Gate();
  const root = pool.async(deepest, gate.path, 2);
  await gate.reached();
  assert.ok(root.cancel());
  await failure(root, CancelledError);
  assert.equal(await pool.async(square, 3), 9);
  assert.deepEqual(await pool.async(takeLog), ["abort 2", "abort 1", "abort 0"]);
});

async function deepest(path: string, depth: number): Promise<void> {
  const { pool, signal } = taskContext();
  signal.addEventListener("abort", () => note(`abort ${depth}`));
  if (depth > 0) return await pool.async(deepest, path, depth - 1);
  await passGate(path);
}

nesting.it("a task that fails cancels the children it awaits, and no others", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  using gate = new Gate();
  const root = pool.async(async (path: string) => {
    const { pool } = taskContext();
    pool.async(note, "nobody waits for this one");
    await Promise.all([pool.async(fail, "first"), pool.async(deepest, path, 0)]);
  }, gate.path);
  assert.equal((await failure(root, RangeError)).message, "first");
  // Nobody opens the gate.
  await pool.idle();
  const noted = await pool.async(takeLog);
  assert.deepEqual(
    noted.filter((name) => name !== "abort 0"),
    ["nobody waits for this one"],
  );
});

nesting.it("a signal reaches the children, of the call and of their own", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  using gate = new Gate();
  const controller = new AbortController();
  const reason = new Error("enough");
  const root = pool.with({ signal: controller.signal }).async(deepest, gate.path, 1);
  await gate.reached();
  controller.abort(reason);
  assert.equal(await failure(root, Error), reason);
  assert.deepEqual((await pool.async(takeLog)).sort(), ["abort 0", "abort 1"]);
  const own = pool.async(async () => {
    const { pool } = taskContext();
    const controller = new AbortController();
    const child = pool.with({ signal: controller.signal }).async(square, 3);
    controller.abort("mine");
    return await child.catch((reason: unknown) => reason);
  });
  assert.equal(await own, "mine");
});

nesting.it("a child whose signal aborts is cancelled, whatever the reason", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  using gate = new Gate();
  const controller = new AbortController();
  const signalled = pool.with({ signal: controller.signal });
  const root = signalled.async(async (path: string) => {
    const child = taskContext().pool.async(passGate, path);
    await child.catch(() => note(child.state));
  }, gate.path);
  await gate.reached();
  controller.abort("enough");
  assert.equal(await root.catch((reason: unknown) => reason), "enough");
  while (!(await pool.async(() => log.length))) await Bun.sleep(1);
  assert.deepEqual(await pool.async(takeLog), ["cancelled"]);
});

nesting.it("options that differ in each child, more than are kept at a time", async () => {
  await using pool = await AsyncPool.open(1);
  const sum = await pool.async(async (count: number) => {
    const { pool } = taskContext();
    const children = Array.from({ length: count }, (_, i) =>
      pool.with({ priority: i % 2 ? i : -i / 2 }).async(square, i % 10),
    );
    const again = pool.with({ priority: 1 }).async(square, 10);
    return (await Promise.all([...children, again])).reduce((sum, n) => sum + n, 0);
  }, 2_500);
  assert.equal(sum, 250 * 285 + 100);
});

nesting.it("a timeout counts the waiting; children have that of the pool", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  const root = pool.with({ timeout: 300 }).async(deepest, gate.path, 1);
  await failure(root, TimeoutError);
  assert.equal(await pool.async(square, 3), 9);
  await pool.async(takeLog);
  const child = await pool.async(async (path: string) => {
    const { pool } = taskContext();
    return await pool
      .with({ timeout: 50 })
      .async(deepest, path, 0)
      .catch((error: Error) => error.name);
  }, gate.path);
  assert.equal(child, "TimeoutError");
});

nesting.it("priority is inherited, or the child's own", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeLog);
  using gate = new Gate();
  const parent = pool.with({ priority: 5 }).async(async (path: string) => {
    const { pool } = taskContext();
    const children = [
      pool.async(note, "inherits 5"),
      pool.with({ priority: 7 }).async(note, "has 7"),
      pool.with({ priority: 3 }).async(note, "has 3"),
    ];
    await passGate(path);
    await Promise.all(children);
  }, gate.path);
  await gate.reached();
  const others = [4, 6].map((priority) => pool.with({ priority }).async(note, `${priority}`));
  gate.open();
  await Promise.all([parent, ...others]);
  const order = ["has 3", "4", "inherits 5", "6", "has 7"];
  assert.deepEqual(await pool.with({ priority: 9 }).async(takeLog), order);
});

nesting.itPerSize("a child may have a worker of its own", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const where = await pool.async(async (count: number) => {
    const { pool } = taskContext();
    const views = Array.from({ length: count }, (_, worker) => pool.with({ worker }));
    return await Promise.all(views.map((view) => view.async(() => taskContext().worker)));
  }, workers);
  assert.deepEqual(where, numbers(workers));
});

nesting.it("cancel, state and get of a child", async () => {
  await using pool = await AsyncPool.open(1);
  const told = await pool.async(async () => {
    const { pool } = taskContext();
    const child = pool.async(square, 3);
    const other = pool.async(square, 4);
    const before = child.state;
    const isCancelled = other.cancel("why");
    const name = await other.catch((error: Error) => [error.name, error.cause]);
    const value = await child.get({ timeout: 10_000 });
    return [before, isCancelled, name, value, child.state, other.state, child.worker];
  });
  assert.deepEqual(told, ["queued", true, ["CancelledError", "why"], 9, "done", "cancelled", 0]);
});

function fibSync(n: number): number {
  if (n < 2) return n;
  const { pool } = taskContext();
  return pool.async(fibSync, n - 1).getSync() + pool.async(fibSync, n - 2).getSync();
}

nesting.itPerSize("a task that blocks runs its child in its place", async ({ workers }) => {
  for (const count of new Set([1, workers])) {
    await using pool = await AsyncPool.open(count);
    const where = await pool.async(() => {
      const child = taskContext().pool.async(() => taskContext().id);
      return [taskContext().id, child.getSync(), taskContext().id];
    });
    assert.ok(where[1]! > where[0]! && where[0] === where[2], `${where}`);
    assert.equal(await pool.async(fibSync, 6), 8);
    const inside = await pool.async(async () => {
      const { pool } = taskContext();
      const first = await pool.async(square, 3);
      const error = pool.async(fail, "inside");
      try {
        error.getSync();
      } catch (thrown) {
        return [first, pool.async(square, 4).getSync(), String(thrown)];
      }
      return [];
    });
    assert.deepEqual(inside, [9, 16, "RangeError: inside"]);
  }
});

nesting.it("a task that looks whether its child is ready comes to an end", async () => {
  await using pool = await AsyncPool.open(1);
  const blocked = await pool.async(() => {
    const child = taskContext().pool.async(square, 3);
    while (!child.ready()) Bun.sleepSync(1);
    return child.getSync();
  });
  assert.equal(blocked, 9);
  const napping = await pool.async(async () => {
    const child = taskContext().pool.async(square, 4);
    while (!child.ready()) await Bun.sleep(1);
    return await child;
  });
  assert.equal(napping, 16);
});

nesting.it("a child that cannot be waited for in this way says to await it", async () => {
  await using pool = await AsyncPool.open(1);
  const messages = await pool.async(() => {
    const { pool } = taskContext();
    const timed = pool.with({ timeout: 10_000 });
    return [pool.async(async () => await Bun.sleep(1)), timed.async(square, 3)].map((child) => {
      try {
        return child.getSync();
      } catch (error) {
        return (error as Error).message;
      }
    });
  });
  for (const message of messages) assert.match(String(message), /Cannot get .*; await the handle/);
  assert.equal(await pool.async(square, 5), 25);
  await pool.idle();
});

nesting.it(
  "a worker is lost with all that wait there, and what they wait for is cancelled",
  async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const parents = numbers(5).map(() =>
      pool.async(async (path: string) => {
        const { pool } = taskContext();
        await Promise.all([
          pool.with({ priority: 1 }).async(passGate, path),
          pool.async(square, 3),
        ]);
      }, gate.path),
    );
    const handles = parents.map((parent) => failure(parent, WorkerLostError));
    await gate.reached();
    const last = pool.with({ priority: 2 }).async(square, 4);
    process.kill(pool.workers[0]!.pid, "SIGKILL");
    for (const { message } of await Promise.all(handles)) {
      assert.match(message, /was killed by SIGKILL while the task waited there for others that it/);
    }
    assert.equal(await last, 16);
    await pool.idle();
  },
  PROCESSES,
);

nesting.it(
  "a parent that is lost may start again, if its retries say so",
  async () => {
    await using pool = await AsyncPool.open(1);
    const attempts = pool.with({ retries: 1 }).async(async () => {
      const { pool, attempt } = taskContext();
      if (attempt === 1) await pool.with({ retries: 0 }).async(exit, 3);
      return [attempt, await pool.async(square, 3)];
    });
    assert.deepEqual(await attempts, [2, 9]);
  },
  PROCESSES,
);

nesting.it(
  "a child that ends its worker, from another one, is its parent's to catch",
  async () => {
    await using pool = await AsyncPool.open(2);
    const caught = pool.with({ worker: 0 }).async(async () => {
      const { pool } = taskContext();
      try {
        return await pool.with({ worker: 1 }).async(exit, 3);
      } catch (error) {
        return [(error as Error).name, (error as WorkerLostError).exitCode];
      }
    });
    assert.deepEqual(await caught, ["WorkerLostError", 3]);
  },
  { ...PROCESSES, workers: 2 },
);

nesting.it(
  "close waits for all that tasks have submitted; none may come after terminate",
  async () => {
    const pool = await AsyncPool.open(1);
    using gate = new Gate();
    const root = pool.async(async (path: string) => {
      await passGate(path);
      taskContext().pool.async(note, "nobody waits");
      return await taskContext().pool.async(fib, 5);
    }, gate.path);
    await gate.reached();
    const closed = pool.close();
    gate.open();
    assert.equal(await root, 5);
    await closed;
    const other = await AsyncPool.open(1);
    using second = new Gate();
    const roots = numbers(3).map(() => other.async(deepest, second.path, 2));
    const failures = roots.map((root) => failure(root, CancelledError));
    await second.reached();
    await other.terminate();
    await Promise.all(failures);
    assert.throws(() => other.async(square, 3), PoolClosedError);
  },
);

nesting.it(
  "workers that are replaced after each task keep those that wait",
  async () => {
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 1 });
    assert.equal(await pool.async(fib, 5), 5);
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);

nesting.it("the queue's limit is for the controller alone", async () => {
  await using pool = await AsyncPool.open(1, { queueLimit: 2 });
  const sum = await pool.async(async () => {
    const { pool } = taskContext();
    const all = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.async(square, i)));
    return all.reduce((a, b) => a + b);
  });
  assert.equal(sum, 40_425);
});

nesting.it("with several calls a worker may have under way", async () => {
  await using pool = await AsyncPool.open(1, { concurrency: 2 });
  assert.equal(await pool.async(fib, 8), 21);
  assert.deepEqual(
    await Promise.all(numbers(6).map((n) => pool.async(fib, n))),
    [0, 1, 1, 2, 3, 5],
  );
});

nesting.it("of a task that is over nothing more is submitted", async () => {
  await using pool = await AsyncPool.open(1);
  const keep = pool.async(() => {
    (globalThis as { kept?: unknown }).kept = taskContext().pool;
  });
  await keep;
  const error = await pool.async(() => {
    try {
      (globalThis as unknown as { kept: AsyncPool }).kept.async("Math.hypot", 3, 4);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  });
  assert.match(error, /Cannot call Math\.hypot: task \d+ \(.*\) is over/);
});

nesting.it("a task that has failed starts again, and waits for children anew", async () => {
  await using pool = await AsyncPool.open(1);
  const again = pool.with({ retries: 3, retryOn: () => true });
  const attempts = again.async(async () => {
    const { pool, attempt } = taskContext();
    pool.async(square, 1);
    const squares = await Promise.all([2, 3].map((x) => pool.async(square, x)));
    if (attempt < 3) throw new RangeError("once more");
    return [attempt, ...squares, await pool.async(square, 4)];
  });
  assert.deepEqual(await attempts, [3, 4, 9, 16]);
});

nesting.it("a child reports to its parent, before it has ended", async () => {
  await using pool = await AsyncPool.open(1);
  const heard = await pool.async(async () => {
    const { pool } = taskContext();
    const heard: unknown[] = [];
    const tell = async (x: number) => {
      taskContext().report({ x });
      return await Promise.resolve(x);
    };
    const child = pool.with({ onReport: (value) => heard.push(value) }).async(tell, 3);
    child.on("report", (value, { worker, attempt }) => heard.push([value, worker, attempt]));
    heard.push(await child);
    return heard;
  });
  assert.deepEqual(heard, [{ x: 3 }, [{ x: 3 }, 0, 1], 3]);
});

nesting.itPerSize("many parents with many children each", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const sums = await Promise.all(
    numbers(60).map((i) =>
      pool.async(async (i: number) => {
        const { pool } = taskContext();
        const children = Array.from({ length: 10 }, (_, j) => pool.async(square, i + j));
        return (await Promise.all(children)).reduce((a, b) => a + b);
      }, i),
    ),
  );
  const sum = (i: number) => numbers(10).reduce((sum, j) => sum + square(i + j), 0);
  assert.deepEqual(sums, numbers(60).map(sum));
});

nesting.it(
  "in a mixed pool",
  async (place) => {
    await using pool = await AsyncPool.open(workersOf({ ...place, mixed: true }, 2));
    assert.equal(await pool.async(fib, 9), 34);
  },
  { modes: ["openmpi", "mpich"] },
);

async function* slowly(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    await Bun.sleep(1);
    yield i;
  }
}

nesting.it("a map waits for its source, with nothing else under way", async () => {
  await using pool = await AsyncPool.open(1);
  for (const inFlight of [1, 100]) {
    const squares = await pool.async(async (inFlight: number) => {
      return await taskContext().pool.map(square, slowly(30), { inFlight });
    }, inFlight);
    assert.deepEqual(squares, numbers(30).map(square));
  }
});

nesting.itPerSize("children leave while their parent waits for a timer", async ({ workers }) => {
  if (workers === 1) return;
  await using pool = await AsyncPool.open(workers);
  const states = await pool.with({ worker: 0 }).async(async () => {
    const { pool } = taskContext();
    const other = pool.with({ worker: 1 });
    const children: MessageHandle<number>[] = [];
    for await (const i of slowly(30)) children.push(other.async(square, i));
    while (children.some(({ state }) => state !== "done")) await Bun.sleep(1);
    return children.length;
  });
  assert.equal(states, 30);
});

nesting.it("a parent that starts again has children anew", async () => {
  await using pool = await AsyncPool.open(1);
  const again = pool.with({ retries: 2, retryOn: () => true });
  const handles = numbers(5).map(() =>
    again.async(async () => {
      const { pool, attempt } = taskContext();
      const nobodyWaits = pool.with({ priority: 1 }).async(square, 1);
      await Promise.all(numbers(3).map((n) => pool.async(square, n)));
      if (attempt < 3) throw new Error(`attempt ${attempt} of ${nobodyWaits.state}`);
      return await pool.map(square, numbers(4));
    }),
  );
  for (const handle of handles) assert.deepEqual(await handle, [0, 1, 4, 9]);
});

nesting.it("an initializer submits nothing, and is told why", async () => {
  const initializer = async () => {
    await taskContext().pool.async("Math.hypot", 3, 4);
  };
  const error = await failure(AsyncPool.open(1, { initializer }), BsyncError);
  assert.match(error.message, /Cannot call Math\.hypot: an initializer runs before/);
});
