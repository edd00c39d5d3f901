import {
  AsyncPool,
  CancelledError,
  type PoolOptions,
  taskContext,
  TimeoutError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { STUCK_MS } from "../../../src/os/waits.ts";
import { blockAtGate, blockAtGateLater, Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** Pools whose workers may have several calls under way. */
export const concurrency = new Subject("concurrency");

const MANY: PoolOptions = { concurrency: 3 };
const PROCESSES = { processes: true } as const;

/** Ends by its own process. */
async function exitLater(path: string): Promise<void> {
  await passGate(path);
  process.exit(3);
}

async function tellContext(path: string, number: number): Promise<number[]> {
  const before = taskContext();
  await passGate(path, undefined, number);
  const { id, worker } = taskContext();
  return [before.id, id, worker];
}

/** Waits until its signal aborts. */
async function untilAborted(path: string, number: number): Promise<void> {
  const { signal } = taskContext();
  await Promise.race([
    passGate(path, undefined, number),
    new Promise((resolve) => signal.addEventListener("abort", resolve)),
  ]);
}

concurrency.it("so many asynchronous calls run at once on a worker, and no more", async () => {
  await using pool = await AsyncPool.open(1, MANY);
  using gate = new Gate();
  const handles = numbers(5).map((i) => pool.async(passGate<number>, gate.path, i, i));
  await gate.reached(3);
  assert.deepEqual(
    [pool.workers[0]!.state, ...handles.map(({ state }) => state)],
    ["busy", "running", "running", "running", "queued", "queued"],
  );
  gate.open();
  assert.deepEqual(await Promise.all(handles), numbers(5));
  assert.equal(pool.workers[0]!.state, "idle");
});

concurrency.it("one call after another without it", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  const handles = numbers(2).map((i) => pool.async(passGate<number>, gate.path, i, i));
  await gate.reached(1);
  assert.deepEqual(
    handles.map(({ state }) => state),
    ["running", "queued"],
  );
  gate.open();
  await Promise.all(handles);
});

concurrency.itPerSize(
  "workers without a call come first, then all take turns",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers, MANY);
    using gate = new Gate();
    const first = numbers(workers).map((i) => pool.async(passGate<number>, gate.path, i, i));
    assert.equal(new Set(first.map(({ worker }) => worker)).size, workers);
    const more = numbers(2 * workers).map((i) =>
      pool.async(passGate<number>, gate.path, i, workers + i),
    );
    await gate.reached(3 * workers);
    const counts = numbers(workers).map(
      (index) => [...first, ...more].filter(({ worker }) => worker === index).length,
    );
    assert.deepEqual(counts, Array(workers).fill(3));
    gate.open();
    await Promise.all([...first, ...more]);
  },
);

concurrency.it("each call has a context of its own", async () => {
  await using pool = await AsyncPool.open(1, MANY);
  using gate = new Gate();
  const handles = numbers(3).map((i) => pool.async(tellContext, gate.path, i));
  await gate.reached(3);
  gate.open();
  assert.deepEqual(await Promise.all(handles), [
    [1, 1, 0],
    [2, 2, 0],
    [3, 3, 0],
  ]);
});

let turn = 0;

/** How many calls of it have begun before on this worker. */
function takeTurn(): number {
  return turn++;
}

concurrency.it("synchronous code has the thread to itself, and the order stays", async () => {
  await using pool = await AsyncPool.open(1, MANY);
  const turns = await Promise.all(numbers(200).map(() => pool.async(takeTurn)));
  assert.deepEqual(turns, numbers(200, turns[0]!));
});

concurrency.it("a call that has a timeout fails alone, and makes room", async () => {
  await using pool = await AsyncPool.open(1, MANY);
  using gate = new Gate();
  const kept = pool.async(passGate<string>, gate.path, "kept", 0);
  const late = numbers(2).map((i) =>
    pool.with({ timeout: 40 }).async(untilAborted, gate.path, 1 + i),
  );
  for (const handle of late) await failure(handle, TimeoutError);
  assert.equal(await pool.async(square, 5), 25);
  assert.equal(kept.state, "running");
  gate.open();
  assert.equal(await kept, "kept");
});

concurrency.it("a call is cancelled alone: its signal aborts, the others go on", async () => {
  await using pool = await AsyncPool.open(1, MANY);
  using gate = new Gate();
  const [one, two, three] = numbers(3).map((i) => pool.async(untilAborted, gate.path, i));
  const fourth = pool.async(square, 4);
  await gate.reached(3);
  two!.cancel();
  await failure(two!, CancelledError);
  assert.equal(await fourth, 16);
  gate.open();
  await Promise.all([one, three]);
});

concurrency.it(
  "calls behind one that holds the thread go to a worker that is free",
  async () => {
    await using pool = await AsyncPool.open(2, MANY);
    using gate = new Gate();
    using other = new Gate();
    const held = pool.async(blockAtGate<string>, gate.path, "held");
    await gate.reached();
    const also = pool.async(blockAtGate<string>, other.path, "also");
    await other.reached();
    const behind = numbers(4).map((i) => pool.async(square, i));
    other.open();
    assert.equal(await also, "also");
    assert.deepEqual(await Promise.all(behind), numbers(4).map(square));
    assert.equal(held.state, "running");
    gate.open();
    assert.equal(await held, "held");
  },
  { workers: 2 },
);

