import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  AsyncPool,
  CancelledError,
  type MessageHandle,
  PoolClosedError,
  WorkerLostError,
} from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";

/** A signal brings a pool to its end. The programs of test/drain.test.ts get theirs from outside. */
export const draining = new Subject("draining");

const SIGNAL = "SIGUSR2";
const LOCAL = { modes: ["local"] } as const;

const send = (pid = process.pid) => process.kill(pid, SIGNAL);
const listeners = () => process.listenerCount(SIGNAL);
/** Those of earlier cases stay until their drainTimeout is over. */
const forgetListeners = () => void process.removeAllListeners(SIGNAL);

/** A pool of one worker that runs a task at the gate, with others that wait; a signal, and it is heard. */
async function drained(
  gate: Gate,
  drainTimeout: number,
  retries = 0,
): Promise<{ pool: AsyncPool; running: MessageHandle<unknown>; queued: MessageHandle<unknown>[] }> {
  const pool = await AsyncPool.open(1, { drainSignals: SIGNAL, drainTimeout, retries });
  const running = pool.async(passGate, gate.path, "ended");
  await gate.reached();
  const queued = [pool.async(square, 1), pool.with({ priority: -1 }).async(square, 2)];
  send();
  await until("the signal to be heard", () => queued[0]!.state === "cancelled");
  return { pool, running, queued };
}

draining.it(
  "what waits is cancelled at once, what runs may end, and nothing more comes in",
  async () => {
    using gate = new Gate();
    const { pool, running, queued } = await drained(gate, 5_000);
    for (const handle of queued) {
      const error = await failure(handle, CancelledError);
      assert.equal(error.cause, SIGNAL);
      assert.match(error.message, /^task \d+ \(square\) was cancelled: SIGUSR2 came/);
    }
    assert.equal(running.state, "running");
    assert.throws(
      () => pool.async(square, 3),
      (error) => error instanceof PoolClosedError && /closed by SIGUSR2/.test(error.message),
    );
    await failure(pool.each(square, 3), PoolClosedError);
    gate.open();
    assert.equal(await running, "ended");
    await until("the workers to be let go", () => pool.workers[0]!.state === "gone");
    await pool.close();
    await pool.terminate();
  },
);

draining.it("close waits for what runs, and for the end of it all", async () => {
  using gate = new Gate();
  const { pool, running } = await drained(gate, 5_000);
  const closed = pool.close().then(() => running.state);
  gate.open();
  assert.equal(await closed, "done");
  assert.equal(pool.workers[0]!.state, "gone");
});

draining.it("what runs longer than drainTimeout is cancelled, too", async () => {
  using gate = new Gate();
  const { pool, running } = await drained(gate, 100);
  const error = await failure(running, CancelledError);
  assert.equal(error.cause, SIGNAL);
  assert.match(error.message, /it did not end within 100 ms/);
  await pool.close();
  assert.equal(pool.workers[0]!.state, "gone");
});

draining.it("while a close is under way, which ends with it", async () => {
  using gate = new Gate();
  const pool = await AsyncPool.open(1, { drainSignals: [SIGNAL], drainTimeout: 5_000 });
  const running = pool.async(passGate, gate.path, "ended");
  await gate.reached();
  const queued = pool.async(square, 1);
  const closed = pool.close();
  send();
  await failure(queued, CancelledError);
  gate.open();
  await closed;
  assert.equal(await running, "ended");
});

draining.it("terminate does not wait for what still may run", async () => {
  using gate = new Gate();
  const { pool, running } = await drained(gate, 60_000);
  await pool.terminate("at once");
  assert.equal((await failure(running, CancelledError)).cause, "at once");
  await pool.close();
});

draining.it(
  "further signals mean nothing until drainTimeout is over; then nobody listens",
  async () => {
    forgetListeners();
    using gate = new Gate();
    const before = listeners();
    const { pool, running } = await drained(gate, 400);
    send();
    send();
    gate.open();
    assert.equal(await running, "ended");
    await pool.close();
    assert.equal(listeners(), before + 1);
    send();
    await until("the listener to go", () => listeners() === before);
  },
);

draining.it("a pool that is closed without a signal leaves no listener", async () => {
  forgetListeners();
  const before = listeners();
  const pools = [1, 2].map(() => AsyncPool.open([1], { drainSignals: [SIGNAL, "SIGUSR1"] }));
  const [first, second] = await Promise.all(pools);
  assert.equal(listeners(), before + 2);
  await first!.close();
  await second!.terminate();
  assert.equal(listeners(), before);
  assert.equal(process.listenerCount("SIGUSR1"), 0);
});

draining.it("each pool that has the option, and no other", async () => {
  forgetListeners();
  using gate = new Gate();
  await using other = await AsyncPool.open(1);
  const outside = other.async(passGate, gate.path, "outside", 7);
  const { pool } = await drained(gate, 100);
  await pool.close();
  gate.open();
  assert.equal(await outside, "outside");
  assert.equal(await other.async(square, 3), 9);
  await until("the listener to go", () => listeners() === 0);
});

draining.it("while a pool opens: open rejects", async () => {
  forgetListeners();
  using gate = new Gate();
  const opening = AsyncPool.open(1, {
    drainSignals: SIGNAL,
    drainTimeout: 50,
    initializer: [passGate, gate.path],
  });
  const rejected = failure(opening, CancelledError);
  await gate.reached();
  send();
  assert.equal((await rejected).cause, SIGNAL);
  gate.open();
  await until("the listener to go", () => listeners() === 0);
});

draining.itPerSize("workers leave the signal to the controller", async ({ workers }) => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(workers, { drainSignals: SIGNAL });
  const running = Array.from({ length: workers }, (_, i) => pool.async(passGate, gate.path, i, i));
  await gate.reached(workers);
  for (const { pid } of pool.workers) send(pid);
  gate.open();
  assert.deepEqual(
    await Promise.all(running),
    running.map((_, i) => i),
  );
  assert.deepEqual(
    await pool.each(() => process.pid),
    pool.workers.map(({ pid }) => pid),
  );
});

async function dieAtGate(path: string): Promise<never> {
  appendFileSync(join(path, "runs"), "x");
  await passGate(path);
  process.exit(3);
}

draining.it(
  "a worker that is lost meanwhile is not replaced, nor is its task begun again",
  async () => {
    using gate = new Gate();
    const pool = await AsyncPool.open(1, {
      drainSignals: SIGNAL,
      drainTimeout: 10_000,
      retries: 5,
    });
    const running = pool.async(dieAtGate, gate.path);
    await gate.reached();
    const queued = pool.async(square, 1);
    send();
    await failure(queued, CancelledError);
    gate.open();
    await failure(running, WorkerLostError);
    await pool.close();
    assert.equal(readFileSync(join(gate.path, "runs"), "utf8"), "x");
    assert.equal(pool.workers[0]!.state, "gone");
  },
  LOCAL,
);
