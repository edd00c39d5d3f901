import { AsyncPool, MessageHandle, ProcException, TimeoutError } from "../../../index.ts";
import { assert, failure, timed, until } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";

export const handles = new Subject("handles", "code");

handles.it("queued, running, done; and which worker", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const first = pool.async(passGate, gate.path, "first");
  const second = pool.async(square, 3);
  assert.ok(first instanceof MessageHandle);
  await gate.reached();
  assert.deepEqual([first.state, first.worker, second.state], ["running", 0, "queued"]);
  assert.deepEqual([first.ready(), second.ready()], [false, false]);
  gate.open();
  await second;
  assert.deepEqual([first.state, second.state, second.worker], ["done", "done", 0]);
  assert.deepEqual([first.ready(), second.ready()], [true, true]);
});

handles.it("failed, and cancelled", async () => {
  await using pool = await AsyncPool.open(1);
  const bad = pool.async("JSON.parse", "{");
  await failure(bad, SyntaxError);
  assert.deepEqual([bad.state, bad.ready()], ["failed", true]);
  const gone = pool.async(stuck.wander);
  gone.cancel();
  assert.deepEqual([gone.state, gone.ready()], ["cancelled", true]);
});

handles.it("can be asked again and again, before and after", async () => {
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(() => ({ n: 1 }));
  const [a, b] = await Promise.all([handle.get(), handle.get({ reraise: false })]);
  assert.equal(a, b);
  assert.equal(await handle, a);
  assert.equal(await handle.get(), a);
  const bad = pool.async("JSON.parse", "{");
  const errors = await Promise.all([bad.get().catch((e) => e), bad.get().catch((e) => e)]);
  assert.ok(errors[0] instanceof SyntaxError && errors[0] === errors[1]);
});

handles.it(
  "are as promises are: then, all, race, any, allSettled, resolve",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    assert.equal(await pool.async(square, 3).then((x) => x + 1), 10);
    assert.equal(
      await pool.async("JSON.parse", "{").then(null, (e) => (e as Error).name),
      "SyntaxError",
    );
    assert.deepEqual(
      await Promise.all([pool.async(square, 1), 2, pool.async(square, 3)]),
      [1, 2, 9],
    );
    const slow = pool.async(stuck.rest, 50);
    assert.equal(await Promise.race([slow, Promise.resolve("first")]), "first");
    assert.equal(await Promise.any([pool.async("JSON.parse", "{"), pool.async(square, 4)]), 16);
    assert.equal(await Promise.resolve(pool.async(square, 5)), 25);
    const settled = await Promise.allSettled([slow, pool.async("JSON.parse", "{")]);
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
  },
);

handles.it("stand where a promise can: catch, finally", async () => {
  await using pool = await AsyncPool.open(1);
  const twice = async (promise: Promise<number>) => 2 * (await promise);
  assert.equal(await twice(pool.async(square, 3)), 18);
  assert.equal(Object.prototype.toString.call(pool.async(square, 1)), "[object MessageHandle]");
  const bad = () => pool.async<number>("JSON.parse", "{");
  assert.equal(await bad().catch((error) => error.name), "SyntaxError");
  assert.equal(await pool.async(square, 3).catch(() => 0), 9);
  await failure(bad().catch(), SyntaxError);
  let ends = 0;
  const end = () => {
    ends++;
    return "ignored";
  };
  assert.equal(await pool.async(square, 4).finally(end), 16);
  await failure(bad().finally(end), SyntaxError);
  assert.equal(await pool.async(square, 5).finally(), 25);
  const spoilt = pool.async(square, 6).finally(() => {
    throw new RangeError("at the end");
  });
  await failure(spoilt, RangeError);
  assert.equal(ends, 2);
});

handles.itPerLink("runTime: ms that the function ran, as its worker said", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(passGate, gate.path);
  const queued = pool.async(square, 2);
  await gate.reached();
  assert.deepEqual([handle.runTime, queued.runTime], [null, null]);
  const start = performance.now();
  const slow = pool.async(stuck.rest, 40);
  gate.open();
  await slow;
  const most = performance.now() - start;
  assert.ok(handle.runTime! > 0);
  assert.equal(typeof queued.runTime, "number");
  assert.ok(slow.runTime! >= 39 && slow.runTime! <= most, `${slow.runTime} of ${most}`);
  const bad = pool.async("JSON.parse", "{");
  await failure(bad, SyntaxError);
  assert.equal(typeof bad.runTime, "number");
  const timed = pool.with({ timeout: 30 }).async(square, 3);
  await timed;
  assert.equal(typeof timed.runTime, "number");
  const late = pool.with({ timeout: 20 }).async(stuck.wander);
  await failure(late, TimeoutError);
  assert.ok(late.runTime === null || late.runTime >= 19, String(late.runTime));
  const gone = pool.with({ timeout: 1_000 }).async(stuck.wander);
  gone.cancel();
  const refused = pool.async((x: unknown) => x, Symbol("s"));
  assert.deepEqual([gone.runTime, refused.runTime], [null, null]);
});

