import {
  AsyncPool,
  CancelledError,
  type ReportOrigin,
  taskContext,
  TimeoutError,
  ValueError,
} from "../../../index.ts";
import { assert, failure, same, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { blockAtGate, Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** What tasks say on the way: `taskContext().report`, `handle.on("report")`, `onReport`. */
export const reporting = new Subject("reporting");

function countTo(n: number): number {
  const { report } = taskContext();
  for (let i = 1; i <= n; i++) report(i);
  return n;
}

async function countLater(n: number): Promise<number> {
  for (let i = 1; i <= n; i++) {
    taskContext().report({ i });
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return n;
}

async function reportAndPass(path: string, value: unknown): Promise<string> {
  taskContext().report(value);
  await passGate(path);
  return "passed";
}

function reportAndBlock(path: string): string {
  taskContext().report("begun");
  blockAtGate(path);
  return "over";
}

function reportWrong(): string[] {
  const { report } = taskContext();
  const told: string[] = [];
  for (const value of [{ socket: { on: new WeakMap() } }, () => 1]) {
    try {
      report(value);
    } catch (error) {
      told.push(`${(error as Error).name}: ${(error as Error).message}`);
    }
  }
  report("right");
  return told;
}

function reportChanged(): number {
  const { report } = taskContext();
  const data = new Float64Array(20_000).fill(1);
  const list = [1];
  report({ data, list });
  data.fill(2);
  list.push(2);
  report({ data, list });
  return data[0]!;
}

function reportEarlierAttempt(): number {
  const { attempt, report } = taskContext();
  report(attempt);
  if (attempt < 3) throw new RangeError(`${attempt}`);
  return attempt;
}

async function reportTooLate(): Promise<string> {
  const { report } = taskContext();
  setTimeout(() => report("too late"), 5);
  return "result";
}

function itemReport(item: number, index: number): number {
  taskContext().report([item, index]);
  if (item === 7) throw new RangeError("seven");
  return item;
}

function localPlace(): [number, number] {
  const { localIndex, worker } = taskContext();
  return [localIndex, worker];
}

reporting.it("reports come in their order, and before the result", async () => {
  await using pool = await AsyncPool.open(1);
  for (const fn of [countTo, countLater]) {
    const got: unknown[] = [];
    const handle = pool.async(fn, 20);
    handle.on("report", (value) => got.push(value));
    await handle;
    same(
      got,
      numbers(20).map((i) => (fn === countTo ? i + 1 : { i: i + 1 })),
    );
  }
});

reporting.it("they come while the task runs, also where it holds the thread", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  const got: unknown[] = [];
  const held = pool.async(reportAndPass, gate.path, "waiting");
  held.on("report", (value) => got.push(value));
  await until("it has reported", () => got.length === 1);
  assert.equal(held.state, "running");
  gate.open();
  await held;
  // Inline it would hold this thread.
  if (process.env["BSYNC_INLINE"] === "1") return;
  using other = new Gate();
  const states: string[] = [];
  const blocked = pool.async(reportAndBlock, other.path);
  blocked.on("report", () => {
    states.push(blocked.state);
    other.open();
  });
  assert.equal(await blocked, "over");
  assert.deepEqual(states, ["running"]);
});

reporting.it("a caller that blocks the thread hears them before its result", async () => {
  await using pool = await AsyncPool.open(1);
  const got: unknown[] = [];
  const handle = pool.async(countTo, 5);
  handle.on("report", (value) => got.push(value));
  assert.equal(handle.getSync(), 5);
  assert.deepEqual(got, [1, 2, 3, 4, 5]);
});

reporting.it("onReport is told where they come from", async () => {
  await using pool = await AsyncPool.open(1);
  const got: [unknown, ReportOrigin][] = [];
  const view = pool.with({ onReport: (value, from) => void got.push([value, from]) });
  const handle = view.async(countTo, 1);
  await handle;
  const { id, worker, attempt, index } = got[0]![1];
  assert.deepEqual([got[0]![0], worker, attempt, index], [1, 0, 1, null]);
  assert.equal(id, handle.toJSON().task);
  got.length = 0;
  await pool
    .with({ retries: 5, retryOn: () => true, onReport: (v, f) => void got.push([v, f]) })
    .async(reportEarlierAttempt);
  assert.deepEqual(
    got.map(([value, from]) => [value, from.attempt]),
    [1, 2, 3].map((i) => [i, i]),
  );
});

reporting.itPerSize("items of a map report, each with its place", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  for (const options of [{}, { chunk: 1 }, { chunk: 10 }, { timeout: 60_000 }]) {
    const got = new Map<number, unknown>();
    const onReport = (value: unknown, { index }: ReportOrigin) => {
      assert.ok(!got.has(index!));
      got.set(index!, value);
    };
    const outcomes = await pool.map(itemReport, numbers(60), {
      ...options,
      onReport,
      settled: true,
    });
    assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 1);
    assert.equal(got.size, 60);
    for (const [index, value] of got) assert.deepEqual(value, [index, index]);
  }
});

