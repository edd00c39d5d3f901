/**
 * Tasks that their timeout interrupts in the midst of bsync's own code: each calls one thing of all that a task can
 * call, over and over, and is interrupted at some moment. Afterwards all of it must do what it always does, in the same
 * process. One line of JSON says how often; the exit code is 1 if anything was not as it should be.
 *
 *   bun test/faults/interrupted.ts [--seconds 600] [--seed 1] [--only deed]
 *   mpirun -n 2 bun test/faults/interrupted.ts …     with what `bsync/mpi` offers, too
 */
import { parseArgs } from "node:util";
import { AsyncPool, type MessageHandle, TimeoutError, taskContext, usingMpi } from "../../index.ts";
import { type Communicator, Request, SUM, world } from "../../mpi.ts";
import { Random } from "../stress/random.ts";

/** ms in which whatever still works answers. */
const ANSWER_MS = 20_000;

function same<T>(value: T): T {
  return value;
}

function double(x: number): number {
  return 2 * x;
}

function sizeOf({ list, slow }: typeof nested): number {
  return list.length * slow;
}

function fail(text: string): never {
  throw new RangeError(text);
}

/** What a task has of its own: on the worker. */
let inner: AsyncPool;
let own: Communicator;

async function prepare(): Promise<number> {
  inner = await AsyncPool.open(2, { mpi: false });
  if (usingMpi()) own = world.group([world.rank]);
  return process.pid;
}

const large = new Uint8Array(200_000);
const nested = {
  list: [1, { two: new Map([["three", new Date(3)]]) }],
  get slow() {
    for (let i = 0; i < 1e4; i++);
    return 1;
  },
};
const handles: MessageHandle<unknown>[] = [];

/** One turn of each; `i` counts them. */
const DEEDS: Readonly<Record<string, (i: number) => void>> = {
  getSync: (i) => void inner.async(same, i).getSync(),
  "getSync of many": () => {
    for (const handle of Array.from({ length: 100 }, (_, i) => inner.async(same, i))) {
      handle.getSync();
    }
  },
  ready: (i) => {
    const handle = inner.async(same, i);
    while (!handle.ready());
  },
  "calls that nobody waits for": (i) => {
    inner.async(same, i);
    if (i % 50 === 0) inner.async(same, i).getSync();
  },
  "calls of every kind": (i) => {
    const view = inner.with({ priority: (i % 5) - 2, timeout: 1000, retries: i % 2 });
    handles[i % 16] = view.async(same, nested);
    handles[(i + 1) % 16]?.getSync({ timeout: 1000 });
  },
  "large buffers": () => void inner.async(same, large).getSync(),
  "functions and errors": (i) => {
    const bad = inner.async(fail, `failure ${i}`);
    try {
      bad.getSync();
    } catch {
      inner.async((f: (x: number) => number) => f(1), same<number>).getSync();
    }
  },
  cancel: (i) => {
    const handle = inner.async(same, i);
    if (i % 2 === 0) handle.ready();
    handle.cancel("not wanted");
  },
  signals: (i) => {
    const controller = new AbortController();
    inner.with({ signal: controller.signal }).async(same, i);
    controller.abort();
  },
  each: () => void inner.each(same, 1).catch(() => {}),
  "what is shown": (i) => {
    const handle = inner.async(same, i);
    void [inner.size, inner.workers, inner.role, handle.state, handle.worker, `${handle}`];
    void handle.get().catch(() => {});
    handle.getSync();
  },
  "pools that are opened": () => {
    const opened = AsyncPool.open(1, { mpi: false });
    void opened.then((pool) => pool.terminate());
    for (;;) inner.async(same, 1).getSync();
  },
  "a getter without end": () => {
    const endless = {
      get value() {
        for (;;);
      },
    };
    inner.async(same, endless);
  },
  taskContext: () => {
    const { id, signal } = taskContext();
    if (id < 1 || signal.aborted) throw new Error("no task of mine");
  },
};

let nextTag = 10_000;

