import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AsyncPool, TimeoutError, WorkerLostError } from "../../../index.ts";
import { assert, failure, until } from "../assert.ts";
import { MPI, Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";
import * as stuck from "../fixtures/stuck.ts";
import { Gate, passGate } from "../gate.ts";
import { numbers } from "../numbers.ts";
import { isAlive } from "../alive.ts";

/** Ranks that run their tasks in children; what these share with all processes is in `losses.ts`. */
export const isolation = new Subject("isolation");

const ISOLATED = { isolate: true } as const;

function family(): [number, number] {
  return [process.pid, process.ppid];
}

function exit(code: number): never {
  process.exit(code);
}

/** Takes more memory than it may have, as if the machine had no more. */
function devour(): never {
  const limit = ["prlimit", "--pid", `${process.pid}`, `--data=${400_000_000}`];
  if (!Bun.spawnSync(limit).success) throw new Error("prlimit is needed");
  // Of small objects, for which the engine knows no error: there has to be room.
  let held: object = {};
  for (;;) held = { held };
}

/** Leaves a loop behind that takes the thread for ever, and is reached at the gate of `path`. */
function leaveLoop(path: string): string {
  setTimeout(() => {
    writeFileSync(join(path, "reached-0"), "");
    for (;;);
  }, 1);
  return "left";
}

isolation.itPerSize(
  "each rank has a child, and that is the worker",
  async ({ workers }) => {
    const list = numbers(workers, 1);
    const ranks = await (async () => {
      await using plain = await AsyncPool.open(list, { isolate: false });
      return await plain.each(() => process.pid);
    })();
    await using pool = await AsyncPool.open(list, ISOLATED);
    const there = await pool.each(family);
    assert.deepEqual(
      there.map(([, parent]) => parent),
      ranks,
    );
    assert.deepEqual(
      pool.workers.map(({ rank, pid }) => [rank, pid]),
      there.map(([pid], i) => [i + 1, pid]),
    );
  },
  { modes: MPI },
);

isolation.it(
  "without MPI it means nothing more",
  async () => {
    await using pool = await AsyncPool.open(1, ISOLATED);
    assert.deepEqual(
      pool.workers.map(({ rank }) => rank),
      [null],
    );
    assert.deepEqual(await pool.async(family), [pool.workers[0]!.pid, process.pid]);
  },
  { modes: ["local"] },
);

isolation.it(
  "a child has none of what the launcher has set for its rank",
  async () => {
    await using pool = await AsyncPool.open(1, ISOLATED);
    const names = await pool.async(() => Object.keys(process.env).sort());
    const launcher = /^(OMPI_(COMM|UNIVERSE)|ORTE_|PMIX_(RANK|NAMESPACE)|PMI_|HYDI_|MPI_LOCAL)/;
    assert.deepEqual(
      names.filter((name) => launcher.test(name)),
      [],
    );
    assert.ok(names.includes("PATH"));
  },
  { modes: MPI },
);

isolation.it(
  "three losses in a row with retries left, and the task is done at last",
  async () => {
    using gate = new Gate();
    await using pool = await AsyncPool.open(1, ISOLATED);
    const dieThrice = async (folder: string): Promise<number> => {
      const { existsSync, writeFileSync } = await import("node:fs");
      for (const name of ["one", "two", "three"]) {
        if (existsSync(`${folder}/${name}`)) continue;
        writeFileSync(`${folder}/${name}`, "");
        process.kill(process.pid, "SIGKILL");
        await new Promise(() => {});
      }
      return 4;
    };
    assert.equal(await pool.with({ retries: 3 }).async(dieThrice, gate.path), 4);
    const error = await failure(pool.with({ retries: 2 }).async(exit, 9), WorkerLostError);
    assert.equal(error.exitCode, 9);
    assert.equal(await pool.async(square, 3), 9);
  },
  { processes: true },
);

isolation.it(
  "a native call that does not end, with a timeout and cancelled, costs the child",
  async () => {
    await using pool = await AsyncPool.open(1, ISOLATED);
    const { pid } = pool.workers[0]!;
    await failure(pool.with({ timeout: 50 }).async(stuck.block, 1e8), TimeoutError);
    const second = await pool.async(() => process.pid);
    assert.notEqual(second, pid);
    using gate = new Gate();
    const running = pool.async((path: string) => {
      void passGate(path);
      Bun.sleepSync(1e8);
    }, gate.path);
    await gate.reached();
    running.cancel();
    assert.notEqual(await pool.async(() => process.pid), second);
    await until("both to be gone", () => !isAlive(pid) && !isAlive(second));
  },
  { processes: true },
);

isolation.it(
  "a child that runs out of memory is lost, and replaced",
  async () => {
    await using pool = await AsyncPool.open(1, ISOLATED);
    const error = await failure(pool.async(devour), WorkerLostError);
    assert.ok(error.signal !== null || error.exitCode !== 0, error.message);
    assert.equal(await pool.async(square, 3), 9);
  },
  { processes: true },
);

isolation.it(
  "a child whose thread is taken for ever by what a task left is replaced",
  async () => {
    await using pool = await AsyncPool.open(1, ISOLATED);
    const { pid } = pool.workers[0]!;
    using gate = new Gate();
    assert.equal(await pool.async(leaveLoop, gate.path), "left");
    await gate.reached();
    assert.notEqual(await pool.async(() => process.pid), pid);
  },
  { processes: true },
);

isolation.it(
  "a loss in one pool costs the others on the same rank nothing",
  async () => {
    using gate = new Gate();
    await using plain = await AsyncPool.open([1], { isolate: false });
    await using one = await AsyncPool.open([1], ISOLATED);
    await using two = await AsyncPool.open([1], ISOLATED);
    const [rank] = await plain.each(() => process.pid);
    const pids = [rank, one.workers[0]!.pid, two.workers[0]!.pid];
    assert.equal(new Set(pids).size, 3);
    const others = [plain.async(passGate, gate.path, 1, 0), two.async(passGate, gate.path, 2, 1)];
    await gate.reached(2);
    await failure(one.async(exit, 1), WorkerLostError);
    assert.equal(await one.async(square, 3), 9);
    gate.open();
    assert.deepEqual(await Promise.all(others), [1, 2]);
    assert.deepEqual(await two.async(family), [pids[2], rank]);
  },
  { modes: MPI },
);

isolation.itPerSize(
  "large buffers both ways, several at a time, and a loss between them",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers, ISOLATED);
    const turn = (bytes: Uint8Array, add: number) => {
      for (let i = 0; i < bytes.length; i++) bytes[i]! += add;
      return bytes;
    };
    const make = (i: number) => new Uint8Array(3_000_000 + i).fill(i);
    const calls = numbers(8).map((i) => pool.async(turn, make(i), 1));
    const bad = pool.async((bytes: Uint8Array) => process.exit(bytes.length % 7), make(3));
    const more = numbers(8).map((i) => pool.async(turn, make(i), 2));
    await failure(bad, WorkerLostError);
    for (const [i, bytes] of (await Promise.all([...calls, ...more])).entries()) {
      assert.equal(bytes.length, 3_000_000 + (i % 8));
      assert.ok(Buffer.compare(bytes, make(i % 8).fill((i % 8) + (i < 8 ? 1 : 2))) === 0);
    }
  },
  { modes: MPI },
);

