import { AsyncPool, CancelledError, type MessageHandle } from "../../../index.ts";
import { assert, failure, refusal, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** `pool.all` and `pool.asCompleted`. */
export const gathering = new Subject("gathering", "code");

function fail(message: string): never {
  throw new RangeError(message);
}

const WRONG: readonly [unknown, RegExp][] = [
  [null, /expected an array, or another iterable, of handles, got null/],
  [undefined, /got undefined/],
  [5, /got 5/],
  ["handles", /got "handles"/],
  [{}, /got \{\}/],
  [[1], /got 1 at index 0; pass the handles themselves/],
  [[Promise.resolve()], /at index 0/],
  [(async function* () {})(), /Array.fromAsync/],
];

gathering.it("all: the results in the order of the handles, of any iterable", async () => {
  await using pool = await AsyncPool.open(1);
  const [text, number] = await pool.all([pool.async((x: string) => x, "a"), pool.async(square, 3)]);
  assert.deepEqual([text.toUpperCase(), number.toFixed(1)], ["A", "9.0"]);
  const handles = numbers(50).map((i) => pool.async(square, i));
  const squares: number[] = await pool.all(new Set(handles));
  assert.deepEqual(
    squares,
    numbers(50).map((i) => i * i),
  );
  const first = handles[0]!;
  assert.deepEqual(await pool.all([first, first, first]), Array(3).fill(await first));
  assert.deepEqual(await pool.all([]), []);
  const made = (function* () {
    for (let i = 1; i < 4; i++) yield pool.async(square, i);
  })();
  assert.deepEqual(await pool.all(made), [1, 4, 9]);
});

gathering.it("all: what runs and what waits is cancelled, with the failure as cause", async () => {
  await using pool = await AsyncPool.open(1);
  const bad = pool.async(fail, "first");
  const others = numbers(10).map(() => pool.async(stuck.wander));
  const outside = pool.async(square, 7);
  const error = await failure(pool.all([others[0]!, bad, ...others.slice(1)]), RangeError);
  assert.equal(error.message, "first");
  for (const other of others) {
    assert.equal(other.state, "cancelled");
    assert.equal((await failure(other, CancelledError)).cause, error);
  }
  assert.equal(await outside, 49);
});

gathering.it("all: what has failed, or was cancelled, before counts, too", async () => {
  await using pool = await AsyncPool.open(1);
  const bad = pool.async(fail, "before");
  await pool.idle();
  const other = pool.async(stuck.wander);
  assert.equal((await failure(pool.all([other, bad]), RangeError)).message, "before");
  assert.equal(other.state, "cancelled");
  const gone = pool.async(stuck.wander);
  const last = pool.async(stuck.wander);
  const all = pool.all([last, gone]);
  gone.cancel("mine");
  assert.equal((await failure(all, CancelledError)).cause, "mine");
  assert.equal(last.state, "cancelled");
});

gathering.it("all and asCompleted: of several pools", async () => {
  await using one = await AsyncPool.open(1, { mpi: false });
  await using two = await AsyncPool.open(1);
  const handles = () => [one.async(square, 2), two.async(square, 3)] as const;
  assert.deepEqual(await one.all(handles()), [4, 9]);
  const found: number[] = [];
  for await (const { handle } of two.asCompleted(handles())) found.push(await handle);
  assert.deepEqual(new Set(found), new Set([4, 9]));
  const there = two.async(stuck.wander);
  await failure(one.all([one.async(fail, "here"), there]), RangeError);
  assert.equal(there.state, "cancelled");
});

gathering.it("all and asCompleted: what is no iterable of handles is a TypeError", async () => {
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(square, 3);
  const wrong = [...WRONG, [handle, /got one; pass \[handle\]/] as const];
  for (const [value, message] of [...wrong, [[handle, handle.get()], /at index 1/] as const]) {
    assert.match((await refusal(() => pool.all(value as never), TypeError)).message, message);
    assert.throws(() => pool.asCompleted(value as never), { name: "TypeError", message });
  }
  const broken = {
    *[Symbol.iterator]() {
      yield handle;
      throw new SyntaxError("of the iterable");
    },
  };
  await refusal(() => pool.all(broken), SyntaxError);
  assert.throws(() => pool.asCompleted(broken), SyntaxError);
  assert.equal(await handle, 9);
});

/** Gates that are opened one by one, each with a task that waits at it. */
async function gated(pool: AsyncPool, count: number) {
  const gates = numbers(count).map(() => new Gate());
  const handles = gates.map(({ path }, i) => pool.async(passGate, path, i));
  const dispose = () => gates.forEach((gate) => gate[Symbol.dispose]());
  return { gates, handles, [Symbol.dispose]: dispose };
}

gathering.it(
  "asCompleted: each as it settles, whatever its outcome",
  async () => {
    await using pool = await AsyncPool.open(2);
    using held = await gated(pool, 2);
    const cancelled = pool.async(stuck.wander);
    const bad = pool.async(fail, "bad");
    const handles = [...held.handles, bad, cancelled];
    const each = pool.asCompleted<MessageHandle<unknown>>(handles);
    cancelled.cancel();
    const seen: unknown[] = [];
    for await (const { handle, index } of each) {
      assert.equal(handle, handles[index]);
      seen.push([index, handle.state]);
      if (seen.length === 1) held.gates[1]!.open();
      if (index === 2) held.gates[0]!.open();
    }
    assert.deepEqual(seen, [
      [3, "cancelled"],
      [1, "done"],
      [2, "failed"],
      [0, "done"],
    ]);
  },
  { workers: 2 },
);

gathering.it("asCompleted: what is settled comes first, in order; each index once", async () => {
  await using pool = await AsyncPool.open(1);
  const handles = numbers(5).map((i) => pool.async(square, i));
  await pool.all(handles);
  const twice = [...handles, ...handles, pool.async(square, 9)];
  const found: number[] = [];
  for await (const { index } of pool.asCompleted(new Set(twice))) found.push(index);
  assert.deepEqual(found, numbers(6, 0));
  found.length = 0;
  for await (const { index } of pool.asCompleted(twice)) found.push(index);
  assert.deepEqual(found, numbers(11, 0));
  assert.deepEqual(await Array.fromAsync(pool.asCompleted([])), []);
});

gathering.it("asCompleted: an async iterator as the engine's are", async () => {
  await using pool = await AsyncPool.open(1);
  const each = pool.asCompleted([pool.async(square, 2)]);
  const prototype = Object.getPrototypeOf(
    Object.getPrototypeOf(async function* () {}.prototype),
  ) as object;
  assert.ok(Object.prototype.isPrototypeOf.call(prototype, each));
  assert.equal(each[Symbol.asyncIterator](), each);
  assert.equal((await each.next()).value?.index, 0);
  assert.deepEqual(await each.next(), { done: true, value: undefined });
  assert.deepEqual(await each.return?.("x" as never), { done: true, value: "x" });
});

gathering.it("asCompleted: calls of next that wait are answered in their order", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const first = pool.async(passGate, gate.path);
  const handles = [first, ...numbers(4).map((i) => pool.async(square, i))];
  const each = pool.asCompleted<MessageHandle<unknown>>(handles);
  const answers: unknown[] = [];
  const calls = numbers(7, 0).map(async (call) => {
    const { done, value } = await each.next();
    answers.push([call, done ? "done" : value?.index]);
  });
  await gate.reached();
  gate.open();
  await Promise.all(calls);
  const expected = [0, 1, 2, 3, 4, "done", "done"].map((value, call) => [call, value]);
  assert.deepEqual(answers, expected);
});

