import { AsyncPool, CancelledError, taskContext, WorkerLostError } from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** What a pool shows of itself: `pool.stats()`. */
export const watching = new Subject("watching");

function failAlways(): never {
  throw new RangeError("always");
}

function failFirst(): number {
  const { attempt } = taskContext();
  if (attempt === 1) throw new RangeError("the first attempt");
  return attempt;
}

function spinFor(ms: number): number {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
}

function exitAtOnce(): never {
  process.exit(3);
}

const total = (list: readonly { done: number; failed: number }[]) =>
  list.reduce((sum, { done, failed }) => sum + done + failed, 0);

watching.itPerSize("tasks are counted by where they are, and by worker", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const fresh = pool.stats();
  const { queued, running, suspended, done, failed, cancelled, retried, workersLost } = fresh;
  assert.deepEqual([queued, running, suspended, done, failed], [0, 0, 0, 0, 0]);
  assert.deepEqual([cancelled, retried, workersLost, fresh.run.count], [0, 0, 0, 0]);
  using gate = new Gate();
  const held = numbers(workers).map((i) => pool.async(passGate, gate.path, i, i));
  const behind = numbers(5).map((i) => pool.async(square, i));
  await gate.reached(workers);
  const full = pool.stats();
  assert.deepEqual([full.running, full.queued, full.done], [workers, 5, 0]);
  behind[4]!.cancel();
  assert.equal(pool.stats().cancelled, 1);
  assert.equal(pool.stats().queued, 4);
  gate.open();
  await Promise.all([...held, ...behind.slice(0, 4)]);
  await failure(pool.async(failAlways), RangeError);
  const all = pool.stats();
  assert.deepEqual([all.done, all.failed, all.cancelled], [workers + 4, 1, 1]);
  assert.deepEqual([all.queued, all.running], [0, 0]);
  assert.equal(total(all.workers), workers + 5);
  assert.equal(all.run.count, workers + 5);
  assert.equal(all.wait.count, workers + 5);
  await failure(behind[4]!.get(), CancelledError);
});

watching.it("lengths of time are those that functions took", async () => {
  await using pool = await AsyncPool.open(1);
  const handles = [pool.async(square, 1), pool.async(spinFor, 30), pool.async(spinFor, 12)];
  await Promise.all(handles);
  const { run, wait, uptime, workers } = pool.stats();
  const times = handles.map(({ runTime }) => runTime!);
  const sum = times.reduce((a, b) => a + b, 0);
  const isNear = (a: number, b: number) => Math.abs(a - b) < 0.01;
  assert.equal(run.count, 3);
  assert.ok(isNear(run.max, Math.max(...times)) && isNear(run.min, Math.min(...times)));
  assert.ok(isNear(run.mean, sum / 3), `${run.mean} of ${times}`);
  for (const { count, min, p50, p90, p99, p999, max } of [run, wait]) {
    assert.equal(count, 3);
    assert.ok(0 <= min && min <= p50 && p50 <= p90 && p90 <= p99 && p99 <= p999 && p999 <= max);
  }
  // The last one has waited for the one before it.
  assert.ok(wait.max > 0 && wait.max <= uptime);
  const { busy, cpu, memory, bytesIn, bytesOut } = workers[0]!;
  assert.ok(busy > 0 && busy <= 1 && busy * uptime >= sum - 1, `busy ${busy} of ${uptime} ms`);
  assert.ok(cpu >= 0 && memory > 1e6 && bytesIn > 0 && bytesOut > 0);
});

watching.it("a worker at one long call is busy with it", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  const held = pool.async(passGate, gate.path);
  await gate.reached();
  await until("it has been busy for some time", () => {
    const { busy } = pool.stats().workers[0]!;
    return busy > 0.05 && busy <= 1;
  });
  gate.open();
  await held;
});

