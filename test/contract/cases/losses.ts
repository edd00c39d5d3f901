import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AsyncPool,
  BsyncError,
  taskContext,
  TimeoutError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { isAlive } from "../alive.ts";
import { limitFiles, openFiles } from "../files.ts";
import { harmless } from "../fixtures/deadly.ts";
import { square } from "../fixtures/functions.ts";
import { loopLater } from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";

/** A rank that dies takes its job along; a process is replaced, and so is a rank's child. */
export const losses = new Subject("losses");

const PROCESSES = { processes: true } as const;

function exit(code: number): void {
  process.exit(code);
}

function killMyself(signal: string): void {
  process.kill(process.pid, signal);
  for (;;) Bun.sleepSync(10);
}

losses.it(
  "a task that exits fails with the code; the rest goes on",
  async () => {
    await using pool = await AsyncPool.open(1);
    const { pid, rank } = pool.workers[0]!;
    const bad = pool.async(exit, 7);
    const behind = [1, 2, 3].map((x) => pool.async(square, x));
    const error = await failure(bad, WorkerLostError);
    assert.deepEqual([error.code, error.worker, error.rank], ["BSYNC_WORKER_LOST", 0, rank]);
    assert.deepEqual([error.pid, error.exitCode, error.signal], [pid, 7, null]);
    assert.equal(bad.state, "failed");
    assert.deepEqual(await Promise.all(behind), [1, 4, 9]);
    assert.notEqual(pool.workers[0]!.pid, pid);
  },
  PROCESSES,
);