gathering.it("asCompleted: return ends it, for calls that wait, too; tasks go on", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(passGate, gate.path, "passed");
  const each = pool.asCompleted([handle]);
  const waiting = [each.next(), each.next()];
  await gate.reached();
  assert.deepEqual(await each.return?.(), { done: true, value: undefined });
  for (const call of waiting) assert.deepEqual(await call, { done: true, value: undefined });
  assert.deepEqual(await each.next(), { done: true, value: undefined });
  assert.equal(handle.state, "running");
  gate.open();
  assert.equal(await handle, "passed");
  for await (const { index } of pool.asCompleted([handle, pool.async(stuck.rest, 50)])) {
    assert.equal(index, 0);
    break;
  }
});

gathering.it("asCompleted: of a handle that many wait for, each hears once", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(passGate, gate.path, "passed");
  const own = handle.get();
  const many = numbers(50).map(() => pool.asCompleted([handle]));
  const left = numbers(50).map(() => pool.asCompleted([handle]));
  const heard = many.map(async (each) => (await Array.fromAsync(each)).length);
  for (const each of left) await each.return?.();
  await gate.reached();
  gate.open();
  assert.deepEqual(await Promise.all(heard), Array(50).fill(1));
  assert.deepEqual([await own, await handle], ["passed", "passed"]);
});

gathering.it(
  "asCompleted: a hundred thousand handles, and no listener left behind",
  async () => {
    await using pool = await AsyncPool.open(1);
    const handles = numbers(100_000).map((i) => pool.async(square, i));
    let sum = 0;
    for await (const { index } of pool.asCompleted(handles)) sum += index;
    assert.equal(sum, (100_000 * 99_999) / 2);
    using gate = new Gate();
    const held = pool.async(passGate, gate.path);
    await gate.reached();
    let collected = 0;
    const registry = new FinalizationRegistry(() => collected++);
    for (let i = 0; i < 100; i++) {
      const each = pool.asCompleted([held, handles[i]!]);
      registry.register(each, i);
      for await (const { index } of each) {
        assert.equal(index, 1);
        break;
      }
    }
    await until("the iterators to be collected", () => {
      Bun.gc(true);
      return collected > 80;
    });
    gate.open();
    await held;
  },
  { slow: true },
);
