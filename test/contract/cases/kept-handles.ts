import { AsyncPool, BsyncError, type MessageHandle, taskContext } from "../../../index.ts";
import { assert, failure } from "../assert.ts";
import { Subject } from "../case.ts";
import { START_MS } from "../../../src/os/waits.ts";
import { square } from "../fixtures/functions.ts";
import { blockAtGate, Gate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** Handles of tasks in variables of modules, where other tasks find them. */
export const keptHandles = new Subject("kept handles", "code");

const kept = new Map<string, PromiseLike<number>>();

/** Those of one case: ranks keep their modules from pool to pool. */
let cases = 0;
const newCase = (): string => `${process.pid} ${++cases} `;

async function later(n: number): Promise<number> {
  await Bun.sleep(1);
  return n * n;
}

function remember(key: string, make: () => PromiseLike<number>): PromiseLike<number> {
  const found = kept.get(key) ?? make();
  kept.set(key, found);
  return found;
}

/** The tasks of one key have one child between them. */
async function byHandle(key: string, n: number): Promise<number> {
  return await remember(key + n, () => taskContext().pool.async(later, n));
}

/** The same where the others find a promise that only follows from the child. */
async function byPromise(key: string, n: number): Promise<number> {
  return await remember(key + n, async () => 1 + (await taskContext().pool.async(later, n)));
}

async function byMap(key: string, n: number): Promise<number> {
  const sum = async () => (await taskContext().pool.map(later, [n, n])).reduce((a, b) => a + b);
  return await remember(key + n, sum);
}

keptHandles.itPerSize("one task awaits the child of another", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  for (const fn of [byHandle, byPromise, byMap]) {
    const key = newCase();
    const of = (n: number) => ({ byHandle: n * n, byPromise: 1 + n * n, byMap: 2 * n * n });
    const asked = [3, 3, 3, 4, 3, 4, 5];
    const found = await Promise.all(asked.map((n) => pool.async(fn, key, n)));
    assert.deepEqual(
      found,
      asked.map((n) => of(n)[fn.name as keyof ReturnType<typeof of>]),
    );
  }
});

/** The nodes that each node needs. */
type Graph = Readonly<Record<string, readonly string[]>>;

/** 1, and the sums of the nodes that this one needs: each is computed once on a worker. */
async function sumOf(key: string, node: string, graph: Graph): Promise<number> {
  const { pool } = taskContext();
  const needed = graph[node]!.map((name) =>
    remember(key + name, () => pool.async(sumOf, key, name, graph)),
  );
  const sums = await Promise.all(needed);
  return sums.reduce((sum, n) => sum + n, 1);
}

async function startAt(key: string, node: string, graph: Graph): Promise<number> {
  return await remember(key + node, () => taskContext().pool.async(sumOf, key, node, graph));
}

keptHandles.it("a graph whose nodes are needed by several", async () => {
  await using pool = await AsyncPool.open(1);
  const graph = { a: ["b", "c", "d"], b: ["d", "c"], c: ["d", "e"], d: ["e"], e: [] };
  assert.equal(await pool.async(startAt, newCase(), "a", graph), 14);
  const names = numbers(60).map(String);
  const wide = names.map((_, i) => names.slice(i + 1, i + 4));
  const ways = await pool.async(startAt, newCase(), "0", Object.fromEntries(wide.entries()));
  const sums: number[] = [];
  for (const needed of wide.toReversed()) {
    sums.unshift(needed.reduce((sum, _, i) => sum + sums[i]!, 1));
  }
  assert.equal(ways, sums[0]);
});

keptHandles.it(
  "a task that waits for itself is told so, and so is one by way of others",
  async () => {
    await using pool = await AsyncPool.open(1);
    const graphs: Graph[] = [
      { a: ["a"] },
      { a: ["b"], b: ["a"] },
      { a: ["d", "b"], b: ["c"], c: ["d", "b"], d: [] },
      { a: ["b", "c"], b: ["c"], c: ["a"] },
    ];
    for (const graph of graphs) {
      const { code, message } = await failure(
        pool.async(startAt, newCase(), "a", graph),
        BsyncError,
      );
      assert.equal(code, "BSYNC_NESTED");
      assert.match(
        message,
        /^Cannot wait for sumOf, submitted by task \d+ \(\w+\), in task \d+ \(sumOf\): as far as/,
      );
    }
    assert.equal(await pool.async(square, 3), 9);
  },
);

