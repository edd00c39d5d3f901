import { EventEmitter } from "node:events";
import {
  AsyncPool,
  BsyncError,
  CancelledError,
  type MessageHandle,
  PoolClosedError,
  QueueFullError,
  ValueError,
} from "../../../index.ts";
import { assert, failure, refusal, thrownBy } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";

/** Code of the program's that runs in the midst of a call, and calls back; and calls where the stack is full. */
export const reentering = new Subject("reentering");

const readX = (o: { x: unknown }) => o.x;

/** Arguments whose reading has `deed` done, by each way in which a program's code comes to run. */
const READINGS: Record<string, (deed: () => void) => unknown> = {
  "a getter": (deed) => ({
    get x() {
      deed();
      return 1;
    },
  }),
  "a getter deep below": (deed) => ({
    x: [new Map([["y", { z: READINGS["a getter"]!(deed) }]])],
  }),
  "an element's getter": (deed) => {
    const list = [1, 2];
    Object.defineProperty(list, 0, { get: () => (deed(), 1), enumerable: true });
    return { x: list };
  },
  "a proxy": (deed) =>
    new Proxy(
      { x: 1 },
      {
        ownKeys: (target) => {
          deed();
          return Reflect.ownKeys(target);
        },
      },
    ),
  "an error's getter": (deed) => {
    const error = new Error("x");
    Object.defineProperty(error, "extra", { get: () => (deed(), 1), enumerable: true });
    return { x: error };
  },
  "a tag": (deed) => ({
    x: new (class extends EventEmitter {
      get [Symbol.toStringTag]() {
        deed();
        return "Tag";
      }
    })(),
  }),
};

/** Its handle settles, whatever comes of it; the pool closes. */
async function comesToAnEnd(pool: AsyncPool, handle: MessageHandle<unknown>): Promise<unknown> {
  const outcome = await handle.get({ timeout: 5_000 }).catch((error: unknown) => error);
  await pool.close();
  assert.ok(handle.ready());
  return outcome;
}

for (const [name, reading] of Object.entries(READINGS)) {
  reentering.it(`${name} that terminates, or closes, the pool`, async () => {
    for (const end of ["terminate", "close"] as const) {
      const pool = await AsyncPool.open(1);
      const before = pool.async(square, 3);
      const handle = pool.async(readX as never, reading(() => void pool[end]()) as never);
      const outcome = await comesToAnEnd(pool, handle);
      assert.ok(outcome instanceof BsyncError, String(outcome));
      if (name !== "a tag") assert.ok(outcome instanceof PoolClosedError, String(outcome));
      assert.equal(await before.get().catch(() => 9), 9);
      await refusal(async () => pool.async(square, 1), PoolClosedError);
    }
  });

  reentering.it(`${name} that submits, cancels and waits`, async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const running = pool.async(passGate, gate.path);
    await gate.reached();
    const inner: MessageHandle<unknown>[] = [];
    const handle = pool.async(
      readX as never,
      reading(() => {
        inner.push(pool.async(square, 5), pool.async(readX, { x: [new Date(7)] }));
        inner.push(pool.async((f: (x: number) => number) => f(2), square));
        assert.equal(running.ready(), false);
        running.cancel();
        assert.equal(inner[0]!.getSync({ timeout: 5_000 }), 25);
      }) as never,
    );
    const outcome = await handle.get({ timeout: 5_000 }).catch((error: unknown) => error);
    if (name === "a tag") assert.ok(outcome instanceof ValueError);
    else assert.ok(!(outcome instanceof BsyncError), String(outcome));
    assert.deepEqual(await Promise.all(inner.slice(0, 3)), [25, [new Date(7)], 4]);
    await failure(running, CancelledError);
  });
}

