import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AsyncPool,
  BsyncError,
  CancelledError,
  type PoolOptions,
  type TaskContext,
  taskContext,
  TimeoutError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, timesOutBegun, until } from "../assert.ts";
import { MPI, Subject } from "../case.ts";
import * as stuck from "../fixtures/stuck.ts";
import { blockAtGate, Gate, passGate } from "../gate.ts";

/** What a task learns of itself. */
export const contexts = new Subject("contexts");

/** What of a context can travel. */
type Told = Omit<TaskContext, "signal"> & { aborted: boolean };

function told(): Told {
  const { signal, ...rest } = taskContext();
  return { ...rest, aborted: signal.aborted };
}

async function toldLater(ms: number): Promise<Told[]> {
  const before = told();
  await new Promise((resolve) => setTimeout(resolve, ms));
  return [before, await Promise.resolve().then(told)];
}

contexts.itPerSize(
  "id, attempt, worker and rank, in a synchronous function",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const seen = await pool.each(told);
    assert.deepEqual(
      seen.map(({ attempt, worker, rank, aborted }) => ({ attempt, worker, rank, aborted })),
      pool.workers.map(({ index, rank }) => ({ attempt: 1, worker: index, rank, aborted: false })),
    );
    assert.equal(new Set(seen.map(({ id }) => id)).size, workers);
    const handles = Array.from({ length: 20 }, () => pool.async(told));
    const ids = new Set<number>();
    for (const handle of handles) {
      const { id, worker } = await handle;
      assert.equal(worker, handle.worker);
      ids.add(id);
    }
    assert.equal(ids.size, 20);
  },
);

contexts.it("the number is the one that messages name", async () => {
  await using pool = await AsyncPool.open(1);
  const { id } = await pool.async(told);
  const error = await failure(pool.with({ timeout: 20 }).async(stuck.wander), TimeoutError);
  assert.match(error.message, new RegExp(`\\btask ${id + 1} \\(wander\\)`));
});

contexts.it("after an await, in a timer, under a deadline: the same", async () => {
  await using pool = await AsyncPool.open(1);
  for (const view of [pool, pool.with({ timeout: 5_000 })]) {
    const [before, after] = await view.async(toldLater, 3);
    assert.deepEqual(before, after);
    assert.deepEqual((await view.async(told)).id, before!.id + 1);
  }
});

contexts.it("in an inline function; the same object each time", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(await pool.async(() => taskContext() === taskContext()), true);
});

contexts.it("where none runs it throws, and says where it would not", async () => {
  const find = () => taskContext();
  assert.throws(find, (error) => error instanceof BsyncError && error.code === "BSYNC_NO_TASK");
  assert.throws(find, /taskContext\(\) was called where none runs/);
  await using pool = await AsyncPool.open(1);
  // Whatever a task began.
  await pool.async(told);
  assert.throws(find, BsyncError);
});

let atStart: Told | undefined;

function initialize(): void {
  atStart = told();
}

contexts.itPerSize("in an initializer: task 0 of the worker", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers, { initializer: initialize });
  const seen = await pool.each(() => atStart);
  assert.deepEqual(
    seen,
    pool.workers.map(({ index, rank }) => ({
      id: 0,
      attempt: 1,
      worker: index,
      rank,
      localIndex: seen[index]!.localIndex,
      aborted: false,
    })),
  );
});

let abandoned: Promise<Told & { reason: unknown }> | undefined;

async function askLate(path: string): Promise<unknown> {
  abandoned = (async () => {
    await passGate(path);
    return { ...told(), reason: (taskContext().signal.reason as Error).name };
  })();
  return await abandoned;
}

async function askBeside(path: string): Promise<[Told, Told & { reason: unknown }, Told]> {
  const before = told();
  writeFileSync(join(path, "open"), "");
  const other = await abandoned!;
  return [before, other, told()];
}

contexts.it("one that was given up and goes on has its own, the next one another", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  await timesOutBegun(
    (timeout) => pool.with({ timeout }).async(askLate, gate.path),
    () => existsSync(join(gate.path, "reached-0")),
  );
  const [before, other, after] = await pool.async(askBeside, gate.path);
  assert.deepEqual(before, after);
  assert.equal(before.aborted, false);
  assert.equal(other.id, before.id - 1);
  assert.deepEqual([other.aborted, other.reason], [true, "TimeoutError"]);
});

const aborts: unknown[] = [];

/** Tells how its signal aborted; never ends. */
async function listen(path: string): Promise<never> {
  const { id, signal } = taskContext();
  signal.addEventListener("abort", () => {
    const { name, message } = signal.reason as Error;
    aborts.push([name, message.includes(`task ${id} (listen)`), taskContext().id === id]);
  });
  await passGate(path, undefined, id);
  return await new Promise(() => {});
}

function takeAborts(): unknown[] {
  return aborts.splice(0);
}