isolation.itPerSize(
  "children that die in every state, again and again: every call is settled",
  async ({ workers }) => {
    await using pool = await AsyncPool.open(workers, ISOLATED);
    for (let round = 0; round < 5; round++) {
      const calls = numbers(60).map((i) =>
        i % 20 === 7 ? pool.async(exit, i) : pool.async(square, i),
      );
      const settled = await Promise.allSettled(calls.map((call) => call.get()));
      for (const [i, result] of settled.entries()) {
        if (i % 20 === 7) assert.ok(result.status === "rejected" && result.reason.exitCode === i);
        else assert.deepEqual(result, { status: "fulfilled", value: i * i });
      }
    }
  },
  { slow: true, processes: true },
);

isolation.itPerSize(
  "after close and after terminate the children are gone, and the ranks serve on",
  async ({ workers }) => {
    for (const end of ["close", "terminate"] as const) {
      const pool = await AsyncPool.open(workers, ISOLATED);
      const pids = pool.workers.map(({ pid }) => pid);
      if (end === "terminate") pool.async(stuck.loop);
      await pool[end]();
      await until(`gone after ${end}`, () => !pids.some(isAlive), 2_000);
    }
    await using plain = await AsyncPool.open(workers, { isolate: false });
    assert.equal((await plain.each(square, 2)).length, workers);
  },
  { modes: MPI },
);

isolation.it(
  "a mixed pool: children of ranks, and processes beside rank 0",
  async () => {
    await using pool = await AsyncPool.open([1, null], ISOLATED);
    const there = await pool.each(family);
    assert.deepEqual(
      pool.workers.map(({ rank }) => rank),
      [1, null],
    );
    assert.deepEqual(
      pool.workers.map(({ pid }) => pid),
      there.map(([pid]) => pid),
    );
    assert.equal(there[1]![1], process.pid);
    assert.notEqual(there[0]![1], process.pid);
    const codes = await Promise.all(
      [3, 3].map((code) => failure(pool.async(exit, code), WorkerLostError)),
    );
    assert.ok(codes.every(({ exitCode }) => exitCode === 3));
    assert.equal((await pool.each(square, 3)).length, 2);
  },
  { modes: MPI },
);

isolation.it(
  "getSync and ready over a relay, and of a child that dies",
  async () => {
    await using pool = await AsyncPool.open(1, ISOLATED);
    assert.equal(pool.async(square, 3).getSync({ timeout: 5_000 }), 9);
    assert.throws(() => pool.async(exit, 2).getSync({ timeout: 5_000 }), WorkerLostError);
    assert.equal(pool.async(square, 4).getSync({ timeout: 5_000 }), 16);
  },
  { processes: true },
);
