import { openSync } from "node:fs";
import { AsyncPool, type MessageHandle, QueueFullError, WorkerLostError } from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { limitFiles, openFiles } from "../files.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";
import { isAlive } from "../alive.ts";

/** How many tasks a worker may have, how much memory, and how many may wait. */
export const limits = new Subject("limits");

const PROCESSES = { processes: true } as const;

let prepared = 0;

function prepare(): void {
  prepared = process.pid;
}

/** Which process ran task `i`, and whether it had been prepared. */
function whoRuns(i: number): [i: number, pid: number, prepared: boolean] {
  return [i, process.pid, prepared === process.pid];
}

async function whoRunsLater(i: number): Promise<[i: number, pid: number, prepared: boolean]> {
  await new Promise((resolve) => setTimeout(resolve, i % 3));
  return whoRuns(i);
}

/** Runs so many tasks; how many each process had. Fails unless all ran once, on a prepared process. */
async function spread(pool: AsyncPool, tasks: number): Promise<number[]> {
  const handles = Array.from({ length: tasks }, (_, i) =>
    pool.async(i % 5 === 0 ? whoRunsLater : whoRuns, i),
  );
  const counts = new Map<number, number>();
  for (const [i, handle] of handles.entries()) {
    const [number, pid, isPrepared] = await handle;
    assert.deepEqual([number, isPrepared], [i, true]);
    counts.set(pid, (counts.get(pid) ?? 0) + 1);
  }
  return [...counts.values()];
}

limits.it(
  "maxTasksPerWorker: a process is replaced after so many, its initializer run again",
  async () => {
    await using pool = await AsyncPool.open(2, { maxTasksPerWorker: 7, initializer: prepare });
    const counts = await spread(pool, 70);
    assert.ok(
      counts.every((count) => count <= 7),
      `${counts}`,
    );
    assert.ok(counts.length >= 10, `${counts}`);
    assert.deepEqual([pool.size, pool.workers.map(({ index }) => index)], [2, [0, 1]]);
  },
  { slow: true, ...PROCESSES, workers: 2 },
);

limits.it(
  "maxTasksPerWorker 1: a process for each task, be it pinned, failing or cancelled",
  async () => {
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 1 });
    const pids = [await pool.async(() => process.pid), ...(await pool.each(() => process.pid))];
    await failure(pool.async("JSON.parse", "{"), SyntaxError);
    const running = pool.async(stuck.wander);
    await until("it to start", () => running.state === "running");
    running.cancel();
    pids.push(await pool.async(() => process.pid));
    assert.equal(new Set(pids).size, 3);
  },
  PROCESSES,
);

limits.it(
  "maxTasksPerWorker: the last process goes by itself, its exit handlers run",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 1 });
    const { pid } = pool.workers[0]!;
    await pool.async(openAtExit, gate.path);
    // The next one waits for what the first does when it exits.
    assert.equal(await pool.async(passGate, gate.path, "open"), "open");
    await until("the first one to end", () => !isAlive(pid));
  },
  PROCESSES,
);

/** Opens all files that this process may; returns its pid. */
function useUpFiles(count: number): number {
  limitFiles(openFiles().length + count);
  try {
    for (;;) openSync("/dev/null", "r");
  } catch {
    return process.pid;
  }
}

limits.it(
  "maxMemoryPerWorker: a process whose tasks leave it no file to look with stays",
  async () => {
    await using pool = await AsyncPool.open(1, { maxMemoryPerWorker: 2 ** 40 });
    const pid = await pool.async(useUpFiles, 8);
    assert.deepEqual([await pool.async(square, 3), pool.workers[0]!.pid], [9, pid]);
  },
  { modes: ["local"] },
);

function openAtExit(path: string): void {
  process.on("exit", () => require("node:fs").writeFileSync(`${path}/open`, ""));
}

limits.it(
  "maxTasksPerWorker: one that does not go when it is let go is killed",
  async () => {
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 1 });
    const { pid } = pool.workers[0]!;
    await pool.async(() => queueMicrotask(() => stuck.loop()));
    assert.equal(await pool.async(square, 3), 9);
    assert.equal(isAlive(pid), false);
  },
  PROCESSES,
);

limits.it(
  "maxTasksPerWorker: one that never ends its exit handlers is killed, too",
  async () => {
    await using pool = await AsyncPool.open(1, { maxTasksPerWorker: 1 });
    const { pid } = pool.workers[0]!;
    await pool.async(() => void process.on("exit", () => stuck.loop()));
    assert.equal(await pool.async(square, 3), 9);
    await until("it to end", () => !isAlive(pid));
  },
  PROCESSES,
);

const hoard: Uint8Array[] = [];

function grow(bytes: number): number {
  hoard.push(new Uint8Array(bytes).fill(1));
  return process.pid;
}

async function growLater(bytes: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return grow(bytes);
}

const MIB = 2 ** 20;

limits.it(
  "maxMemoryPerWorker: a process past it is replaced after the task, before the next",
  async () => {
    await using pool = await AsyncPool.open(1, {
      maxMemoryPerWorker: 250 * MIB,
      initializer: prepare,
    });
    const { pid } = pool.workers[0]!;
    // What is below it changes nothing.
    assert.equal(await pool.async(grow, 10 * MIB), pid);
    for (const task of [grow, growLater]) {
      const before = await pool.async(() => process.pid);
      assert.equal(await pool.async(task, 300 * MIB), before);
      const [, after, isPrepared] = await pool.async(whoRuns, 0);
      assert.notEqual(after, before);
      assert.equal(isPrepared, true);
    }
  },
  { ...PROCESSES, slow: true },
);