watching.it("each item of a map is a task, however they travel", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal((await pool.map(square, numbers(5_000))).length, 5_000);
  const one = pool.stats();
  assert.deepEqual([one.done, one.queued, one.running], [5_000, 0, 0]);
  assert.deepEqual([one.run.count, one.wait.count], [5_000, 5_000]);
  const objects = numbers(500).map((x) => ({ x }));
  await pool.map(({ x }: { x: number }) => x, objects, { chunk: 50 });
  assert.equal(pool.stats().done, 5_500);
  const fails = (x: number) => {
    if (x % 2 === 1) throw new RangeError(`${x}`);
    return x;
  };
  for (const chunk of [1, 7]) {
    const before = pool.stats();
    const outcomes = await pool.map(fails, numbers(100), { settled: true, chunk });
    assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 50);
    const { done, failed, run } = pool.stats();
    assert.deepEqual([done - before.done, failed - before.failed], [50, 50]);
    assert.equal(run.count - before.run.count, 100);
  }
});

watching.it("a map that is left has its items cancelled", async () => {
  await using pool = await AsyncPool.open(1);
  for await (const x of pool.map(square, numbers(50_000), { inFlight: 1_000 })) if (x > 100) break;
  await pool.idle();
  const { done, failed, cancelled, queued, running } = pool.stats();
  assert.deepEqual([failed, queued, running], [0, 0, 0]);
  assert.ok(done >= 11 && cancelled > 0 && done + cancelled <= 3_000, `${done}, ${cancelled}`);
});

watching.it("what starts again is counted, and timed anew", async () => {
  await using pool = await AsyncPool.open(1);
  const view = pool.with({ retries: 1, retryOn: () => true });
  assert.equal(await view.async(failFirst), 2);
  const { done, failed, retried, run } = pool.stats();
  assert.deepEqual([done, failed, retried, run.count], [1, 0, 1, 2]);
});

watching.it("a call that is refused has failed", async () => {
  await using pool = await AsyncPool.open(1);
  await failure(pool.async((x: unknown) => x, new WeakMap()).get(), Error);
  const { failed, queued, running } = pool.stats();
  assert.deepEqual([failed, queued, running], [1, 0, 0]);
});

watching.it(
  "a lost worker is counted; its place goes on counting",
  async () => {
    await using pool = await AsyncPool.open(1, { retries: 1 });
    await pool.async(square, 3);
    await failure(pool.async(exitAtOnce), WorkerLostError);
    assert.equal(await pool.async(square, 4), 16);
    const { workersLost, retried, failed, done, workers } = pool.stats();
    assert.deepEqual([workersLost, retried, failed, done], [2, 1, 1, 2]);
    assert.deepEqual([workers[0]!.done, workers[0]!.failed], [2, 1]);
  },
  { processes: true },
);

watching.it("a task that was timed out has failed", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  await failure(pool.with({ timeout: 30 }).async(passGate, gate.path), Error);
  const { done, failed } = pool.stats();
  assert.deepEqual([done, failed], [0, 1]);
});

watching.it("several calls under way run; others of that worker wait", async () => {
  await using pool = await AsyncPool.open(1, { concurrency: 3 });
  using gate = new Gate();
  const held = numbers(5).map((i) => pool.async(passGate, gate.path, i, i));
  await gate.reached(3);
  const { running, queued } = pool.stats();
  assert.deepEqual([running, queued], [3, 2]);
  gate.open();
  await Promise.all(held);
  const { busy } = pool.stats().workers[0]!;
  assert.ok(busy >= 0 && busy <= 1);
});

watching.itPerSize("the numbers stay when the pool is over", async ({ workers }) => {
  const pool = await AsyncPool.open(workers);
  await pool.map(square, numbers(100));
  await pool.close();
  const stats = pool.stats();
  assert.deepEqual(
    [stats.done, stats.queued, stats.running, stats.workers.length],
    [100, 0, 0, workers],
  );
  assert.equal(pool.stats().uptime, stats.uptime);
  for (const { memory, cpu, state } of stats.workers) {
    assert.ok(memory > 1e6 && cpu >= 0);
    assert.equal(state, "gone");
  }
  const other = await AsyncPool.open(1);
  using gate = new Gate();
  const handle = other.async(passGate, gate.path);
  await gate.reached();
  gate.open();
  await other.terminate();
  assert.ok(["done", "cancelled"].includes(handle.state));
  const { done, cancelled, queued, running, workersLost } = other.stats();
  assert.deepEqual([done + cancelled, queued, running, workersLost], [1, 0, 0, 0]);
});