const MPI_DEEDS: Readonly<Record<string, (i: number) => void>> = {
  "arrays to itself": (i) => {
    const room = new Float64Array(4);
    // A tag of its own: an interrupted turn may leave a receive behind.
    const tag = nextTag++;
    const request = own.irecv(room, 0, tag);
    own.isend(new Float64Array([i, 2, 3, 4]), 0, tag).wait();
    request.wait();
    if (room[0] !== i) throw new Error(`${room[0]} came, and ${i} was sent`);
  },
  "values to itself": (i) => {
    own.sendObject({ i, nested }, 0, 2);
    while (own.iprobe(0, 2) !== null) own.recvObject(0, 2);
  },
  "requests that are never over": () => {
    Request.waitAny([own.irecvObject(0, 4)]);
  },
  "a request that is never over": () => void own.irecv(new Float64Array(4), 0, 5).wait(),
  "an array that never comes": () => void own.recv(new Float64Array(4), 0, 6),
  "a value that never comes": () => void own.recvObject(0, 7),
  "a message that never comes": () => void own.probe(0, 8),
  "a long array that nobody takes": () => own.send(new Float64Array(1e5), 0, 9),
  "an exchange that never ends": () => {
    own.sendrecv(Int32Array.of(1), 0, new Int32Array(1), 0, 8_000, 8_001);
  },
  collectives: (i) => {
    const [sum] = own.allreduce(Int32Array.of(i), SUM);
    if (sum !== i || own.gatherObject(i)![0] !== i) throw new Error("a wrong sum");
  },
  "communicators that are made": () => own.dup().free(),
};

/** Calls it until it is interrupted. */
function repeat(name: string): never {
  const deed = DEEDS[name] ?? MPI_DEEDS[name]!;
  for (let i = 0; ; i++) deed(i);
}

/** Whether all of it still works, a call of each kind. */
async function check(round: number): Promise<number> {
  const calls = Array.from({ length: 20 }, (_, i) => inner.async(double, i));
  const sum = (await Promise.all(calls)).reduce((a, b) => a + b, 0);
  const all = await inner.each(sizeOf, nested);
  if (sum !== 380 || all.join() !== "2,2") throw new Error(`wrong results: ${sum}, ${all}`);
  if (usingMpi()) {
    const room = new Int32Array(1);
    const request = own.irecv(room, 0, 100 + round);
    own.send(Int32Array.of(round), 0, 100 + round);
    await request;
    if (room[0] !== round) throw new Error(`${room[0]} came, and ${round} was sent`);
  }
  return process.pid;
}

async function finish(): Promise<void> {
  await inner.close();
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
  },
});
const random = new Random(Number(values.seed));
const all = [...Object.keys(DEEDS), ...(usingMpi() ? Object.keys(MPI_DEEDS) : [])];
const names = all.filter((name) => values.only === undefined || name === values.only);

const pool = await AsyncPool.open(1);
const pid = await pool.async(prepare);
const counts: Record<string, number> = {};

/** One interruption, and what comes of it. */
async function interrupt(name: string, round: number): Promise<void> {
  const timeout = random.chance(0.3) ? random.next() : 10 * random.next();
  const told = `round ${round}, "${name}", ${timeout} ms`;
  const bad = pool.with({ timeout }).async(repeat, name);
  const error: unknown = await bad.get().catch((error) => error);
  if (!(error instanceof TimeoutError)) throw new Error(`${told}: ${String(error)}`);
  const checked = pool.async(check, round % 1000).get({ timeout: ANSWER_MS });
  const found: unknown = await checked.catch((error) => error);
  if (found !== pid) throw new Error(`${told}: afterwards ${String(found)}, not process ${pid}`);
  counts[name] = (counts[name] ?? 0) + 1;
}

try {
  const end = performance.now() + 1000 * Number(values.seconds);
  for (let round = 0; round < 2 * names.length || performance.now() < end; round++) {
    await interrupt(names[round % names.length]!, round);
  }
  await pool.async(finish).get({ timeout: ANSWER_MS });
} catch (error) {
  // What does not answer is not waited for.
  console.error(error);
  process.exit(1);
}
console.log(JSON.stringify(counts));
await pool.close();
