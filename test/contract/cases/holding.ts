import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AsyncPool, type MessageHandle } from "../../../index.ts";
import { assert, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { blockAtGate, Gate } from "../gate.ts";
import { numbers } from "../numbers.ts";

/** A worker that is held keeps nobody else: what it was sent and has not begun is taken back. */
export const holding = new Subject("holding");

/** From here on a number leaves no mark: such calls are as short as can be, so that the function becomes known as short. */
const UNMARKED = 1_000;

/** Short, but for the call that is given a gate; leaves a mark. */
function mark(folder: string, number: number, hold: boolean): number {
  leaveMark(folder, number);
  if (hold) blockAtGate(folder);
  return number;
}

/** The same, waiting for a promise. */
function markAsync(folder: string, number: number, hold: boolean): number | Promise<number> {
  leaveMark(folder, number);
  if (!hold) return number;
  writeFileSync(join(folder, "reached-0"), "");
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (existsSync(folder) && !existsSync(join(folder, "open"))) return;
      clearInterval(timer);
      resolve(number);
    }, 1);
  });
}

function leaveMark(folder: string, number: number): void {
  if (number < UNMARKED) appendFileSync(join(folder, "marks"), `${number}\n`);
}

/** Takes so many ms, without the processor. */
function last(ms: number): number {
  if (ms > 0) Bun.sleepSync(ms);
  return ms;
}

function lastAsync(ms: number): number | Promise<number> {
  return ms > 0 ? Bun.sleep(ms).then(() => ms) : ms;
}

/** Takes the thread from a timer on, until the gate is opened, or for `ms`. */
function leaveHolder(folder: string): void {
  setTimeout(() => blockAtGate(folder), 1);
}

/** Calls of which the first holds its worker, and some were sent behind it. */
async function holdWithOthers(
  pool: AsyncPool,
  fn: typeof mark | typeof markAsync,
): Promise<{ gate: Gate; head: MessageHandle<number>; others: MessageHandle<number>[] }> {
  for (let tries = 0; tries < 200; tries++) {
    const gate = new Gate();
    await Promise.all(numbers(50, UNMARKED).map((i) => pool.async(fn, gate.path, i, false)));
    const head: MessageHandle<number> = pool.async(fn, gate.path, 0, true);
    const others = numbers(60, 1).map((i) => pool.async(fn, gate.path, i, false));
    await gate.reached();
    const behind = others.filter(
      ({ state, worker }) => state === "running" && worker === head.worker,
    );
    if (behind.length > 0) return { gate, head, others };
    // Something interrupted one of the calls, which made the function long.
    gate.open();
    await Promise.all([head, ...others]);
    gate[Symbol.dispose]();
  }
  throw new Error("nothing was ever sent behind another call");
}

function runsOf(gate: Gate): number[] {
  const lines = readFileSync(join(gate.path, "marks"), "utf8").trim().split("\n").map(Number);
  return lines.sort((a, b) => a - b);
}

for (const fn of [mark, markAsync]) {
  const how = fn === mark ? "holds the thread" : "awaits";
  holding.it(
    `calls that were sent behind one that ${how} for long are done elsewhere, each once`,
    async () => {
      await using pool = await AsyncPool.open(2);
      const { gate, head, others } = await holdWithOthers(pool, fn);
      using _ = gate;
      assert.deepEqual(await Promise.all(others), numbers(60, 1));
      assert.equal(head.state, "running");
      assert.equal(pool.workers[head.worker!]!.state, "busy");
      gate.open();
      assert.equal(await head, 0);
      assert.deepEqual(runsOf(gate), numbers(61, 0));
      await until("both to wait", () => pool.workers.every(({ state }) => state === "idle"));
      assert.deepEqual(await pool.each(square, 3), [9, 9]);
    },
    { workers: 2 },
  );
}

holding.it(
  "calls that were sent behind one that is cancelled, and runs on, are done elsewhere, each once",
  async () => {
    await using pool = await AsyncPool.open(2);
    const { gate, head, others } = await holdWithOthers(pool, mark);
    using _ = gate;
    head.cancel();
    assert.deepEqual(await Promise.all(others), numbers(60, 1));
    gate.open();
    assert.deepEqual(await pool.each(square, 3), [9, 9]);
    assert.deepEqual(runsOf(gate), numbers(61, 0));
  },
  { workers: 2 },
);

holding.it(
  "the same for who waits with the thread held",
  async () => {
    await using pool = await AsyncPool.open(2);
    const { gate, head, others } = await holdWithOthers(pool, mark);
    using _ = gate;
    assert.deepEqual(
      others.map((handle) => handle.getSync({ timeout: 8_000 })),
      numbers(60, 1),
    );
    gate.open();
    assert.equal(head.getSync({ timeout: 8_000 }), 0);
  },
  { workers: 2 },
);

holding.it(
  "a process that is stopped before it has begun any of several calls is replaced; each is done once",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2);
    const { pid } = pool.workers[0]!;
    const send = (first: number) =>
      numbers(60, first).map((i) => pool.async(mark, gate.path, i, false));
    const isMany = () => handles.filter(({ worker }) => worker === 0).length > 1;
    let handles: MessageHandle<number>[] = [];
    // Until they are known as short, and several are sent at once.
    for (let tries = 0; tries < 200; tries++) {
      await Promise.all(send(UNMARKED));
      process.kill(pid, "SIGSTOP");
      handles = send(0);
      await Promise.resolve(); // then they are sent
      if (isMany()) break;
      // Something interrupted one of the calls, which made the function long.
      process.kill(pid, "SIGCONT");
      await Promise.all(handles);
      rmSync(join(gate.path, "marks"));
    }
    assert.ok(isMany());
    assert.deepEqual(await Promise.all(handles), numbers(60, 0));
    assert.deepEqual(runsOf(gate), numbers(60, 0));
    await until("another in its place", () =>
      pool.workers.every((worker) => worker.state === "idle" && worker.pid !== pid),
    );
    assert.deepEqual(await pool.each(square, 3), [9, 9]);
  },
  { workers: 2, processes: true },
);