watching.it("a summary says the same in words", async () => {
  const pool = await AsyncPool.open(1);
  assert.match(pool.summary(), /State: +OPEN/);
  await pool.async(spinFor, 30);
  const view = pool.with({ retries: 1, retryOn: () => true });
  assert.equal(await view.async(failFirst), 2);
  for (let i = 0; i < 3; i++) await failure(pool.async(failAlways), RangeError);
  await pool.close();
  const text = pool.summary();
  assert.match(text, /State: +CLOSED/);
  assert.match(text, /Tasks: +2 done, 3 failed, 0 cancelled; 1 started again/);
  assert.match(text, /Longest: +[\d.]+ ms in spinFor \(task 1\) on worker 0/);
  assert.match(text, /Failures: +3 × RangeError: always/);
  assert.match(text, /Workers lost: +0/);
  assert.ok(
    text.split("\n").every((line) => [...line].length <= 100),
    text,
  );
});

watching.it("progress of maps goes to a stream, with a last line whatever comes", async () => {
  await using pool = await AsyncPool.open(1);
  const said: string[] = [];
  const shown = (label: string, more: object = {}) => ({
    label,
    stream: { write: (text: string) => said.push(text), ...more },
  });
  const failAt3 = (x: number) => {
    if (x === 3) throw new RangeError("3");
    return x;
  };
  await failure(pool.map(failAt3, numbers(50), { progress: shown("fails") }), RangeError);
  for await (const x of pool.map(square, endless(), { progress: shown("left") })) if (x > 9) break;
  await pool.map(square, new Set(numbers(20)), { progress: shown("set") });
  await pool.map(square, [], { progress: shown("empty") });
  const lines = said.splice(0);
  assert.equal(lines.length, 4, lines.join(""));
  assert.match(lines[0]!, /^fails: \d+ of 50 \(\d+ %\) in .*, 1 failed(, ended there)?\n$/);
  assert.match(lines[1]!, /^left: [\d,]+ done in .*\/s\n$/);
  assert.match(lines[2]!, /^set: 20 of 20 \(100 %\) in .*\/s\n$/);
  assert.match(lines[3]!, /^empty: 0 of 0 \(100 %\) in /);
  await pool.map(square, [1], { progress: false });
  for (const progress of ["yes", { size: 3 }, { width: 0 }, { stream: {} }, { label: 5 }]) {
    assert.throws(() => pool.map(square, [1], { progress: progress as never }), TypeError);
  }
  assert.deepEqual(said, []);
});

function* endless(): Generator<number> {
  for (let i = 0; ; i++) yield i;
}

watching.itPerSize("the live page tells all workers, and how far a map is", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  using dashboard = await pool.dashboard();
  const answer = await fetch(dashboard.url, { redirect: "manual" });
  const cookie = answer.headers.get("set-cookie")!.split(";", 1)[0]!;
  const { promise: told, resolve: tell } = Promise.withResolvers<Record<string, any>>();
  const rest = Promise.withResolvers<void>();
  async function* items(): AsyncGenerator<number> {
    yield* [1, 2, 3];
    await rest.promise;
    yield 4;
  }
  const results = Array.fromAsync(pool.map(square, items()));
  const live = dashboard.url.replace(/^http(.*)\?.*/, "ws$1live");
  const socket = new WebSocket(live, { headers: { cookie } } as never);
  socket.onmessage = ({ data }) => {
    const picture = JSON.parse(String(data)) as Record<string, any>;
    if (picture["progress"][0]?.[3] === 3) tell(picture);
  };
  const { progress, hosts, workers: rows } = await told;
  socket.close();
  assert.deepEqual(progress[0].slice(1, 6), ["map", "square", 3, 0, null]);
  assert.equal(rows.length, workers);
  assert.deepEqual(hosts, [...new Set(pool.workers.map(({ host }) => host))]);
  rest.resolve();
  assert.deepEqual(await results, [1, 4, 9, 16]);
});
