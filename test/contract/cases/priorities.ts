import { AsyncPool } from "../../../index.ts";
import { assert } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

export const priorities = new Subject("priorities", "code");

const order: unknown[] = [];

function note(name: unknown): void {
  order.push(name);
}

async function noteSlowly(name: unknown): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  order.push(name);
}

function taken(): unknown[] {
  return order.splice(0);
}

/** The order in which one worker runs what `submit` queues while the worker is busy. */
async function orderOf(submit: (pool: AsyncPool) => PromiseLike<unknown>[]): Promise<unknown[]> {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  await pool.async(taken);
  const first = pool.async(passGate, gate.path);
  await gate.reached();
  const handles = submit(pool);
  gate.open();
  await Promise.all([first, ...handles]);
  return await pool.async(taken);
}

priorities.it("equal ones start in the order of submission", async () => {
  const found = await orderOf((pool) => numbers(300).map((i) => pool.async(note, i)));
  assert.deepEqual(found, numbers(300));
});

priorities.it("lower runs first; 0 is the default; negative is more urgent", async () => {
  const found = await orderOf((pool) =>
    [5, 0, -5, 1, undefined, -1].map((priority) => {
      const view = priority === undefined ? pool : pool.with({ priority });
      return view.async(note, priority ?? "default");
    }),
  );
  assert.deepEqual(found, [-5, -1, 0, "default", 1, 5]);
});

priorities.it("two hundred at random are those of a stable sort", async () => {
  const tasks = numbers(200).map((i) => ({ i, priority: ((i * 7919) % 11) - 5 }));
  const found = await orderOf((pool) =>
    tasks.map(({ i, priority }) => pool.with({ priority }).async(noteSlowly, i)),
  );
  assert.deepEqual(
    found,
    tasks.toSorted((a, b) => a.priority - b.priority).map(({ i }) => i),
  );
});

priorities.it("fractions, and infinities", async () => {
  const list = [0.5, Infinity, 0.25, -Infinity, -0, 1e-9];
  const found = await orderOf((pool) =>
    list.map((priority) => pool.with({ priority }).async(note, String(priority))),
  );
  assert.deepEqual(found, ["-Infinity", "0", "1e-9", "0.25", "0.5", "Infinity"]);
});

priorities.it("a view can be kept, and views of it do not mix", async () => {
  const found = await orderOf((pool) => {
    const urgent = pool.with({ priority: -10 });
    const lazy = pool.with({ priority: 10, timeout: 5_000 });
    return [
      lazy.async(note, "lazy 1"),
      pool.async(note, "plain 1"),
      urgent.async(note, "urgent 1"),
      lazy.async(note, "lazy 2"),
      urgent.async(note, "urgent 2"),
      pool.async(note, "plain 2"),
    ];
  });
  assert.deepEqual(found, ["urgent 1", "urgent 2", "plain 1", "plain 2", "lazy 1", "lazy 2"]);
});

priorities.it("of the pool, unless a view has its own", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { priority: 5 });
  await pool.async(taken);
  const first = pool.async(passGate, gate.path);
  await gate.reached();
  const handles = [
    pool.async(note, "pool's"),
    pool.with({ priority: 6 }).async(note, "later"),
    pool.with({ priority: 4 }).async(note, "sooner"),
    pool.with({ timeout: 5_000 }).async(note, "pool's, too"),
  ];
  gate.open();
  await Promise.all([first, ...handles]);
  assert.deepEqual(await pool.with({ priority: 9 }).async(taken), [
    "sooner",
    "pool's",
    "pool's, too",
    "later",
  ]);
});

priorities.it("an urgent one does not interrupt what runs", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const first = pool.async(passGate, gate.path, "first");
  await gate.reached();
  const urgent = pool.with({ priority: -1 }).async(square, 3);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([first.state, urgent.state], ["running", "queued"]);
  gate.open();
  assert.deepEqual([await first, await urgent], ["first", 9]);
});

priorities.it("what is submitted while others run goes by its priority, too", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  await pool.async(taken);
  const first = pool.async(passGate, gate.path);
  await gate.reached();
  const one = pool
    .async(noteSlowly, "one")
    .then(() => pool.with({ priority: -1 }).async(noteSlowly, "urgent"));
  const rest = numbers(10).map((i) => pool.async(noteSlowly, i));
  gate.open();
  await Promise.all([first, one, ...rest]);
  const found = await pool.async(taken);
  assert.equal(found[0], "one");
  // It came while the next one ran, at the latest while the one after that did.
  assert.ok(found.indexOf("urgent") <= 3, String(found));
});

priorities.it("what is no number is a TypeError that names it", async () => {
  await using pool = await AsyncPool.open(1);
  for (const priority of ["1", NaN, null, {}, 1n]) {
    const submit = () => pool.with({ priority: priority as number });
    assert.throws(submit, { name: "TypeError", message: /priority/ });
  }
  assert.throws(() => pool.with({ urgency: 1 } as never), {
    name: "TypeError",
    message: /"urgency"/,
  });
  assert.throws(() => pool.with(null as never), TypeError);
  assert.equal(await pool.async(square, 3), 9);
});