concurrency.it(
  "a worker that is lost: calls that it had begun are charged, each, the others start again",
  async () => {
    await using pool = await AsyncPool.open(1, MANY);
    using gate = new Gate();
    using end = new Gate();
    const again = pool.with({ retries: 1 }).async(tellContext, gate.path, 0);
    const lost = pool.async(passGate<string>, gate.path, "lost", 1);
    const exits = pool.async(exitLater, end.path);
    const behind = numbers(4).map((i) => pool.async(square, i));
    await gate.reached(2);
    await end.reached();
    end.open();
    await failure(exits, WorkerLostError);
    await failure(lost, WorkerLostError);
    assert.deepEqual(await Promise.all(behind), numbers(4).map(square));
    gate.open();
    assert.deepEqual(await again, [1, 1, 0]);
  },
  PROCESSES,
);

concurrency.it(
  "a process that dies with calls under way fails them all, and what is queued runs on another",
  async () => {
    await using pool = await AsyncPool.open(1, MANY);
    using gate = new Gate();
    const begun = numbers(3).map((i) => pool.async(passGate<number>, gate.path, i, i));
    const queued = numbers(3).map((i) => pool.async(square, i));
    await gate.reached(3);
    process.kill(pool.workers[0]!.pid, "SIGKILL");
    for (const handle of begun) await failure(handle, WorkerLostError);
    assert.deepEqual(await Promise.all(queued), numbers(3).map(square));
  },
  { processes: true, modes: ["local"] },
);

concurrency.it(
  "a cancelled call that keeps the thread costs its process, and the calls beside it",
  async () => {
    await using pool = await AsyncPool.open(1, MANY);
    using gate = new Gate();
    using other = new Gate();
    const { pid } = pool.workers[0]!;
    const beside = pool.async(passGate<string>, other.path, "beside");
    await other.reached();
    const stuck = pool.async(blockAtGateLater, gate.path);
    await gate.reached();
    stuck.cancel();
    await failure(beside, WorkerLostError);
    assert.equal(await pool.async(square, 3), 9);
    assert.notEqual(pool.workers[0]!.pid, pid);
  },
  PROCESSES,
);

concurrency.it(
  "a cancelled call beside one that has the thread rightly waits for it, and costs nothing",
  async () => {
    await using pool = await AsyncPool.open(1, MANY);
    using gate = new Gate();
    using other = new Gate();
    const beside = pool.async(untilAborted, other.path, 0);
    await other.reached();
    const long = pool.async(blockAtGate<string>, gate.path, "long");
    await gate.reached();
    const { pid } = pool.workers[0]!;
    beside.cancel();
    await failure(beside, CancelledError);
    // The other one has reached its gate before the controller hears that it has begun.
    await until("the worker to be busy", () => pool.workers[0]!.state === "busy");
    // Longer than a worker has that is stuck.
    await new Promise((resolve) => setTimeout(resolve, STUCK_MS + 300));
    gate.open();
    assert.equal(await long, "long");
    assert.deepEqual([await pool.async(square, 3), pool.workers[0]!.pid], [9, pid]);
  },
  { ...PROCESSES, slow: true },
);

concurrency.it("queueLimit: what can run at once does not wait", async () => {
  await using pool = await AsyncPool.open(1, { ...MANY, queueLimit: 0 });
  using gate = new Gate();
  const handles = numbers(3).map((i) => pool.async(passGate<number>, gate.path, i, i));
  assert.throws(() => pool.async(square, 1), { code: "BSYNC_QUEUE_FULL" });
  const room = pool.room();
  gate.open();
  await room;
  assert.equal(await pool.async(square, 2), 4);
  await Promise.all(handles);
});

concurrency.it("each reaches a worker that has calls under way, and room", async () => {
  await using pool = await AsyncPool.open(1, MANY);
  using gate = new Gate();
  const handles = numbers(2).map((i) => pool.async(passGate<number>, gate.path, i, i));
  await gate.reached(2);
  assert.deepEqual(await pool.each(square, 4), [16]);
  gate.open();
  await Promise.all(handles);
});

concurrency.it("close waits for all, terminate for none", async () => {
  using gate = new Gate();
  const pool = await AsyncPool.open(1, MANY);
  const handles = numbers(5).map((i) => pool.async(passGate<number>, gate.path, i, i));
  await gate.reached(3);
  const closed = pool.close();
  gate.open();
  await closed;
  assert.deepEqual(await Promise.all(handles), numbers(5));
  using never = new Gate();
  const other = await AsyncPool.open(1, MANY);
  const lost = numbers(4).map((i) => other.async(untilAborted, never.path, i));
  await never.reached(3);
  await other.terminate();
  for (const handle of lost) await failure(handle, CancelledError);
});

concurrency.it(
  "maxTasksPerWorker: a process goes when all its calls are answered",
  async () => {
    await using pool = await AsyncPool.open(1, { ...MANY, maxTasksPerWorker: 4 });
    const pids = await Promise.all(numbers(12).map(() => pool.async(pidLater)));
    const counts = [...new Set(pids)].map((pid) => pids.filter((other) => other === pid).length);
    assert.deepEqual(counts, [4, 4, 4]);
  },
  PROCESSES,
);

concurrency.it("in the controller's own process, with inline", async () => {
  await using pool = await AsyncPool.open(1, { ...MANY, inline: true, isolate: false });
  const ends = numbers(3).map(() => Promise.withResolvers<number>());
  const handles = ends.map(({ promise }) => pool.async(() => promise));
  ends.reverse().forEach(({ resolve }, i) => resolve(i));
  assert.deepEqual(await Promise.all(handles), [2, 1, 0]);
});

async function pidLater(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 2));
  return process.pid;
}