reentering.it("functions among the arguments of a call, and of one within it", async () => {
  await using pool = await AsyncPool.open(1);
  const use = (o: { f: (x: number) => number; y: unknown; g: (x: number) => number }) =>
    o.f(1) + o.g(10);
  let inner: MessageHandle<number> | null = null;
  const outer = pool.async(use, {
    f: (x: number) => x + 1,
    get y() {
      inner = pool.async(use, { f: (x) => x * 2, y: 0, g: (x) => x * 3 });
      return 0;
    },
    g: (x: number) => x - 1,
  });
  assert.deepEqual([await outer, await inner!], [11, 32]);
});

reentering.it("a getter that aborts the signal of its own call", async () => {
  await using pool = await AsyncPool.open(1);
  const controller = new AbortController();
  const reason = new Error("no more");
  const { signal } = controller;
  const argument = READINGS["a getter"]!(() => controller.abort(reason));
  const handle = pool.with({ signal }).async(readX as never, argument as never);
  assert.equal(await thrownBy(handle), reason);
  assert.equal(handle.state, "cancelled");
  assert.equal(await pool.async(square, 2), 4);
});

reentering.it("a signal whose own properties are the program's code", async () => {
  await using pool = await AsyncPool.open(1);
  const { signal } = new AbortController();
  const fail = () => {
    throw new Error("not to be asked");
  };
  for (const name of ["aborted", "reason", "addEventListener", "removeEventListener"]) {
    Object.defineProperty(signal, name, { get: fail });
  }
  assert.equal(await pool.with({ signal }).async(square, 3), 9);
});

reentering.it("queueLimit holds for what a getter submits, too", async () => {
  await using pool = await AsyncPool.open(1, { queueLimit: 1 });
  using gate = new Gate();
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  const inner: MessageHandle<number>[] = [];
  const argument = READINGS["a getter"]!(() => inner.push(pool.async(square, 4)));
  await refusal(async () => pool.async(readX as never, argument as never), QueueFullError);
  gate.open();
  await running;
  assert.equal(await inner[0], 16);
});

reentering.itPerSize(
  "each reads its arguments once, and calls nobody where they fail",
  async (place) => {
    await using pool = await AsyncPool.open(place.workers);
    let reads = 0;
    const seen = await pool.each(
      readX as never,
      READINGS["a getter"]!(() => void reads++) as never,
    );
    assert.deepEqual([reads, seen], [1, Array.from({ length: place.workers }, () => 1)]);
    await failure(pool.each(readX, { x: Promise.resolve() }), ValueError);
    const end = READINGS["a getter"]!(() => void pool.terminate());
    await failure(pool.each(readX as never, end as never), PoolClosedError);
  },
);

reentering.it("a result whose `then` is a getter that closes the pool", async () => {
  const pool = await AsyncPool.open(1);
  const handle = pool.async(() => ({ x: 1 }));
  const result = handle.get();
  Object.defineProperty(Object.prototype, "then", {
    configurable: true,
    get: () => void pool.close(),
  });
  try {
    while (!handle.ready()) Bun.sleepSync(1);
  } finally {
    Reflect.deleteProperty(Object.prototype, "then");
  }
  assert.deepEqual(await result, { x: 1 });
  await pool.close();
});

/**
 * Calls `deed` where the stack is full but for `spare` levels, and once more at each level on the way back until it
 * does not throw.
 */
function atTheEnd<T>(deed: () => T, spare = 0): T {
  let left = spare;
  const walk = (): { readonly result: T } | null => {
    let found: { readonly result: T } | null = null;
    try {
      found = walk();
    } catch {
      found = null;
    }
    if (found !== null || left-- > 0) return found;
    const result = deed();
    return { result };
  };
  return walk()!.result;
}