holding.it(
  "a rank whose thread an earlier task keeps: what it was sent is done by another one",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2);
    await pool.async(leaveHolder, gate.path);
    await gate.reached();
    const handles = numbers(10, 0).map((x) =>
      x % 2 === 0 ? pool.async(square, x) : pool.with({ timeout: 5_000 }).async(square, x),
    );
    assert.deepEqual(await Promise.all(handles), numbers(10, 0).map(square));
    assert.ok(pool.workers.some(({ state }) => state === "overdue"));
    gate.open();
    assert.deepEqual(await pool.each(square, 3), [9, 9]);
  },
  { workers: 2, processes: false },
);

/** Calls that turn out to be long: so many that a worker which gets no core for a while still gets its share. */
const PILE = 30;

/** ms of each of them: shorter than any look at who is held. */
const PILED_MS = 40;

/** Calls that all turn out to be long, of a function that was short so far: most of them sent to one worker. */
async function pileUp(
  pool: AsyncPool,
  fn: typeof last | typeof lastAsync,
): Promise<MessageHandle<number>[]> {
  const send = async (ms: number): Promise<MessageHandle<number>[]> => {
    const handles = numbers(PILE, 0).map((): MessageHandle<number> => pool.async(fn, ms));
    await Promise.resolve(); // then they are sent
    return handles;
  };
  const isPile = (handles: readonly MessageHandle<number>[]) =>
    Math.max(...countsOf(pool, handles)) > PILE / 2;
  const end = performance.now() + PILE_LIMIT_MS;
  while (performance.now() < end) {
    // On a busy machine it takes some calls until the function is known as short.
    const short = await send(0);
    const isShort = isPile(short);
    await Promise.all(short);
    if (!isShort) continue;
    const handles = await send(PILED_MS);
    if (isPile(handles)) return handles;
    // Something interrupted one of the calls, which made the function long.
    for (const handle of handles) handle.cancel();
  }
  throw new Error("nothing was ever sent behind another call");
}

/** ms for it to become so: less than the limit of a case, so that it is told. */
const PILE_LIMIT_MS = 15_000;

/** How many of the calls each worker has, or had. */
function countsOf({ size }: AsyncPool, handles: readonly MessageHandle<number>[]): number[] {
  return numbers(size, 0).map((i) => handles.filter(({ worker }) => worker === i).length);
}

for (const fn of [last, lastAsync]) {
  const how = fn === last ? "hold the thread" : "await";
  holding.itPerSize(
    `calls of a function that was short, which turn out to ${how}, are shared out among all`,
    async () => {
      await using pool = await AsyncPool.open(2);
      const handles = await pileUp(pool, fn);
      await Promise.all(handles);
      assert.ok(Math.min(...countsOf(pool, handles)) >= 3, `${countsOf(pool, handles)}`);
      assert.deepEqual(await pool.each(square, 3), [9, 9]);
    },
    { workers: 2 },
  );
}

holding.it(
  "they are shared out, too, while the program's thread waits for each",
  async () => {
    await using pool = await AsyncPool.open(2);
    const handles = await pileUp(pool, last);
    for (const handle of handles) assert.equal(handle.getSync({ timeout: 15_000 }), PILED_MS);
    assert.ok(Math.min(...countsOf(pool, handles)) >= 3, `${countsOf(pool, handles)}`);
  },
  { workers: 2 },
);

holding.it(
  "and while it asks whether they are done",
  async () => {
    await using pool = await AsyncPool.open(2);
    const handles = await pileUp(pool, last);
    while (!handles.every((handle) => handle.ready())) Bun.sleepSync(1);
    assert.ok(Math.min(...countsOf(pool, handles)) >= 3, `${countsOf(pool, handles)}`);
  },
  { workers: 2 },
);

holding.it(
  "a worker whose thread an earlier task keeps: another does what it was sent, and it stays",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(2);
    await pool.each(square, 1);
    const pids = pool.workers.map(({ pid }) => pid);
    await pool.async(leaveHolder, gate.path);
    await gate.reached();
    const handles = numbers(10, 0).map((x) => pool.async(square, x));
    assert.deepEqual(await Promise.all(handles), numbers(10, 0).map(square));
    gate.open();
    assert.deepEqual(await pool.each(square, 3), [9, 9]);
    assert.deepEqual(
      pool.workers.map(({ pid }) => pid),
      pids,
    );
  },
  { workers: 2 },
);

holding.it("what one pool knows of a function is no other pool's", async () => {
  await using pool = await AsyncPool.open(1);
  await using other = await AsyncPool.open(1, { mpi: false });
  for (let i = 0; i < 3; i++) await pool.async(last, 5);
  for (let tries = 0; tries < 20; tries++) {
    await Promise.all(numbers(50, 0).map(() => other.async(last, 0)));
  }
  const handles = numbers(6, 0).map(() => pool.async(last, 5));
  await Promise.resolve(); // then they are sent
  assert.equal(handles.filter(({ state }) => state === "running").length, 1);
  await Promise.all(handles);
});
