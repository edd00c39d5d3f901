import { AsyncPool, type MessageHandle, ValueError } from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import { Gate, passGate } from "../gate.ts";

/** Large buffers, which are read when they are sent, and what a program may do to them meanwhile. */
export const buffers = new Subject("buffers");

const BYTES = 200_000;

function sum(bytes: Uint8Array): number {
  let total = 0;
  for (const byte of bytes) total += byte;
  return total;
}

const sumOf = (o: { x: Uint8Array }) => sum(o.x);
const endsOf = (bytes: Uint8Array) => [bytes.length, bytes[0], bytes.at(-1)];
const lengthOf = (value: unknown) => (value as ArrayBuffer | undefined)?.byteLength ?? 0;

function resizable(length: number, max = 2 * length): ArrayBuffer {
  return new ArrayBuffer(length, { maxByteLength: max });
}

/** What a program has, what it calls with, and what it does to it then. */
interface Torn {
  readonly args: unknown[];
  readonly tear: () => unknown;
  readonly path: string;
}

const TORN: Record<string, () => Torn> = {
  "a view that is transferred": () => {
    const x = new Uint8Array(BYTES);
    return { args: [{ x }], tear: () => x.buffer.transfer(), path: "args[0].x" };
  },
  "a view with an offset, given to another thread": () => {
    const x = new Float64Array(new ArrayBuffer(BYTES), 64, BYTES / 16);
    const tear = () => structuredClone(x.buffer, { transfer: [x.buffer] });
    return { args: [1, new Map([["a", [x]]])], tear, path: 'args[1].get("a")[0]' };
  },
  "a whole buffer, transferred to another length": () => {
    const whole = new ArrayBuffer(BYTES);
    return { args: [whole], tear: () => whole.transfer(BYTES / 2), path: "args[0]" };
  },
  "the second of two": () => {
    const [first, second] = [new Uint8Array(BYTES), new Uint8Array(BYTES)];
    const tear = () => second.buffer.transferToFixedLength();
    return { args: [{ first, second }], tear, path: "args[0].second" };
  },
  "a whole resizable buffer that shrinks": () => {
    const whole = resizable(BYTES);
    return { args: ["", { whole }], tear: () => whole.resize(BYTES - 1), path: "args[1].whole" };
  },
  "a view that follows a buffer which shrinks": () => {
    const x = new Uint8Array(resizable(BYTES));
    return { args: [{ x }], tear: () => x.buffer.resize(BYTES / 2), path: "args[0].x" };
  },
  "a view with an offset, of a buffer that shrinks to nothing": () => {
    const buffer = resizable(2 * BYTES);
    const args = [{ x: new Uint8Array(buffer, BYTES, BYTES) }];
    return { args, tear: () => buffer.resize(0), path: "args[0].x" };
  },
};

for (const [name, make] of Object.entries(TORN)) {
  buffers.it(`${name} while its task waits fails that task, and names the place`, async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const running = pool.async(passGate, gate.path, "ran");
    await gate.reached();
    const { args, tear, path } = make();
    const before = pool.async(square, 2);
    const torn = pool.async(lengthOf, ...(args as [unknown]));
    const behind = pool.async(sumOf, { x: new Uint8Array(BYTES).fill(1) });
    tear();
    gate.open();
    const error = await failure(torn, ValueError);
    assert.ok(error.message.startsWith(`Cannot send ${path}: its memory was `), error.message);
    assert.deepEqual([torn.state, torn.worker], ["failed", null]);
    assert.deepEqual([await running, await before, await behind], ["ran", 4, BYTES]);
  });
}

buffers.itPerSize("each of a torn buffer fails, and the workers go on", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers);
  const gates = Array.from({ length: workers }, () => new Gate());
  const running = gates.map(({ path }) => pool.async(passGate, path));
  for (const gate of gates) await gate.reached();
  const x = new Uint8Array(BYTES);
  const each = pool.each(sumOf, { x });
  x.buffer.transfer();
  for (const gate of gates) gate.open();
  await failure(each, ValueError);
  await Promise.all(running);
  for (const gate of gates) gate[Symbol.dispose]();
  assert.equal((await pool.each(square, 3)).length, workers);
});