limits.it(
  "maxMemoryPerWorker: what is queued behind runs once, on the next one",
  async () => {
    await using pool = await AsyncPool.open(2, {
      maxMemoryPerWorker: 250 * MIB,
      initializer: prepare,
    });
    const growing = Array.from({ length: 4 }, () => pool.async(grow, 300 * MIB));
    const counts = await spread(pool, 50);
    assert.equal(new Set(await Promise.all(growing)).size, 4);
    assert.ok(counts.length >= 1);
  },
  { ...PROCESSES, workers: 2, slow: true },
);

limits.it(
  "maxMemoryPerWorker below what a process needs to live: one task each, and all run",
  async () => {
    await using pool = await AsyncPool.open(1, { maxMemoryPerWorker: 1 });
    // A look at the memory is left out where the last one was just before.
    const pids = new Set<number>();
    for (let i = 0; i < 4; i++) pids.add(await pool.async(growLater, 1));
    assert.equal(pids.size, 4);
  },
  PROCESSES,
);

limits.itPerSize(
  "maxTasksPerWorker and maxMemoryPerWorker do not concern ranks",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers, {
      maxTasksPerWorker: 1,
      maxMemoryPerWorker: 1,
    });
    for (let i = 0; i < 5; i++) await pool.each(growLater, 1);
    const { pid } = pool.workers[0]!;
    assert.ok((await pool.each(() => process.pid)).includes(pid));
  },
  { processes: false },
);

limits.it(
  "maxTasksPerWorker: a pool of ranks and processes replaces the processes",
  async () => {
    await using pool = await AsyncPool.open([1, null], { maxTasksPerWorker: 1 });
    const first = await pool.each(() => process.pid);
    const second = await pool.each(() => process.pid);
    assert.equal(second[0], first[0]);
    assert.notEqual(second[1], first[1]);
  },
  { processes: false },
);

limits.it("queueLimit: past it async throws, and nothing that is queued is lost", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1, { queueLimit: 3 });
  const first = pool.async(passGate, gate.path, "first");
  await gate.reached();
  const queued: MessageHandle<unknown>[] = [1, 2, 3].map((x) => pool.async(square, x));
  const submit = () => pool.async(square, 4);
  for (const view of [pool, pool.with({ priority: -1 })]) {
    assert.throws(
      () => view.async(square, 4),
      (error) => error instanceof QueueFullError && error.code === "BSYNC_QUEUE_FULL",
    );
  }
  assert.throws(submit, /Cannot call square: 3 tasks wait for a worker, and queueLimit is 3; /);
  // One that is cancelled makes room for another.
  queued[1]!.cancel();
  queued.push(submit());
  assert.throws(submit, QueueFullError);
  gate.open();
  assert.deepEqual(await Promise.all([first, queued[0], queued[2], queued[3]]), [
    "first",
    1,
    9,
    16,
  ]);
  assert.equal(await submit(), 16);
});

limits.itPerSize("queueLimit 0: nothing waits", async ({ workers }) => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(workers, { queueLimit: 0 });
  assert.equal(await pool.async(square, 3), 9);
  const running = Array.from({ length: workers }, (_, i) => pool.async(passGate, gate.path, i, i));
  await gate.reached(workers);
  assert.throws(() => pool.async(square, 3), QueueFullError);
  gate.open();
  await Promise.all(running);
  assert.equal(await pool.async(square, 3), 9);
});

limits.it("queueLimit: what is on its way to a worker does not wait", async () => {
  await using pool = await AsyncPool.open(1, { queueLimit: 5 });
  // One may run and five may wait. Calls known to be short, which takes some of them, are sent behind others.
  await until("more than six to be taken", async () => {
    const handles = Array.from({ length: 20 }, (_, i) => {
      try {
        return pool.async(square, i);
      } catch (error) {
        assert.ok(error instanceof QueueFullError);
        return null;
      }
    });
    for (const [i, handle] of handles.entries()) if (handle) assert.equal(await handle, i * i);
    return handles.filter((handle) => handle !== null).length > 6;
  });
});

limits.itPerSize("queueLimit: each is for all workers or none", async ({ workers }) => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(workers, { queueLimit: workers - 1 });
  // Workers that are idle begin at once: nothing waits.
  assert.equal((await pool.each(square, 2)).length, workers);
  const running = Array.from({ length: workers }, (_, i) => pool.async(passGate, gate.path, i, i));
  await gate.reached(workers);
  await failure(pool.each(square, 2), QueueFullError);
  gate.open();
  await Promise.all(running);
  assert.equal((await pool.each(square, 2)).length, workers);
});

limits.it(
  "queueLimit: a task that goes back to the queue stays in it, however full",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1, { queueLimit: 1 });
    const running = pool.with({ retries: 1 }).async(passGate, gate.path, "again");
    await gate.reached();
    const queued = pool.async(square, 3);
    const lost = pool.workers[0]!.pid;
    process.kill(lost, "SIGKILL");
    await until("another in its place", () => ![0, lost].includes(pool.workers[0]!.pid));
    gate.open();
    assert.deepEqual([await running, await queued], ["again", 9]);
    await failure(pool.async("() => process.exit(1)"), WorkerLostError);
  },
  PROCESSES,
);
