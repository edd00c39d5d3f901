import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AsyncPool, BsyncError, PoolClosedError, taskContext } from "../../../index.ts";
import { readText, readTrace, type Slice } from "../../traces/reader.ts";
import { assert, failure } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { numbers } from "../numbers.ts";
import { Gate, passGate } from "../gate.ts";

/** `pool.trace`: files that a strict reader takes. */
export const tracing = new Subject("tracing", "code");

function spinFor(ms: number): number {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return ms;
}

function failFirst(): number {
  const { attempt } = taskContext();
  if (attempt === 1) throw new RangeError('the "first" attempt');
  return attempt;
}

async function sleepFor(ms: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ms;
}

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "contract-trace-"));
  file(name: string): string {
    return join(this.path, name);
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const tasksOf = ({ args }: Slice): number => (args["tasks"] as number | undefined) ?? 1;

tracing.itPerSize("a row for each worker, a slice for each task", async ({ workers }) => {
  using folder = new Folder();
  for (const name of ["trace.json", "trace.json.gz"]) {
    const path = folder.file(name);
    {
      await using pool = await AsyncPool.open(workers);
      pool.trace(path);
      await Promise.all(numbers(12).map((i) => pool.async(spinFor, 2 + (i % 3))));
      await failure(pool.async("() => { throw new Error('x') }"), Error);
      await pool.with({ retries: 1, retryOn: () => true }).async(failFirst);
    }
    const { slices, threads, processes, counters, arrows, notes, isComplete } = readTrace(path);
    assert.ok(isComplete);
    const spins = slices.filter(({ name: fn }) => fn === "spinFor");
    assert.equal(spins.length, 12);
    for (const { dur, args } of spins) assert.ok(dur > 0, JSON.stringify({ dur, args }));
    assert.equal([...threads.values()].filter((row) => row.startsWith("worker ")).length, workers);
    assert.ok([...processes.values()].some((host) => host.startsWith("host ")));
    const states = slices.map(({ args }) => args["state"] ?? "done");
    assert.equal(states.filter((state) => state === "failed").length, 1);
    assert.equal(states.filter((state) => state === "retried").length, 1);
    assert.equal(slices.filter(({ args }) => args["attempt"] === 2).length, 1);
    assert.ok(counters.some(({ name: series, value }) => series === "running tasks" && value > 0));
    assert.ok(arrows > 0 || workers >= 12);
    assert.ok(notes.at(-1)!.startsWith("the end"), notes.join());
  }
});

tracing.it("at full rate neighbours are merged, and all tasks are there", async () => {
  using folder = new Folder();
  const path = folder.file("trace.json");
  {
    await using pool = await AsyncPool.open(1);
    pool.trace(path);
    await pool.map(square, numbers(30_000));
    await Promise.all(numbers(20_000).map((i) => pool.async(square, i)));
  }
  const { slices, notes } = readTrace(path);
  assert.equal(
    slices.reduce((sum, slice) => sum + tasksOf(slice), 0),
    50_000,
  );
  assert.ok(slices.length < 25_000, `${slices.length} slices`);
  assert.match(notes.at(-1)!, /merged/);
});

function failWith(text: string): never {
  throw new RangeError(text);
}

/** Letters of three bytes each, which no zip makes small. */
const randomText = () =>
  String.fromCharCode(...numbers(200).map(() => 0x4e00 + Math.floor(Math.random() * 20_000)));

tracing.it("never more than maxBytes, and it says where it ends", async () => {
  using folder = new Folder();
  for (const name of ["trace.json", "trace.json.gz"]) {
    const path = folder.file(name);
    {
      await using pool = await AsyncPool.open(1);
      pool.trace(path, { maxBytes: 16_384 });
      await pool.map(square, numbers(20), { chunk: 1 });
      const fails = numbers(200).map(() => pool.async(failWith, randomText()));
      await Promise.allSettled(fails);
    }
    const { size } = statSync(path);
    assert.ok(size <= 16_384, `${name}: ${size}`);
    const { notes, slices } = readTrace(path);
    assert.match(notes.at(-1)!, /maxBytes|merged/);
    assert.ok(slices.length > 10);
  }
});

tracing.it("a file that takes no more is let be", async () => {
  await using pool = await AsyncPool.open(1);
  const trace = pool.trace("/dev/full");
  assert.equal(await pool.async(square, 3), 9);
  trace.stop();
  assert.equal(await pool.async(square, 4), 16);
});

tracing.it("cut off anywhere it still opens", async () => {
  using folder = new Folder();
  const path = folder.file("trace.json");
  {
    await using pool = await AsyncPool.open(1);
    pool.trace(path);
    await Promise.all(numbers(40).map((i) => pool.async(square, i)));
  }
  const text = readFileSync(path, "utf8");
  const lines = text.split("\n");
  for (let count = 2; count < lines.length; count += 7) {
    readText(lines.slice(0, count).join("\n"));
  }
  for (let length = 1; length < text.length; length += 997) {
    readText(text.slice(0, length));
  }
});

tracing.it("calls that are under way together have threads of their own", async () => {
  using folder = new Folder();
  const path = folder.file("trace.json");
  {
    await using pool = await AsyncPool.open(1, { concurrency: 3 });
    pool.trace(path);
    await Promise.all(numbers(9).map(() => pool.async(sleepFor, 20)));
  }
  const { slices } = readTrace(path);
  assert.equal(slices.length, 9);
  assert.equal(new Set(slices.map(({ tid }) => tid)).size, 3);
});

tracing.it("begun and ended in the midst, with what was cancelled there", async () => {
  using folder = new Folder();
  const path = folder.file("trace.json");
  await using pool = await AsyncPool.open(1);
  await pool.async(square, 1);
  const trace = pool.trace(path);
  using gate = new Gate();
  const held = pool.async(passGate, gate.path);
  await gate.reached();
  held.cancel();
  gate.open();
  await pool.async(spinFor, 3);
  trace.stop();
  await pool.async(spinFor, 3);
  trace.stop();
  const { slices } = readTrace(path);
  assert.deepEqual(
    slices.map(({ name, args }) => [name, args["state"] ?? "done"]),
    [
      ["passGate", "cancelled"],
      ["spinFor", "done"],
    ],
  );
});

async function tree(depth: number): Promise<number> {
  if (depth === 0) return spinFor(1);
  const { pool } = taskContext();
  const [a, b] = await Promise.all([pool.async(tree, depth - 1), pool.async(tree, depth - 1)]);
  return a + b;
}

for (const concurrency of [1, 3]) {
  const howMany = concurrency === 1 ? "" : ", also with several under way";
  tracing.it(`what waits for tasks of its own is there in pieces${howMany}`, async () => {
    using folder = new Folder();
    const path = folder.file("trace.json");
    {
      await using pool = await AsyncPool.open(1, { concurrency });
      pool.trace(path);
      assert.equal(await pool.async(tree, 3), 8);
      const { done, suspended, workers } = pool.stats();
      assert.deepEqual([done, suspended], [15, 0]);
      assert.ok(workers[0]!.busy > 0 && workers[0]!.busy <= 1);
    }
    const { slices } = readTrace(path);
    const pieces = Map.groupBy(slices, ({ args }) => args["task"]);
    assert.equal(pieces.size, 15);
    let suspended = 0;
    for (const own of pieces.values()) {
      const [first, ...later] = own.toSorted((a, b) => a.ts - b.ts);
      if (first!.args["state"] === "suspended") suspended++;
      // It has waited before the first of them, and not since.
      for (const { args } of later) assert.equal(args["wait_ms"], undefined, JSON.stringify(own));
    }
    // Where there is room, both children may be over before their parent is known to wait.
    assert.ok(suspended >= (concurrency === 1 ? 7 : 1), JSON.stringify(slices));
  });
}

tracing.it("wrong paths and options are refused at the call", async () => {
  using folder = new Folder();
  await using pool = await AsyncPool.open(1);
  writeFileSync(folder.file("file"), "");
  assert.throws(
    () => pool.trace(folder.file("file/trace.json")),
    (error) => error instanceof BsyncError && error.code === "BSYNC_TRACE",
  );
  assert.throws(() => pool.trace(""), TypeError);
  assert.throws(() => pool.trace(folder.file("x"), { most: 1 } as never), /unknown option "most"/);
  assert.throws(() => pool.trace(folder.file("x"), { maxBytes: 5 }), RangeError);
  assert.equal(await pool.async(square, 3), 9);
  await pool.close();
  assert.throws(() => pool.trace(folder.file("late")), PoolClosedError);
});