buffers.it("what grows, or stays large enough, arrives as it was", async () => {
  await using pool = await AsyncPool.open(1);
  using gate = new Gate();
  const running = pool.async(passGate, gate.path);
  await gate.reached();
  const grown = new Uint8Array(resizable(BYTES)).fill(1);
  const part = new Uint8Array(resizable(2 * BYTES), 0, BYTES).fill(2);
  const whole = resizable(BYTES);
  const handles: MessageHandle<number>[] = [
    pool.async(sumOf, { x: grown }),
    pool.async(sumOf, { x: part }),
    pool.async(lengthOf, whole),
  ];
  grown.buffer.resize(2 * BYTES);
  part.buffer.resize(BYTES + 1);
  whole.resize(2 * BYTES);
  gate.open();
  await running;
  assert.deepEqual(await Promise.all(handles), [BYTES, 2 * BYTES, BYTES]);
});

buffers.it("shared memory, growing or not, is refused at the call", async () => {
  await using pool = await AsyncPool.open(1);
  const shared = new SharedArrayBuffer(BYTES, { maxByteLength: 2 * BYTES });
  const handle = pool.async(lengthOf, { x: new Uint8Array(shared) });
  shared.grow(2 * BYTES);
  assert.match((await failure(handle, ValueError)).message, /args\[0\]\.x/);
});

const LARGE = 64_000_000;

buffers.it("a buffer that is taken away while it is being sent fails its task", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(sumOf, { x: new Uint8Array(BYTES) });
  for (let i = 0; i < 3; i++) {
    const x = new Uint8Array(LARGE).fill(1);
    const torn = pool.async(lengthOf, { x: [x] });
    const behind = pool.async(square, i);
    const moved = x.buffer.transfer();
    const error = await failure(torn, ValueError);
    assert.match(error.message, /^Cannot send args\[0\]\.x\[0\]: its memory was transferred/);
    assert.equal(torn.state, "failed");
    assert.equal(await behind, i * i);
    assert.equal(moved.byteLength, LARGE);
  }
  assert.equal(await pool.async(sumOf, { x: new Uint8Array(BYTES).fill(1) }), BYTES);
});

buffers.it("the same where nothing but getSync turns", async () => {
  await using pool = await AsyncPool.open(1);
  const x = new Uint8Array(LARGE).fill(1);
  const torn = pool.async(sumOf, { x });
  const moved = x.buffer.transfer();
  assert.throws(() => torn.getSync({ timeout: 10_000 }), ValueError);
  assert.equal(pool.async(square, 5).getSync({ timeout: 10_000 }), 25);
  assert.equal(moved.byteLength, LARGE);
});

buffers.it("a resizable buffer that shrinks while it is being sent arrives as it was", async () => {
  await using pool = await AsyncPool.open(1);
  const x = new Uint8Array(resizable(LARGE)).fill(1);
  await until("the worker to be idle", () => pool.workers[0]!.state === "idle");
  const handle = pool.async(endsOf, x);
  x.buffer.resize(10);
  assert.deepEqual(await handle, [LARGE, 1, 1]);
});

buffers.it(
  "one that is gone when its task is to start again fails it then",
  async () => {
    await using pool = await AsyncPool.open(1);
    using gate = new Gate();
    const x = new Uint8Array(BYTES);
    const passWith = async (path: string, _: Uint8Array) => await passGate(path);
    const handle = pool.with({ retries: 3 }).async(passWith, gate.path, x);
    await gate.reached();
    x.buffer.transfer();
    process.kill(pool.workers[0]!.pid, "SIGKILL");
    assert.match((await failure(handle, ValueError)).message, /^Cannot send args\[1\]: /);
    assert.equal(await pool.async(square, 3), 9);
  },
  { processes: true },
);