reporting.it("what cannot travel throws in the task, which may go on", async () => {
  await using pool = await AsyncPool.open(1);
  const got: unknown[] = [];
  const handle = pool.async(reportWrong);
  handle.on("report", (value) => got.push(value));
  const told = await handle;
  assert.equal(told.length, 2);
  assert.match(told[0]!, /^ValueError: .*report\.socket/);
  assert.match(told[1]!, /^ValueError: .*report/);
  assert.deepEqual(got, ["right"]);
  const thrown = (value: number) => taskContext().report(new WeakSet([{ value }]));
  assert.match((await failure(pool.async(thrown, 1), ValueError)).message, /report/);
});

reporting.it("a report is as it was when it was made", async () => {
  await using pool = await AsyncPool.open(1);
  const got: { data: Float64Array; list: number[] }[] = [];
  const handle = pool.async(reportChanged);
  handle.on("report", (value) => got.push(value));
  await handle;
  assert.deepEqual(
    got.map(({ data, list }) => [data[0], data[19_999], list]),
    [
      [1, 1, [1]],
      [2, 2, [1, 2]],
    ],
  );
});

reporting.it("a task that is over, or was given up, reports no more", async () => {
  await using pool = await AsyncPool.open(1);
  const got: unknown[] = [];
  const listen = (value: unknown) => void got.push(value);
  const handle = pool.async(reportTooLate);
  handle.on("report", listen);
  assert.equal(await handle, "result");
  const cancelled = pool.async(countLater, 50);
  const states: string[] = [];
  cancelled.on("report", () => {
    states.push(cancelled.state);
    cancelled.cancel();
  });
  await failure(cancelled.get(), CancelledError);
  await pool.with({ timeout: 20_000 }).async(countLater, 30);
  assert.deepEqual(states, ["running"]);
  assert.deepEqual(got, []);
  const late = pool.with({ timeout: 30 }).async(countLater, 10_000);
  await failure(late.get(), TimeoutError);
});

reporting.it("several listen, each until it is disposed", async () => {
  await using pool = await AsyncPool.open(1);
  const got: string[] = [];
  const handle = pool.async(countLater, 4);
  handle.on("report", ({ i }) => got.push(`a${i}`));
  const second = handle.on("report", ({ i }) => {
    got.push(`b${i}`);
    if (i === 2) second[Symbol.dispose]();
  });
  await handle;
  assert.equal(got.join(" "), "a1 b1 a2 b2 a3 a4");
  handle.on("report", () => got.push("too late"))[Symbol.dispose]();
  assert.throws(() => handle.on("reports" as "report", () => {}), TypeError);
  assert.throws(() => handle.on("report", 5 as never), TypeError);
  assert.throws(() => pool.with({ onReport: "x" as never }), TypeError);
});

reporting.it("with timeouts, and where several calls are under way", async () => {
  await using pool = await AsyncPool.open(1, { concurrency: 3, timeout: 60_000 });
  const got = numbers(6).map((): number[] => []);
  const handles = got.map((list) => {
    const handle = pool.async(countLater, 5);
    handle.on("report", ({ i }) => list.push(i));
    return handle;
  });
  await Promise.all(handles);
  for (const list of got) assert.deepEqual(list, [1, 2, 3, 4, 5]);
});

reporting.itPerSize("localIndex counts the workers of a host", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const places = await pool.each(localPlace);
  const counts = new Map<string, number>();
  for (const { index, host } of pool.workers) {
    const count = counts.get(host) ?? 0;
    counts.set(host, count + 1);
    assert.deepEqual(places[index], [count, index]);
  }
});
