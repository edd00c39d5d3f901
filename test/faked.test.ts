/** Pools of a program whose timers and clocks are the test runner's, which fakes those of the engine itself. */
import { afterEach, describe, expect, jest, setSystemTime, test } from "bun:test";
import { AsyncPool, CancelledError, TimeoutError, WorkerLostError } from "../index.ts";

function square(x: number): number {
  return x * x;
}

function endProcess(): never {
  process.exit(3);
}

async function never(): Promise<void> {
  await new Promise(() => {});
}

function loop(): never {
  for (;;);
}

afterEach(() => {
  jest.useRealTimers();
  setSystemTime();
});

for (const when of ["before", "after"]) {
  describe(`timers that are faked ${when} a pool is opened`, () => {
    /** A pool, once they are. */
    async function openPool(): Promise<AsyncPool> {
      if (when === "before") jest.useFakeTimers({ now: 0 });
      const pool = await AsyncPool.open(2);
      if (when === "after") jest.useFakeTimers({ now: 0 });
      return pool;
    }

    test("calls are answered, one after another, at once, and to who blocks; the pool closes", async () => {
      const pool = await openPool();
      for (let i = 0; i < 100; i++) expect(await pool.async(square, i)).toBe(i * i);
      const many = await Promise.all(Array.from({ length: 500 }, (_, i) => pool.async(square, i)));
      expect(many.at(-1)).toBe(499 ** 2);
      expect(pool.async(square, 5).getSync()).toBe(25);
      await pool.close();
    });

    test("a worker that is lost is replaced", async () => {
      const pool = await openPool();
      await expect(pool.async(endProcess).get()).rejects.toThrow(WorkerLostError);
      expect(await Promise.all(await pool.each(square, 3))).toEqual([9, 9]);
      await pool.terminate();
    });

    test("calls time out on their workers, whose clocks are their own", async () => {
      const pool = await openPool();
      const timed = pool.with({ timeout: 20 });
      await expect(timed.async(loop).get()).rejects.toThrow(TimeoutError);
      await expect(timed.async(never).get()).rejects.toThrow(TimeoutError);
      await pool.close();
    });

    test("calls are cancelled, and terminate ends what holds its thread", async () => {
      const pool = await openPool();
      const waiting = pool.async(never);
      expect(await pool.async(square, 2)).toBe(4);
      waiting.cancel();
      await expect(waiting.get()).rejects.toThrow(CancelledError);
      const looping = pool.async(loop);
      await pool.async(square, 2);
      const over = pool.terminate();
      await expect(looping.get()).rejects.toThrow(CancelledError);
      await over;
    });

    test("a moved clock changes nothing", async () => {
      const pool = await openPool();
      setSystemTime(new Date("1999-12-31"));
      expect(await pool.async(square, 3)).toBe(9);
      jest.advanceTimersByTime(100_000_000);
      expect(await pool.async(square, 4)).toBe(16);
      await pool.close();
    });
  });
}