contexts.it("the signal aborts on timeout, cancel and AbortSignal", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(takeAborts);
  const ends = [
    async (path: string) => {
      await timesOutBegun(
        (timeout) => pool.with({ timeout }).async(listen, path),
        () => readdirSync(path).length > 0,
      );
      return "TimeoutError";
    },
    async (path: string, begun: () => Promise<void>) => {
      const handle = pool.async(listen, path);
      await begun();
      handle.cancel();
      return "CancelledError";
    },
    async (path: string, begun: () => Promise<void>) => {
      const controller = new AbortController();
      pool.with({ signal: controller.signal }).async(listen, path);
      await begun();
      controller.abort("enough");
      return "CancelledError";
    },
  ];
  for (const end of ends) {
    using gate = new Gate();
    const { id } = await pool.async(told);
    const begun = () =>
      until("the task to begin", () => existsSync(join(gate.path, `reached-${id + 1}`)));
    const name = await end(gate.path, begun);
    assert.deepEqual(await pool.async(takeAborts), [[name, true, true]]);
  }
});

async function noteAbort(path: string): Promise<never> {
  const { signal } = taskContext();
  signal.addEventListener("abort", () => {
    writeFileSync(join(path, "aborted"), (signal.reason as Error).name);
  });
  await passGate(path);
  return await new Promise(() => {});
}

contexts.it(
  "the signal aborts when the pool is terminated, on a rank that lives on",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(1);
    const handle = pool.async(noteAbort, gate.path);
    await gate.reached();
    await pool.terminate();
    await failure(handle, CancelledError);
    await until("the signal to abort", () => existsSync(join(gate.path, "aborted")));
  },
  { processes: false },
);

let old: AbortSignal | undefined;

function keepSignal(): void {
  old = taskContext().signal;
}

function forgetSignal(): void {
  old = undefined;
}

function keepsSignal(): boolean {
  return old !== undefined;
}

function loopWithSignal(): void {
  keepSignal();
  for (;;);
}

contexts.it("the signal of a task that has ended well does not abort", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(keepSignal);
  await failure(pool.with({ timeout: 20 }).async(stuck.wander), TimeoutError);
  assert.equal(await pool.async(() => old?.aborted), false);
});

contexts.it("a synchronous task that was interrupted: its signal has aborted", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(forgetSignal);
  await timesOutBegun(
    (timeout) => pool.with({ timeout }).async(loopWithSignal),
    () => pool.async(keepsSignal),
  );
  assert.equal(await pool.async(() => (old?.reason as Error).name), "TimeoutError");
  // Nothing of it is left in what comes after.
  const { id } = await pool.async(told);
  const after = await pool.async(toldLater, 1);
  assert.deepEqual(
    after.map((context) => [context.id, context.aborted]),
    [
      [id + 1, false],
      [id + 1, false],
    ],
  );
});

contexts.it("a listener that blocks or throws costs nobody else", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const { id } = await pool.async(told);
  const handle = pool.async(blockWhenAborted, gate.path);
  await until("the task to begin", () => existsSync(join(gate.path, `reached-${id + 1}`)));
  handle.cancel();
  const next = pool.async(told);
  await failure(handle, CancelledError);
  await gate.reached();
  gate.open();
  assert.equal((await next).id, id + 2);
});

async function blockWhenAborted(path: string): Promise<never> {
  const { id, signal } = taskContext();
  signal.addEventListener("abort", () => void blockAtGate(path));
  writeFileSync(join(path, `reached-${id}`), "");
  return await new Promise(() => {});
}

function dieUntil(attempt: number): Told {
  const context = told();
  if (context.attempt < attempt) process.exit(context.attempt);
  return context;
}

contexts.it(
  "attempt counts the workers that were lost under the task",
  async () => {
    await using pool = await AsyncPool.open(1);
    const last = await pool.with({ retries: 3 }).async(dieUntil, 3);
    assert.equal(last.attempt, 3);
    const timed = await pool.with({ retries: 3, timeout: 5_000 }).async(dieUntil, 3);
    assert.deepEqual([timed.attempt, timed.id], [3, last.id + 1]);
    assert.equal((await pool.async(told)).attempt, 1);
    const given = await failure(pool.with({ retries: 1 }).async(dieUntil, 9), WorkerLostError);
    assert.equal(given.exitCode, 2);
  },
  { modes: ["local"] },
);

async function openThere(options: PoolOptions): Promise<number> {
  await using pool = await AsyncPool.open(1, options);
  return await pool.async("Math.hypot", 3, 4);
}

contexts.itPerSize("a task's own pool has local processes", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  for (const result of await pool.each(openThere, { mpi: false })) assert.equal(result, 5);
});

contexts.itPerSize(
  "a task on a rank that opens a pool of ranks, or its initializer, is refused",
  async ({ workers, isolated }) => {
    await using pool = await AsyncPool.open(workers);
    if (isolated) return assert.equal(await pool.async(openThere, {}), 5);
    const options = { initializer: [openThere, {}] } as const;
    // A process may be among the workers, and may open any pool.
    const rank = pool.with({ worker: pool.workers.findIndex(({ rank }) => rank !== null) });
    const submits = [() => rank.async(openThere, {}), () => AsyncPool.open([1], options)];
    for (const submit of submits) {
      const error = await failure(submit(), BsyncError);
      assert.equal(error.code, "BSYNC_IN_TASK");
      assert.match(error.message, /^Cannot open a pool in .*\(openThere\).*\{ mpi: false \}/);
    }
    assert.equal(await pool.async("Math.hypot", 3, 4), 5);
  },
  { modes: MPI },
);