const SUBMISSIONS: Record<string, (pool: AsyncPool, i: number) => MessageHandle<unknown>> = {
  "a number": (pool, i) => pool.async(square, i),
  "an object": (pool, i) => pool.async(readX, { x: { y: [i, new Date(i)] } }),
  "a function": (pool, i) => pool.async((f: (x: number) => number, x: number) => f(x), square, i),
  "a text": (pool, i) => pool.async(`(x) => x + ${i}`, 1),
  "a large buffer": (pool) => pool.async((b: Uint8Array) => b.length, new Uint8Array(70_000)),
  "a priority": (pool, i) => pool.with({ priority: -i }).async(square, i),
  "a timeout": (pool, i) => pool.with({ timeout: 10_000 }).async(square, i),
  "a signal": (pool, i) => pool.with({ signal: new AbortController().signal }).async(square, i),
};

for (const [name, submit] of Object.entries(SUBMISSIONS)) {
  reentering.it(
    `${name}, submitted where the stack is full, is submitted whole or not at all`,
    async () => {
      await using pool = await AsyncPool.open(1);
      await submit(pool, 1);
      const handles: MessageHandle<unknown>[] = [];
      for (let i = 0; i < 8; i++) {
        handles.push(atTheEnd(() => submit(pool, i), i * 8));
        // Beside calls that run, and beside none.
        if (i % 2 === 0) await Promise.allSettled([handles.at(-1)]);
      }
      for (const handle of handles) {
        const outcome = await handle.get({ timeout: 5_000 }).catch((error: unknown) => error);
        // Its arguments may not have been read to their end.
        assert.ok(!(outcome instanceof BsyncError), String(outcome));
      }
      assert.equal(await pool.async(square, 3).get({ timeout: 5_000 }), 9);
      assert.equal(pool.workers[0]!.state, "idle");
    },
  );
}

reentering.it(
  "a recursion without end that submits at each level fails as such, and no more",
  async () => {
    await using pool = await AsyncPool.open(1);
    const handles: MessageHandle<number>[] = [];
    const recurse = (n: number): number => {
      if (n % 200 === 0) handles.push(pool.async(square, n));
      const deeper = recurse(n + 1);
      return deeper + 1;
    };
    assert.throws(() => recurse(0), RangeError);
    const results = await Promise.all(handles.map((handle) => handle.get({ timeout: 10_000 })));
    assert.deepEqual(
      results,
      results.map((_, i) => (200 * i) ** 2),
    );
  },
);

reentering.it("cancel, ready and getSync where the stack is full do all or nothing", async () => {
  await using pool = await AsyncPool.open(1);
  for (let i = 0; i < 4; i++) {
    using gate = new Gate();
    const running = pool.async(passGate, gate.path);
    const queued = pool.async(square, 2);
    const wanted = pool.async(square, 3);
    await gate.reached();
    assert.equal(
      atTheEnd(() => queued.cancel()),
      true,
    );
    assert.equal(
      atTheEnd(() => running.ready()),
      false,
    );
    assert.equal(
      atTheEnd(() => running.cancel()),
      true,
    );
    assert.equal(
      atTheEnd(() => wanted.getSync({ timeout: 5_000 })),
      9,
    );
    await failure(queued, CancelledError);
    await failure(running, CancelledError);
  }
});

reentering.it(
  "a signal that is aborted where the stack is full aborts all that are under it",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (let i = 0; i < 4; i++) {
      const controller = new AbortController();
      const reason = new Error("enough");
      const view = pool.with({ signal: controller.signal });
      using gate = new Gate();
      const handles = [
        view.async(passGate, gate.path),
        view.async(square, 1),
        view.async(square, 2),
      ];
      await gate.reached();
      // With less of it no listener is called at all; how much that is depends on the compiler at work.
      atTheEnd(() => controller.abort(reason), 60 + 20 * i);
      for (const handle of handles) assert.equal(await thrownBy(handle), reason);
    }
    assert.equal(await pool.async(square, 3), 9);
  },
);

reentering.it("close and terminate where the stack is full come to their end", async () => {
  for (const end of ["close", "terminate"] as const) {
    const pool = await AsyncPool.open(1);
    const handle = pool.async(square, 3);
    await atTheEnd(() => pool[end]());
    assert.ok(handle.ready());
    await pool.close();
  }
});
