import { getEventListeners } from "node:events";
import { AsyncPool, CancelledError, type MessageHandle, TimeoutError } from "../../../index.ts";
import { assert, failure, thrownBy } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { blockAtGate, Gate, passGate } from "../gate.ts";

export const cancelling = new Subject("cancelling");

const ran: unknown[] = [];

function note(name: unknown): unknown[] {
  ran.push(name);
  return ran.splice(0, name === "take" ? Infinity : 0);
}

/** Opens a pool of one worker, whose worker waits at a gate, and hands both over. */
async function behindGate(
  run: (pool: AsyncPool, gate: Gate, first: MessageHandle<unknown>) => Promise<void>,
): Promise<void> {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  await pool.async(note, "take");
  const first = pool.async(passGate, gate.path, "first");
  await gate.reached();
  await run(pool, gate, first);
}

/** Ends in some ms, by an answer or by throwing. */
async function endSoon(ms: number, fails: boolean): Promise<number> {
  const end = performance.now() + ms;
  while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
  if (fails) throw new RangeError("failed");
  return ms;
}

cancelling.itPerSize(
  "its end, its timeout, cancel and abort in the same ms: settled once, with one of the truths",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const found = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const aborter = new AbortController();
      const { signal } = aborter;
      // Which of them comes first changes from round to round, by parts of a ms.
      const at = (n: number) => 3 + ((i * n) % 7) / 10;
      const handle = pool.with({ timeout: at(3), signal }).async(endSoon, at(1), i % 5 === 0);
      let settled = 0;
      const count = () => void settled++;
      handle.then(count, count);
      setTimeout(() => void handle.cancel("cancelled"), at(2));
      setTimeout(() => aborter.abort("aborted"), at(4));
      const truth = await truthOf(handle);
      found.add(truth);
      await new Promise((resolve) => setTimeout(resolve, 2));
      assert.deepEqual([settled, handle.cancel(), await truthOf(handle)], [1, false, truth]);
    }
    for (const truth of found) {
      assert.match(truth, /^(done value|failed (failed|timeout)|cancelled (cancelled|aborted))$/);
    }
    assert.equal(await pool.async(square, 3), 9);
  },
);

/** Its state, and what it tells: a value, or by what it failed. */
async function truthOf(handle: MessageHandle<unknown>): Promise<string> {
  const error = await handle.get().then(
    () => null,
    (error: unknown) => ({ error }),
  );
  return `${handle.state} ${error === null ? "value" : nameOf(error.error)}`;
}

function nameOf(error: unknown): string {
  if (error === "aborted") return "aborted";
  if (error instanceof CancelledError) return error.cause === "cancelled" ? "cancelled" : "?";
  if (error instanceof TimeoutError) return "timeout";
  return error instanceof RangeError ? error.message : Bun.inspect(error);
}

cancelling.it("a queued task never runs", () =>
  behindGate(async (pool, gate, first) => {
    const [one, two, three] = [1, 2, 3].map((name) => pool.async(note, name));
    assert.equal(two!.cancel(), true);
    assert.equal(two!.state, "cancelled");
    gate.open();
    const error = await failure(two!, CancelledError);
    assert.equal(error.code, "BSYNC_CANCELLED");
    await Promise.all([first, one, three]);
    assert.deepEqual(await pool.async(note, "take"), [1, 3, "take"]);
  }),
);

cancelling.it("a running task settles at once, and its worker goes on", () =>
  behindGate(async (pool, _, first) => {
    const waiting = failure(first, CancelledError);
    assert.equal(first.cancel(), true);
    assert.deepEqual([first.state, first.ready()], ["cancelled", true]);
    await waiting;
    assert.equal(await pool.async(square, 3), 9);
  }),
);

cancelling.it("the reason is the cause", () =>
  behindGate(async (pool, gate, first) => {
    const reason = new RangeError("enough");
    const queued = pool.async(square, 1);
    assert.ok(queued.cancel(reason) && first.cancel("text"));
    assert.equal((await failure(queued, CancelledError)).cause, reason);
    assert.equal((await failure(first, CancelledError)).cause, "text");
    gate.open();
    const plain = pool.async(stuck.never);
    plain.cancel();
    assert.ok(!("cause" in (await failure(plain, CancelledError))));
  }),
);

cancelling.it("is true once, and false for what is settled", async () => {
  await using pool = await AsyncPool.open(1);
  const done = pool.async(square, 3);
  assert.equal(await done, 9);
  assert.deepEqual([done.cancel(), done.state, await done], [false, "done", 9]);
  const failed = pool.async("JSON.parse", "{");
  await failure(failed, SyntaxError);
  assert.deepEqual([failed.cancel(), failed.state], [false, "failed"]);
  const running = pool.async(stuck.wander);
  assert.deepEqual([running.cancel(), running.cancel()], [true, false]);
  await failure(running, CancelledError);
});