handles.it("get({ timeout }) bounds the wait only", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(passGate, gate.path, "passed");
  await gate.reached();
  const ms = await timed(async () => {
    const error = await failure(handle.get({ timeout: 50 }), TimeoutError);
    assert.equal(error.code, "BSYNC_TIMEOUT");
  });
  assert.ok(ms >= 45, `it took ${ms} ms`);
  await failure(handle.get({ timeout: 0 }), TimeoutError);
  await failure(handle.get({ timeout: 0.5, reraise: false }), Error);
  assert.equal(handle.state, "running");
  gate.open();
  assert.equal(await handle.get({ timeout: 5_000 }), "passed");
  assert.equal(await handle.get({ timeout: 0 }), "passed");
  assert.equal(await handle.get({ timeout: 2 ** 40 }), "passed");
});

handles.it("get refuses options that are none", async () => {
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(square, 3);
  const wrong = [{ timeOut: 1 }, { timeout: "1" }, { timeout: NaN }, { timeout: -1 }];
  for (const options of wrong) {
    await failure((async () => await handle.get(options as never))(), TypeError);
  }
  assert.equal(await handle, 9);
});

handles.it("a failure that nobody looks at raises no unhandled rejection", async () => {
  const stray: unknown[] = [];
  const listener = (error: unknown) => stray.push(error);
  process.on("unhandledRejection", listener);
  try {
    await using pool = await AsyncPool.open(1);
    pool.async("JSON.parse", "{");
    pool.async((x: unknown) => x, Symbol("s"));
    pool.async(stuck.wander).cancel();
    pool.with({ timeout: 10 }).async(stuck.wander);
    pool.with({ signal: AbortSignal.abort() }).async(square, 1);
    const asked = pool.async("JSON.parse", "[");
    asked.ready();
    assert.equal(await pool.async(square, 3), 9);
    await until("it to fail", () => asked.ready());
    for (let i = 0; i < 3; i++) {
      Bun.gc(true);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    pool.async(stuck.wander);
    await pool.terminate("unseen");
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("unhandledRejection", listener);
  }
  assert.deepEqual(stray, []);
});

handles.itPerLink("ready() makes progress, the event loop turning", async () => {
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(stuck.rest, 10);
  let asked = 0;
  while (!handle.ready()) {
    asked++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(asked > 0);
  assert.equal(handle.state, "done");
  assert.equal(await handle, "rested");
});

handles.itPerLink("ready() makes progress by itself, the thread being held", async () => {
  await using pool = await AsyncPool.open(1);
  const list = numbers(20).map((i) => pool.async(square, i));
  const slow = pool.async(stuck.rest, 10);
  while (!slow.ready()) Bun.sleepSync(1);
  assert.ok(list.every((handle) => handle.ready() && handle.state === "done"));
  const bad = pool.async("JSON.parse", "{");
  while (!bad.ready()) Bun.sleepSync(1);
  assert.equal(bad.state, "failed");
});

handles.itPerLink("getSync: results, failures, and options", async () => {
  await using pool = await AsyncPool.open(1);
  assert.equal(pool.async(square, 3).getSync(), 9);
  assert.equal(pool.async(stuck.rest, 10).getSync({ timeout: 5_000 }), "rested");
  const bad = pool.async("JSON.parse", "{");
  assert.throws(() => bad.getSync(), SyntaxError);
  assert.throws(() => bad.getSync({ reraise: false }), ProcException);
  assert.throws(() => bad.getSync({ timeOut: 1 } as never), TypeError);
  const many = numbers(300).map((i) => pool.async(square, i));
  assert.equal(many[299]!.getSync(), 299 * 299);
  assert.deepEqual(
    many.map((handle) => handle.getSync()),
    numbers(300).map(square),
  );
});

handles.itPerLink("getSync: its timeout bounds the wait only", async () => {
  await using pool = await AsyncPool.open(1);
  const handle = pool.async(stuck.rest, 200);
  const start = performance.now();
  assert.throws(() => handle.getSync({ timeout: 30 }), TimeoutError);
  assert.throws(() => handle.getSync({ timeout: 0 }), TimeoutError);
  assert.ok(performance.now() - start < 190);
  assert.equal(handle.getSync(), "rested");
});

handles.itPerLink("getSync: of a task that runs past its timeout", async () => {
  await using pool = await AsyncPool.open(1);
  const loop = pool.with({ timeout: 50 }).async(stuck.loop);
  assert.throws(() => loop.getSync(), TimeoutError);
  const blocked = pool.with({ timeout: 50 }).async(stuck.blockLater, 300);
  assert.throws(() => blocked.getSync(), TimeoutError);
  assert.equal(pool.async(square, 3).getSync(), 9);
});

handles.itPerLink("getSync: large values, both ways", async () => {
  await using pool = await AsyncPool.open(1);
  const data = new Uint8Array(20_000_000).fill(5);
  const result = pool.async((bytes: Uint8Array) => bytes.map((x) => x + 1), data).getSync();
  assert.deepEqual([result.length, result[19_999_999]], [20_000_000, 6]);
});

handles.itPerLink("getSync: what is settled, cancelled, or never went out", async () => {
  await using pool = await AsyncPool.open(1);
  const done = pool.async(square, 3);
  await done;
  assert.equal(done.getSync(), 9);
  const bad = pool.async((x: unknown) => x, Symbol("s"));
  assert.throws(() => bad.getSync(), { code: "BSYNC_VALUE" });
  const gone = pool.async(stuck.wander);
  gone.cancel();
  assert.throws(() => gone.getSync(), { code: "BSYNC_CANCELLED" });
});

handles.itPerSize(
  "getSync: of a call that a callback of its own waits for",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const later = pool.async(square, 3).then((x) => pool.async(square, x).getSync());
    assert.equal(await later, 81);
  },
);
