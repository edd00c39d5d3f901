import { AsyncPool, FunctionError, TimeoutError, taskContext } from "../../../index.ts";
import { countFunctionsFrom } from "../../../src/function/reference.ts";
import { countTasksFrom } from "../../../src/wire/task-id.ts";
import { assert, failure } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { loop } from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";

/** Numbers of tasks and functions, of which a program may make more than 32 bits hold. */
export const numbering = new Subject("numbering");

/** Beyond it task numbers are counted anew on the wire. */
const TURN = 2 ** 32;

/** A pool whose first task has that number. */
async function poolFrom(order: number): Promise<AsyncPool> {
  countTasksFrom(order);
  try {
    return await AsyncPool.open(1, { initializer: square });
  } finally {
    countTasksFrom(1);
  }
}

const numberHere = () => taskContext().id;
const numberLater = async () => {
  await Promise.resolve();
  return taskContext().id;
};

numbering.it("tasks around the 2^32nd are each answered, under their numbers", async () => {
  await using pool = await poolFrom(TURN - 10);
  for (let order = TURN - 10; order < TURN + 10; order++) {
    const fn = order % 2 === 0 ? numberHere : numberLater;
    assert.equal(await pool.async(fn), order);
  }
});

numbering.it("the same for many at a time, with timeouts among them", async () => {
  await using pool = await poolFrom(TURN - 50);
  const timed = pool.with({ timeout: 10_000, retries: 1 });
  const handles = Array.from({ length: 100 }, (_, i) =>
    (i % 10 === 0 ? timed : pool).async(numberHere),
  );
  const numbers = await Promise.all(handles);
  assert.deepEqual(
    numbers,
    numbers.map((_, i) => TURN - 50 + i),
  );
});

for (const order of [TURN - 3, TURN - 2, TURN - 1, TURN, TURN + 1, 2 * TURN - 4, 2 ** 40]) {
  numbering.it(`task ${order}: timeout and cancel name it, and the worker goes on`, async () => {
    await using pool = await poolFrom(order);
    const late = await failure(pool.with({ timeout: 20 }).async(loop), TimeoutError);
    assert.match(late.message, new RegExp(`\\btask ${order} \\(`));
    using gate = new Gate();
    const waiting = pool.async(passGate, gate.path);
    await gate.reached();
    assert.ok(waiting.cancel());
    assert.match(String(await waiting.get().catch(String)), new RegExp(`task ${order + 1} \\(`));
    assert.equal(await pool.async(numberHere), order + 2);
  });
}

numbering.it(
  "what was sent behind a task that is held is done by others, whatever their numbers",
  async () => {
    countTasksFrom(TURN - 4);
    await using pool = await AsyncPool.open(2);
    countTasksFrom(1);
    for (let i = 0; i < 3; i++) await pool.async(square, i);
    using gate = new Gate();
    const held = pool.async(passGate, gate.path, "held");
    await gate.reached();
    const others = Array.from({ length: 20 }, (_, i) => pool.async(square, i));
    assert.deepEqual(
      await Promise.all(others),
      others.map((_, i) => i * i),
    );
    gate.open();
    assert.equal(await held, "held");
  },
  { workers: 2 },
);

numbering.it(
  "a worker that is lost around the 2^32nd costs what it ran, and nothing else",
  async () => {
    await using pool = await poolFrom(TURN - 3);
    const { pid } = pool.workers[0]!;
    for (let i = 0; i < 6; i++) {
      using gate = new Gate();
      const lost = pool.async(passGate, gate.path);
      const behind = pool.async(square, i);
      await gate.reached();
      process.kill(pool.workers[0]!.pid, "SIGKILL");
      assert.match(String(await lost.get().catch(String)), /WorkerLostError/);
      assert.equal(await behind, i * i);
    }
    assert.notEqual(pool.workers[0]!.pid, pid);
  },
  { processes: true },
);

for (const bits of [24, 32, 40]) {
  numbering.it(`functions around the 2^${bits}th are the ones that were meant`, async () => {
    countFunctionsFrom(2 ** bits - 4);
    await using pool = await AsyncPool.open(1);
    for (let i = 0; i < 8; i++) {
      assert.equal(await pool.async<number>(`(x) => x + ${bits} + ${i}`, 1), 1 + bits + i);
      assert.equal(await pool.async((f: () => number) => f(), Function(`return ${i}`) as never), i);
    }
    assert.equal(await pool.with({ timeout: 10_000 }).async(square, 3), 9);
  });
}

numbering.itOnce(
  "more texts than a worker keeps: each is the one that was meant, also when it comes again",
  async () => {
    await using pool = await AsyncPool.open(1);
    const text = (i: number) => `(x) => x * 10000 + ${i}`;
    for (const count of [4_500, 300]) {
      const handles = Array.from({ length: count }, (_, i) => pool.async<number>(text(i), i));
      for (const [i, handle] of handles.entries()) assert.equal(await handle, i * 10_001);
    }
    assert.equal(await pool.async<number>(text(0), 1), 10_000);
  },
  { slow: true },
);

numbering.itOnce(
  "a text that waits or runs while others come and go is not forgotten",
  async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const add = (x: number) => x + 5;
    const use = (f: (x: number) => number, x: number) => f(x);
    const first = pool.async<number>("(x) => x - 1", 1);
    const running = pool.async(passGate, gate.path, "ran");
    const behind = Array.from({ length: 5_000 }, (_, i) => pool.async<number>(`() => ${i}`));
    const last = pool.with({ priority: 1 }).async(use, add, 1);
    await gate.reached();
    gate.open();
    assert.deepEqual([await first, await running, await last], [0, "ran", 6]);
    assert.deepEqual(
      await Promise.all(behind),
      behind.map((_, i) => i),
    );
    assert.equal(await pool.async<number>("(x) => x - 1", 9), 8);
    assert.equal(await pool.async(use, add, 2), 7);
  },
  { slow: true },
);

numbering.itOnce("a text that cannot be found fails each time, however many come", async () => {
  await using pool = await AsyncPool.open(1);
  for (let i = 0; i < 3_000; i++) {
    if (i % 100 === 0) await failure(pool.async("nowhereToBeFound"), FunctionError);
    await pool.async(`() => ${i}`);
  }
  assert.equal(await pool.async(square, 4), 16);
});