cancelling.it("a hundred queued ones, some of them", () =>
  behindGate(async (pool, gate, first) => {
    const handles = Array.from({ length: 100 }, (_, i) => pool.async(square, i));
    for (const [i, handle] of handles.entries()) if (i % 3 === 0) handle.cancel();
    gate.open();
    await first;
    for (const [i, handle] of handles.entries()) {
      if (i % 3 === 0) await failure(handle, CancelledError);
      else assert.equal(await handle, i * i);
    }
  }),
);

cancelling.it("a task of a thousand cancelled ones before it runs at once", () =>
  behindGate(async (pool, gate, first) => {
    for (let i = 0; i < 3000; i++) pool.async(square, i).cancel();
    const last = pool.async(square, 3);
    gate.open();
    await first;
    assert.equal(await last, 9);
  }),
);

cancelling.it(
  "a synchronous task settles at once; its worker is back when it returns",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1);
    const running = pool.async(blockAtGate, gate.path);
    await gate.reached();
    running.cancel();
    await failure(running, CancelledError);
    const next = pool.async(square, 3);
    gate.open();
    assert.equal(await next, 9);
  },
);

cancelling.it(
  "an endless loop in a process of its own costs the process",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1);
    const { pid } = pool.workers[0]!;
    const running = pool.async(blockAtGate, gate.path);
    const next = pool.async(() => process.pid);
    await gate.reached();
    running.cancel();
    await failure(running, CancelledError);
    assert.notEqual(await next, pid);
  },
  { processes: true },
);

cancelling.it("signal: aborted before the call, and the task never runs", async () => {
  await using pool = await AsyncPool.open(1);
  await pool.async(note, "take");
  const reason = { why: "never mind" };
  const handle = pool.with({ signal: AbortSignal.abort(reason) }).async(note, "no");
  assert.equal(await thrownBy(handle), reason);
  assert.equal(handle.state, "cancelled");
  assert.deepEqual(await pool.async(note, "take"), ["take"]);
});

cancelling.it("signal: a queued task is dropped, get rejecting with the reason", () =>
  behindGate(async (pool, gate, first) => {
    const controller = new AbortController();
    const queued = pool.with({ signal: controller.signal }).async(note, "no");
    const reason = new TypeError("changed my mind");
    controller.abort(reason);
    assert.equal(queued.state, "cancelled");
    assert.equal(await thrownBy(queued), reason);
    gate.open();
    await first;
    assert.deepEqual(await pool.async(note, "take"), ["take"]);
  }),
);

cancelling.it("signal: a running task settles at once, and its worker goes on", async () => {
  using gate = new Gate();
  await using pool = await AsyncPool.open(1);
  const controller = new AbortController();
  const running = pool.with({ signal: controller.signal }).async(passGate, gate.path);
  await gate.reached();
  controller.abort();
  const error = await failure(running, DOMException);
  assert.equal(error, controller.signal.reason);
  assert.equal(error.name, "AbortError");
  assert.equal(await pool.async(square, 3), 9);
});

cancelling.itPerSize(
  "signal: one for fifty tasks, queued, running and done",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers);
    const controller = new AbortController();
    const view = pool.with({ signal: controller.signal });
    const done = await Promise.all([view.async(square, 1), view.async(square, 2)]);
    const handles = Array.from({ length: 50 }, () => view.async(stuck.wander));
    const other = pool.async(square, 7);
    assert.ok(getEventListeners(controller.signal, "abort").length <= 1, "listeners");
    controller.abort("all of them");
    for (const handle of handles) assert.equal(await thrownBy(handle), "all of them");
    assert.deepEqual([done, await other], [[1, 4], 49]);
  },
);

cancelling.it("signal: no listener stays when all is settled", async () => {
  await using pool = await AsyncPool.open(1);
  const { signal } = new AbortController();
  const view = pool.with({ signal });
  await Promise.all([view.async(square, 1), view.async(square, 2)]);
  await failure(view.async("JSON.parse", "{"), SyntaxError);
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

cancelling.it("signal: aborting afterwards changes nothing", async () => {
  await using pool = await AsyncPool.open(1);
  const controller = new AbortController();
  const handle = pool.with({ signal: controller.signal }).async(square, 3);
  assert.equal(await handle, 9);
  controller.abort();
  assert.deepEqual([handle.state, await handle], ["done", 9]);
});

cancelling.it("signal: AbortSignal.timeout and any", async () => {
  await using pool = await AsyncPool.open(1);
  const signal = AbortSignal.any([AbortSignal.timeout(30), new AbortController().signal]);
  const error = await failure(pool.with({ signal }).async(stuck.wander), DOMException);
  assert.equal(error.name, "TimeoutError");
  assert.equal(await pool.async(square, 3), 9);
});

cancelling.it("signal: what is none is a TypeError that names it", async () => {
  await using pool = await AsyncPool.open(1);
  for (const signal of [new AbortController(), {}, "abort", null]) {
    const submit = () => pool.with({ signal: signal as never });
    assert.throws(submit, { name: "TypeError", message: /signal/ });
  }
});