losses.it(
  "exit with 0 is a loss, too",
  async () => {
    await using pool = await AsyncPool.open(1);
    assert.equal((await failure(pool.async(exit, 0), WorkerLostError)).exitCode, 0);
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);

losses.it(
  "a task whose process is killed fails with the signal",
  async () => {
    await using pool = await AsyncPool.open(1);
    for (const signal of ["SIGKILL", "SIGSEGV"]) {
      const error = await failure(pool.async(killMyself, signal), WorkerLostError);
      assert.deepEqual([error.exitCode, error.signal], [null, signal]);
      assert.equal(await pool.async(square, 3), 9);
    }
  },
  PROCESSES,
);

/** Calls a program that calls another, whose number it returns: that would run on, and hold what it has inherited. */
async function startSleeper(): Promise<number> {
  const shell = Bun.spawn(["sh", "-c", "sleep 1000 & echo $!; wait"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { value } = await shell.stdout.getReader().read();
  return Number(new TextDecoder().decode(value));
}

losses.it(
  "what tasks have started ends with their worker, however that ends",
  async () => {
    const pool = await AsyncPool.open(1);
    const isOver = (pid: number) => until("what it started to end", () => !isAlive(pid));
    for (const end of ["SIGKILL", "SIGSEGV"]) {
      const pid = await pool.async(startSleeper);
      assert.ok(isAlive(pid));
      await failure(pool.async(killMyself, end), WorkerLostError);
      await isOver(pid);
    }
    const exited = await pool.async(startSleeper);
    await failure(pool.async(exit, 7), WorkerLostError);
    await isOver(exited);
    const closed = await pool.async(startSleeper);
    await pool.close();
    await isOver(closed);
    const other = await AsyncPool.open(1);
    const terminated = await other.async(startSleeper);
    other.async(loopLater).cancel();
    await other.terminate();
    await isOver(terminated);
  },
  PROCESSES,
);

losses.it("a process that the program starts, and that fails, leaves the pool alone", async () => {
  await using pool = await AsyncPool.open(1);
  const program = `import ${JSON.stringify(join(import.meta.dir, "../../../index.ts"))}; process.exit(3)`;
  assert.equal(Bun.spawnSync([process.execPath, "-e", program]).exitCode, 3);
  assert.equal(await pool.async(square, 3), 9);
});

losses.it(
  "one for which the system refuses another process: the pool breaks, and says why",
  async () => {
    // What this process may use again, and how many files it has without the pool's.
    const spare = Array.from({ length: 20 }, () => openSync("/dev/null", "r"));
    const count = openFiles().length;
    const pool = await AsyncPool.open(1);
    const { pid } = pool.workers[0]!;
    using gate = new Gate();
    const running = pool.async(passGate, gate.path);
    const behind = pool.async(square, 2);
    await gate.reached();
    const limit = limitFiles(count);
    try {
      process.kill(pid, "SIGKILL");
      assert.equal((await failure(running, WorkerLostError)).signal, "SIGKILL");
      const error = await failure(behind, BsyncError);
      assert.equal(error.code, "BSYNC_START");
      assert.match(
        error.message,
        /no other process could be started for worker 0 .*\(EMFILE.*ulimit -n/,
      );
    } finally {
      for (const file of spare) closeSync(file);
      limitFiles(limit);
    }
    await pool.terminate();
  },
  { modes: ["local"] },
);

losses.it(
  "an idle process that is killed is replaced, unnoticed",
  async () => {
    await using pool = await AsyncPool.open(2);
    const [first] = pool.workers;
    process.kill(first!.pid, "SIGKILL");
    await until("another in its place", () => ![0, first!.pid].includes(pool.workers[0]!.pid));
    assert.equal((await pool.each(square, 2)).length, 2);
  },
  { ...PROCESSES, workers: 2 },
);

losses.itPerSize(
  "all at once",
  async ({ workers }) => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(workers);
    const running = Array.from({ length: workers }, (_, i) =>
      pool.async(passGate, gate.path, i, i),
    );
    const queued = [1, 2, 3, 4].map((x) => pool.async(square, x));
    await gate.reached(workers);
    for (const { pid } of pool.workers) process.kill(pid, "SIGKILL");
    for (const handle of running) await failure(handle, WorkerLostError);
    assert.deepEqual(await Promise.all(queued), [1, 4, 9, 16]);
  },
  PROCESSES,
);

losses.it(
  "right after its result was sent, which arrives",
  async () => {
    await using pool = await AsyncPool.open(1);
    const exitSoon = () => {
      setTimeout(() => process.exit(1), 0);
      return "sent";
    };
    for (let i = 0; i < 3; i++) {
      const { pid } = pool.workers[0]!;
      assert.equal(await pool.async(exitSoon), "sent");
      await until("another in its place", () => ![0, pid].includes(pool.workers[0]!.pid));
    }
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);

losses.it(
  "while the pool closes",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(2);
    const running = pool.async(passGate, gate.path);
    await gate.reached();
    const { pid } = pool.workers[running.worker!]!;
    const closed = pool.close();
    process.kill(pid, "SIGKILL");
    await failure(running, WorkerLostError);
    await closed;
    assert.ok(!existsSync(`/proc/${pid}`));
  },
  { ...PROCESSES, workers: 2 },
);

losses.it(
  "each time it starts: open rejects, and says how it ended",
  async () => {
    const error = await failure(AsyncPool.open(1, { initializer: [exit, 3] }), WorkerLostError);
    assert.equal(error.exitCode, 3);
    assert.match(error.message, /its initializer, .* may have called process\.exit\(3\)$/);
    await using pool = await AsyncPool.open(1);
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);

losses.it(
  "the initializer runs on the process in its place, too",
  async () => {
    await using pool = await AsyncPool.open(1, {
      initializer: "() => { globalThis.prepared = process.pid }",
    });
    await failure(pool.async(exit, 1), WorkerLostError);
    assert.equal(await pool.async("() => globalThis.prepared === process.pid"), true);
  },
  PROCESSES,
);

losses.it(
  "the message says who, how and why; and how many workers a task has cost",
  async () => {
    await using pool = await AsyncPool.open(1);
    const { pid } = pool.workers[0]!;
    const exited = await failure(pool.async(exit, 7), WorkerLostError);
    assert.match(
      exited.message,
      new RegExp(
        `^Cannot finish task 1 \\(exit\\): worker 0 \\((rank 1, )?pid ${pid}, host \\S+\\) exited with code 7 ` +
          "while running it; .*process\\.exit\\(7\\)$",
      ),
    );
    const killed = pool.with({ retries: 2 }).async(killMyself, "SIGKILL");
    const { message } = await failure(killed, WorkerLostError);
    assert.match(message, /was killed by SIGKILL while running it, as 2 before it; .*memory/);
  },
  PROCESSES,
);

losses.it(
  "while it loads the module of a task: that task is lost, and no other",
  async () => {
    await using pool = await AsyncPool.open(1, { env: { ...process.env, BSYNC_TEST_DEADLY: "1" } });
    const bad = [pool.async(harmless), pool.async(harmless)];
    const good = pool.async("Math.hypot", 3, 4);
    for (const handle of bad) assert.equal((await failure(handle, WorkerLostError)).exitCode, 9);
    assert.equal(await good, 5);
  },
  { modes: ["local"] },
);

/** An initializer: notes that it ran, and ends its process as soon as that serves. */
function dieSoon(marks: string): void {
  appendFileSync(marks, `${process.pid}\n`);
  setTimeout(() => process.exit(4), 0);
}

/** An initializer: notes that it ran, and ends its process if that is not the first one. */
function dieLater(marks: string): void {
  const isFirst = !existsSync(marks);
  appendFileSync(marks, `${process.pid}\n`);
  if (!isFirst) process.exit(5);
}

const started = (marks: string) => readFileSync(marks, "utf8").trim().split("\n").length;

losses.it(
  "each time it has just begun to serve: the pool gives up after the third",
  async () => {
    using gate = new Gate();
    const marks = join(gate.path, "marks");
    await using pool = await AsyncPool.open(1, { initializer: [dieSoon, marks] });
    await until("the pool to give up", () => pool.workers[0]!.state === "gone");
    assert.equal(started(marks), 3);
    assert.throws(
      () => pool.async(square, 1),
      (error) => error instanceof WorkerLostError && error.exitCode === 4,
    );
    assert.throws(() => pool.async(square, 1), /before it did anything, as the 2 before it/);
  },
  PROCESSES,
);

losses.it(
  "each one in its place: what waits fails, and the pool does not start them for ever",
  async () => {
    using gate = new Gate();
    const marks = join(gate.path, "marks");
    await using pool = await AsyncPool.open(1, { initializer: [dieLater, marks] });
    const running = pool.async(passGate, gate.path);
    await gate.reached();
    const queued = [pool.async(square, 1), pool.with({ priority: -1 }).async(square, 2)];
    process.kill(pool.workers[0]!.pid, "SIGKILL");
    assert.equal((await failure(running, WorkerLostError)).signal, "SIGKILL");
    for (const handle of queued) {
      assert.equal((await failure(handle, WorkerLostError)).exitCode, 5);
    }
    assert.equal(started(marks), 4);
  },
  PROCESSES,
);

/** An initializer: notes that it ran, and does not return if it is not the first one. */
async function hangLater(marks: string): Promise<void> {
  const isFirst = !existsSync(marks);
  appendFileSync(marks, `${process.pid}\n`);
  if (!isFirst) await new Promise(() => {});
}

losses.it(
  "one in its place whose initializer hangs is given up after openTimeout; after three so is the pool",
  async () => {
    using gate = new Gate();
    const marks = join(gate.path, "marks");
    const initializer = [hangLater, marks] as const;
    await using pool = await AsyncPool.open(1, { initializer, openTimeout: 3_000 });
    const running = pool.async(passGate, gate.path);
    await gate.reached();
    const queued = pool.async(square, 2);
    // Not by their marks: on a busy machine a process may be given up before it comes to make one.
    const pids = new Set([pool.workers[0]!.pid]);
    using _look = setInterval(() => {
      const { pid } = pool.workers[0]!;
      // 0: between two.
      if (pid !== 0) pids.add(pid);
    }, 20);
    process.kill(pool.workers[0]!.pid, "SIGKILL");
    assert.equal((await failure(running, WorkerLostError)).signal, "SIGKILL");
    const error = await failure(queued, WorkerLostError);
    assert.match(
      error.message,
      /^Cannot keep the pool going: worker 0 .*initializer 3000 ms after/,
    );
    assert.throws(() => pool.async(square, 2), error);
    assert.equal(pids.size, 4, `of ${[...pids].join(", ")}`);
    const isGone = (pid: number) => !existsSync(`/proc/${pid}`);
    await until("all of them to be gone", () => [...pids].every(isGone));
  },
  { ...PROCESSES, slow: true },
);

/** Where it leads to; empty if that is closed by now. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

losses.it(
  "the memory that a worker shares can be opened, or made shorter, by nobody",
  async () => {
    await using pool = await AsyncPool.open(1);
    const shared = (pid: number) =>
      readdirSync(`/proc/${pid}/fd`)
        .map((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
        .filter((path) => path.startsWith("/dev/shm/#"));
    const { pid } = pool.workers[0]!;
    assert.match(readFileSync(`/proc/${pid}/maps`, "latin1"), /\/dev\/shm\/#\d+ \(deleted\)/);
    assert.deepEqual([...shared(pid), ...shared(process.pid)], []);
  },
  PROCESSES,
);

losses.itPerSize(
  "all idle ones at once, and again: they are replaced, and serve",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    for (let i = 0; i < 4; i++) {
      const before = pool.workers.map(({ pid }) => pid);
      for (const pid of before) process.kill(pid, "SIGKILL");
      const others = () =>
        pool.workers.every(({ pid, state }) => state === "idle" && !before.includes(pid));
      await until("others in their places", others);
      assert.equal((await pool.each(square, 2)).length, workers);
    }
  },
  { ...PROCESSES, slow: true },
);

// Every wait of these has a limit of its own: a thread that is held cannot be interrupted.
const SOON = { timeout: 5_000 };

losses.it(
  "getSync of a task whose process ends tells of it, and so does ready",
  async () => {
    await using pool = await AsyncPool.open(1);
    const bad = pool.async(exit, 7);
    assert.throws(
      () => bad.getSync(SOON),
      (error) => error instanceof WorkerLostError && error.exitCode === 7,
    );
    assert.throws(
      () => pool.async(killMyself, "SIGABRT").getSync(SOON),
      (error) => error instanceof WorkerLostError && error.signal === "SIGABRT",
    );
    assert.equal(pool.async(square, 3).getSync(SOON), 9);
    const asked = pool.async(exit, 8);
    const end = performance.now() + SOON.timeout;
    while (!asked.ready() && performance.now() < end) Bun.sleepSync(1);
    assert.equal(asked.state, "failed");
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);

losses.it(
  "getSync of a task that is stuck fails in time, and the next one runs",
  async () => {
    await using pool = await AsyncPool.open(1);
    const view = pool.with({ timeout: 50 });
    assert.throws(() => view.async(loopLater).getSync(SOON), TimeoutError);
    assert.equal(pool.async(square, 3).getSync(SOON), 9);
  },
  PROCESSES,
);

let runs = 0;

/** Dies when its answer, which is longer than any link holds at once, is on its way. */
function dieWhileAnswering(marks: string): Uint8Array {
  appendFileSync(marks, `${++runs}\n`);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), 0);
  return new Uint8Array(20_000_000);
}

losses.it(
  "while its answer is on its way: it is lost, and not run again",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "bsync-test-"));
    try {
      await using pool = await AsyncPool.open(1);
      const marks = join(folder, "marks");
      await failure(pool.async(dieWhileAnswering, marks), WorkerLostError);
      assert.equal(await pool.async(square, 3), 9);
      assert.equal(readFileSync(marks, "utf8"), "1\n");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  PROCESSES,
);

/** Has the thread for ever before any timer of its worker can count its time. */
async function spinLater(): Promise<never> {
  await null;
  for (;;);
}

/** Waits for a task that holds the thread past its timeout; with `first`, for a quick one before. */
async function awaitSpinning(first: boolean): Promise<void> {
  const { pool } = taskContext();
  const quick = pool.async(square, 1);
  const spinning = pool.with({ timeout: 100 }).async(spinLater);
  if (first) await quick;
  await spinning;
}

for (const first of [false, true]) {
  const how = first ? "after it has gone on once" : "at once";
  losses.it(
    `a task whose child holds the thread past its timeout is lost, ${how}, and told why`,
    async () => {
      await using pool = await AsyncPool.open(1);
      const { message } = await failure(pool.async(awaitSpinning, first), WorkerLostError);
      assert.match(
        message,
        /waited there for .* submitted; bsync has ended it, as task \d+ \(spinLater\) still held its thread after it had timed out$/,
      );
      assert.equal(await pool.async(square, 3), 9);
    },
    PROCESSES,
  );
}

losses.it(
  "calls beside one that holds the thread past its timeout are lost, and told why",
  async () => {
    await using pool = await AsyncPool.open(1, { concurrency: 2 });
    using gate = new Gate();
    const beside = pool.async(passGate, gate.path);
    await gate.reached();
    await failure(pool.with({ timeout: 100 }).async(spinLater), TimeoutError);
    const { message } = await failure(beside, WorkerLostError);
    assert.match(message, /; bsync has ended it, as a task still held its thread after it had/);
    assert.equal(await pool.async(square, 3), 9);
  },
  PROCESSES,
);