/** Submits a task to the other worker, which submits one to this worker, which awaits the first. */
async function thereAndBack(key: string): Promise<number> {
  const other = taskContext().pool.with({ worker: 1 });
  return await remember(key, () => other.async(back, key));
}

async function back(key: string): Promise<number> {
  return await taskContext().pool.with({ worker: 0 }).async(awaitKept, key);
}

async function awaitKept(key: string): Promise<number> {
  return await kept.get(key)!;
}

keptHandles.itPerSize(
  "the same over several workers",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const there = pool.with({ worker: 0 }).async(thereAndBack, newCase());
    const { code } = await failure(there, BsyncError);
    assert.equal(code, "BSYNC_NESTED");
  },
  { workers: 2 },
);

keptHandles.it("the task that has submitted it may be over, and so may the child", async () => {
  await using pool = await AsyncPool.open(1);
  const key = newCase();
  await pool.async((key: string) => {
    const child: MessageHandle<number> = taskContext().pool.async(later, 5);
    kept.set(key, child);
  }, key);
  assert.equal(await pool.async(awaitKept, key), 25);
  assert.equal(await pool.async(awaitKept, key), 25);
});

keptHandles.it("a parent that fails takes no child from others that await it", async () => {
  await using pool = await AsyncPool.open(1);
  const key = newCase();
  const parent = pool.async(async (key: string) => {
    const { pool } = taskContext();
    const child = pool.with({ priority: 2 }).async(later, 6);
    kept.set(key, child);
    child.catch(() => {});
    // The other one begins to wait before this one fails, and the child after that.
    await pool.with({ priority: 1 }).async(square, 1);
    throw new RangeError("the parent");
  }, key);
  const other = pool.async(awaitKept, key);
  await failure(parent, RangeError);
  assert.equal(await other, 36);
});

/** Goes on before its child has begun, and then has the thread until the gate opens. */
async function goOnBySelf(path: string): Promise<string | undefined> {
  const child = taskContext().pool.async(square, 3);
  await Promise.race([child, new Promise((resolve) => setImmediate(resolve))]);
  return blockAtGate(path, "went on");
}

let hasRun = false;

function run(): void {
  hasRun = true;
}

/** Goes on as soon as its child has run, before it can have heard of that. */
async function goOnAtOnce(path: string): Promise<string | undefined> {
  hasRun = false;
  const child = taskContext().pool.async(run);
  const soon = async () => {
    while (!hasRun) await new Promise((resolve) => setImmediate(resolve));
  };
  await Promise.race([child, soon()]);
  return blockAtGate(path, "went on");
}

/** Goes on by the child of another. */
async function goOnByOther(path: string, key: string): Promise<string | undefined> {
  await kept.get(key);
  return blockAtGate(path, "went on");
}

async function keepChild(key: string): Promise<number> {
  return await remember(key, () => taskContext().pool.async(later, 4));
}

keptHandles.itPerLink(
  "a call that goes on without its place may take its time: it is not killed, nor what waits behind",
  async () => {
    for (const how of ["self", "at once", "other"]) {
      await using pool = await AsyncPool.open(1);
      const { pid } = pool.workers[0]!;
      using gate = new Gate();
      const key = newCase();
      const first = how === "other" ? pool.async(keepChild, key) : null;
      const held =
        first === null
          ? pool.async(how === "self" ? goOnBySelf : goOnAtOnce, gate.path)
          : pool.async(goOnByOther, gate.path, key);
      await gate.reached();
      const behind = [pool.async(square, 5), pool.with({ timeout: 300 }).async(square, 6)];
      // Longer than a process has that reads nothing, and a call to begin.
      await new Promise((resolve) => setTimeout(resolve, START_MS + 500));
      assert.deepEqual(
        behind.map(({ settled }) => settled),
        [false, false],
      );
      gate.open();
      assert.equal(await held, "went on");
      assert.deepEqual(await Promise.all(behind), [25, 36]);
      await first;
      assert.equal(pool.workers[0]!.pid, pid);
    }
  },
  { slow: true },
);
