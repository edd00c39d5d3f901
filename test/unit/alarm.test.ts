import { afterEach, describe, expect, jest, test } from "bun:test";
import { Alarm } from "../../src/controller/alarm.ts";

/** An alarm, and a promise of when it rings next. */
function newAlarm() {
  const times: number[] = [];
  let next = Promise.withResolvers<number>();
  const alarm = new Alarm(() => {
    const now = performance.now();
    times.push(now);
    next.resolve(now);
    next = Promise.withResolvers<number>();
  });
  return { alarm, times, rings: () => next.promise };
}

/** A timer of the test's own keeps it alive: the alarm doesn't. */
async function alive<T>(promise: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}

describe("rings", () => {
  test("at the earliest of the times it was given, once, and not before it", async () => {
    const { alarm, times, rings } = newAlarm();
    const now = performance.now();
    for (const ms of [60, 25.5, 40, 25.5, 1000]) alarm.set(now + ms, now);
    expect(await alive(rings())).toBeGreaterThanOrEqual(now + 25.5);
    // By then the others would have rung too.
    await alive(new Promise((resolve) => setTimeout(resolve, now + 70 - performance.now())));
    expect(times.length).toBe(1);
  });

  test("never early, at any fraction of a millisecond", async () => {
    const { alarm, rings } = newAlarm();
    for (let i = 0; i < 60; i++) {
      const now = performance.now();
      const time = now + (i % 20) / 7;
      alarm.set(time, now);
      expect(await alive(rings())).toBeGreaterThanOrEqual(time);
    }
  });

  test("at once for a time that is past, but not within set", async () => {
    const { alarm, times, rings } = newAlarm();
    const now = performance.now();
    alarm.set(now - 1000, now);
    expect(times).toEqual([]);
    await alive(rings());
    expect(times.length).toBe(1);
  });

  test("again when it is set after it rang, or while it rings", async () => {
    const rung: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const alarm = new Alarm(() => {
      const now = performance.now();
      rung.push(now);
      if (rung.length === 5) resolve();
      else alarm.set(now + 3, now);
    });
    alarm.set(performance.now(), performance.now());
    await alive(promise);
    for (let i = 1; i < 5; i++) expect(rung[i]! - rung[i - 1]!).toBeGreaterThanOrEqual(3);
    expect(rung.length).toBe(5);
  });

  test("at a later time, if it was cleared before that was set", async () => {
    const { alarm, times, rings } = newAlarm();
    const now = performance.now();
    alarm.set(now + 1, now);
    alarm.clear();
    alarm.set(now + 20, now);
    expect(await alive(rings())).toBeGreaterThanOrEqual(now + 20);
    expect(times.length).toBe(1);
  });
});

describe("with a clock that is told", () => {
  afterEach(() => void jest.useRealTimers());

  test.each([2 ** 31, 2 ** 31 + 0.5, 5e9, 3e11])("%p ms are not cut to 31 bits", (ms) => {
    jest.useFakeTimers();
    const { alarm, times } = newAlarm();
    const now = performance.now();
    alarm.set(now + ms, now);
    const step = 1_999_999_999;
    for (let passed = 0; passed + step < ms; passed += step) {
      jest.advanceTimersByTime(step);
      expect(times).toEqual([]);
    }
    jest.advanceTimersByTime(step);
    expect(times.length).toBe(1);
    expect(times[0]! - now).toBeGreaterThanOrEqual(ms);
    expect(times[0]! - now).toBeLessThan(ms + 2);
  });

  test("Infinity is no time at all, and a time that was cleared is none", () => {
    jest.useFakeTimers();
    const { alarm, times } = newAlarm();
    alarm.set(Infinity, performance.now());
    expect(jest.getTimerCount()).toBe(0);
    alarm.set(performance.now() + 5, performance.now());
    expect(jest.getTimerCount()).toBe(1);
    alarm.clear();
    alarm.clear();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(100);
    expect(times).toEqual([]);
  });

  test("there is one timer, however often it is set", () => {
    jest.useFakeTimers();
    const { alarm, times } = newAlarm();
    const now = performance.now();
    for (let i = 100; i > 0; i--) alarm.set(now + i, now);
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(1000);
    expect(times.length).toBe(1);
  });
});

test("it does not keep a process alive", async () => {
  const alarm = Bun.resolveSync("../../src/controller/alarm.ts", import.meta.dir);
  const program = `
    import { Alarm } from ${JSON.stringify(alarm)};
    const alarm = new Alarm(() => console.log("it rang"));
    alarm.set(performance.now() + 60_000, performance.now());
    console.log("set");
  `;
  await using child = Bun.spawn([process.execPath, "-e", program], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ out, err, code }).toEqual({ out: "set\n", err: "", code: 0 });
});
