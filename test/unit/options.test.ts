import { afterEach, describe, expect, test } from "bun:test";
import {
  type CallOptions,
  DEFAULT_OPEN_TIMEOUT_MS,
  type PoolOptions,
  readCallOptions,
  readPoolOptions,
} from "../../src/options.ts";
import { OpenOptions } from "../../src/open/checked-options.ts";
import { readCount, readRanks, type WorkerList } from "../../src/worker-list.ts";
import { MEMBERS } from "../../src/job/communicator-members.ts";
import { DEFAULT_TASK } from "../../src/scheduler/task.ts";

/** What no type checker saw. */
const poolOptions = (options: unknown) => readPoolOptions(options as PoolOptions);
const callOptions = (options: unknown) => readCallOptions(options as CallOptions, DEFAULT_TASK, 4);
const ranks = (workers: unknown, size = 5) => readRanks(workers as WorkerList, size);
const processes = (workers: unknown) => readCount(workers as WorkerList, 8);

interface Thrown {
  readonly name: string;
  readonly message: string;
}

function thrownBy(run: () => unknown): Thrown | null {
  try {
    run();
    return null;
  } catch (error) {
    const { name, message } = error as Error;
    return { name, message };
  }
}

const { signal } = new AbortController();
const nothing = () => {};

const TASK_REFUSALS: readonly (readonly [string, unknown, string])[] = [
  ["timeout", -1, "timeout must be a number of ms >= 0, got -1"],
  ["timeout", NaN, "timeout must be a number of ms >= 0, got NaN"],
  ["timeout", "5", 'timeout must be a number of ms >= 0, got "5"'],
  ["timeout", 5n, "timeout must be a number of ms >= 0, got 5n"],
  ["timeout", null, "timeout must be a number of ms >= 0, got null"],
  ["priority", NaN, "priority must be a number, lower being more urgent, got NaN"],
  ["priority", "high", 'priority must be a number, lower being more urgent, got "high"'],
  ["priority", null, "priority must be a number, lower being more urgent, got null"],
  ["retries", -1, "retries must be a whole number >= 0, got -1"],
  ["retries", 1.5, "retries must be a whole number >= 0, got 1.5"],
  ["retries", Infinity, "retries must be a whole number >= 0, got Infinity"],
  ["retries", true, "retries must be a whole number >= 0, got true"],
];

const POOL_REFUSALS: readonly (readonly [string, unknown, string])[] = [
  ...TASK_REFUSALS,
  ["inline", 1, "inline must be true or false, got 1"],
  ["inline", null, "inline must be true or false, got null"],
  ["mpi", 0, "mpi must be true or false, got 0"],
  ["mpi", "false", 'mpi must be true or false, got "false"'],
  ["mpi", null, "mpi must be true or false, got null"],
  ["tag", -1, "tag must be a whole number from 0 to 32766, got -1"],
  ["tag", 32_767, "tag must be a whole number from 0 to 32766, got 32767"],
  ["tag", 0.5, "tag must be a whole number from 0 to 32766, got 0.5"],
  ["tag", "1", 'tag must be a whole number from 0 to 32766, got "1"'],
  ["keepUnused", 1, "keepUnused must be true or false, got 1"],
  ["comm", null, "comm must be a Communicator of bsync/mpi, got null"],
  ["comm", 1, "comm must be a Communicator of bsync/mpi, got 1"],
  ["release", null, "release must be true or false, got null"],
  ["initializer", {}, "initializer must be a function, or [function, ...arguments], got {}"],
  ["initializer", [], "initializer must be a function, or [function, ...arguments], got []"],
  ["initializer", [1], "initializer must be a function, or [function, ...arguments], got [ 1 ]"],
  ["env", null, "env must be an object of variables, got null"],
  ["env", "A=1", 'env must be an object of variables, got "A=1"'],
  ["env", ["A=1"], 'env must be an object of variables, got [ "A=1" ]'],
  ["cwd", 5, "cwd must be a path, got 5"],
  ["cwd", null, "cwd must be a path, got null"],
  ["isolate", 1, "isolate must be true or false, got 1"],
  ["isolate", "yes", 'isolate must be true or false, got "yes"'],
  ["maxTasksPerWorker", 0, "maxTasksPerWorker must be a whole number >= 1, got 0"],
  ["maxTasksPerWorker", 1.5, "maxTasksPerWorker must be a whole number >= 1, got 1.5"],
  ["maxTasksPerWorker", "9", 'maxTasksPerWorker must be a whole number >= 1, got "9"'],
  ["maxMemoryPerWorker", 0, "maxMemoryPerWorker must be a number of bytes > 0, got 0"],
  ["maxMemoryPerWorker", NaN, "maxMemoryPerWorker must be a number of bytes > 0, got NaN"],
  ["maxMemoryPerWorker", "1G", 'maxMemoryPerWorker must be a number of bytes > 0, got "1G"'],
  ["concurrency", 0, "concurrency must be a whole number >= 1, got 0"],
  ["concurrency", -1, "concurrency must be a whole number >= 1, got -1"],
  ["concurrency", 1.5, "concurrency must be a whole number >= 1, got 1.5"],
  ["concurrency", NaN, "concurrency must be a whole number >= 1, got NaN"],
  ["concurrency", Infinity, "concurrency must be a whole number >= 1, got Infinity"],
  ["concurrency", "4", 'concurrency must be a whole number >= 1, got "4"'],
  ["queueLimit", -1, "queueLimit must be a whole number >= 0, got -1"],
  ["queueLimit", 0.5, "queueLimit must be a whole number >= 0, got 0.5"],
  ["queueLimit", null, "queueLimit must be a whole number >= 0, got null"],
  ...[
    "SIGKILL",
    "SIGSTOP",
    "SIGURG",
    "SIGPWR",
    "TERM",
    "constructor",
    15,
    ["SIGTERM", "sigint"],
    [null],
  ].map(
    (value) =>
      [
        "drainSignals",
        value,
        'drainSignals must be the name of a signal that can be caught, as "SIGTERM", or a list of ' +
          `such, got ${typeof value === "string" ? JSON.stringify(value) : Bun.inspect(value)}`,
      ] as const,
  ),
  ["drainTimeout", -1, "drainTimeout must be a number of ms >= 0, got -1"],
  ["drainTimeout", "1s", 'drainTimeout must be a number of ms >= 0, got "1s"'],
  ["unhandled", "print", 'unhandled must be one of "warn", "ignore" and "throw", got "print"'],
  ["unhandled", true, 'unhandled must be one of "warn", "ignore" and "throw", got true'],
  ["spin", -1, "spin must be a number of µs >= 0, got -1"],
  ["spin", NaN, "spin must be a number of µs >= 0, got NaN"],
  ["spin", "0", 'spin must be a number of µs >= 0, got "0"'],
  ["openTimeout", -1, "openTimeout must be a number of ms >= 0, got -1"],
  ["openTimeout", "1s", 'openTimeout must be a number of ms >= 0, got "1s"'],
];

describe("options of a pool", () => {
  test.each(POOL_REFUSALS)("%s: %p is refused", (name, value, what) => {
    const message = `Cannot open a pool: ${what}`;
    expect(thrownBy(() => poolOptions({ [name]: value }))).toEqual({ name: "TypeError", message });
  });

  test("an unknown one is named, with those there are", () => {
    const known =
      "timeout, priority, retries, mpi, tag, comm, keepUnused, release, initializer, env, cwd, isolate, " +
      "inline, maxTasksPerWorker, maxMemoryPerWorker, concurrency, queueLimit, drainSignals, drainTimeout, " +
      "unhandled, progress, spin, openTimeout";
    for (const name of ["worker", "Timeout", "signal", "constructor", "__proto__", "0"]) {
      const options = Object.defineProperty({}, name, { value: 1, enumerable: true });
      const message = `Cannot open a pool: unknown option "${name}"; there are ${known}`;
      expect(thrownBy(() => poolOptions(options))).toEqual({ name: "TypeError", message });
    }
  });

  test("an unknown one is refused even where it is undefined", () => {
    expect(() => poolOptions({ worker: undefined })).toThrow('unknown option "worker"');
  });

  test.each([
    [5, "5"],
    ["fast", '"fast"'],
    [null, "null"],
    [true, "true"],
    [[], "[]"],
  ])("%p instead of options", (options, shown) => {
    const message = `Cannot open a pool: expected an object of options, got ${shown}`;
    expect(thrownBy(() => poolOptions(options))).toEqual({ name: "TypeError", message });
  });

  test("none at all: every default", () => {
    expect(readPoolOptions({})).toEqual({
      mpi: undefined,
      tag: undefined,
      comm: undefined,
      keepUnused: false,
      release: false,
      initializer: null,
      env: undefined,
      cwd: undefined,
      isolate: false,
      inline: false,
      spin: undefined,
      openTimeout: DEFAULT_OPEN_TIMEOUT_MS,
      task: DEFAULT_TASK,
      limits: {
        ...{ tasksPerWorker: Infinity, memoryPerWorker: Infinity, queue: Infinity },
        concurrency: 1,
      },
      drain: { signals: [], timeout: 10_000 },
      progress: null,
      unhandled: "warn",
    });
  });

  test("undefined is as good as left out, for each of them", () => {
    const names = [...new Set(POOL_REFUSALS.map(([name]) => name))];
    const options = Object.fromEntries(names.map((name) => [name, undefined]));
    expect(poolOptions(options)).toEqual(readPoolOptions({}));
  });

  test("the ends of every range", () => {
    for (const timeout of [0, 0.5, Infinity]) {
      expect(readPoolOptions({ timeout }).task.timeout).toBe(timeout);
    }
    for (const priority of [-Infinity, -0.5, 0, Infinity]) {
      expect(readPoolOptions({ priority }).task.priority).toBe(priority);
    }
    for (const tag of [0, 32_766]) expect(readPoolOptions({ tag }).tag).toBe(tag);
    expect(readPoolOptions({ spin: 0 }).spin).toBe(0);
    expect(readPoolOptions({ retries: 3 }).task.retries).toBe(3);
    expect(readPoolOptions({ openTimeout: Infinity }).openTimeout).toBe(Infinity);
    for (const limit of [1, 5, Infinity]) {
      const { tasksPerWorker, memoryPerWorker, queue } = readPoolOptions({
        maxTasksPerWorker: limit,
        maxMemoryPerWorker: limit + 0.5,
        queueLimit: limit - 1,
      }).limits;
      expect([tasksPerWorker, memoryPerWorker, queue]).toEqual([limit, limit + 0.5, limit - 1]);
    }
    expect(readPoolOptions({ mpi: false, keepUnused: true })).toMatchObject({
      mpi: false,
      keepUnused: true,
    });
    expect(readPoolOptions({ cwd: "/tmp", env: { A: "1", B: undefined } })).toMatchObject({
      cwd: "/tmp",
      env: { A: "1", B: undefined },
    });
  });

  test("drain signals are a list without repetition, given as one or not", () => {
    const signals = (drainSignals: PoolOptions["drainSignals"] & {}) =>
      readPoolOptions({ drainSignals }).drain.signals;
    expect(signals("SIGTERM")).toEqual(["SIGTERM"]);
    expect(signals(["SIGUSR1", "SIGTERM", "SIGUSR1"])).toEqual(["SIGUSR1", "SIGTERM"]);
    expect(signals([])).toEqual([]);
    expect(readPoolOptions({ drainTimeout: 0.5 }).drain.timeout).toBe(0.5);
  });

  test("an initializer is a list, given as one or not", () => {
    expect(readPoolOptions({ initializer: nothing }).initializer).toEqual([nothing]);
    expect(readPoolOptions({ initializer: "init" }).initializer).toEqual(["init"]);
    expect(readPoolOptions({ initializer: [nothing, 1, 2] }).initializer).toEqual([nothing, 1, 2]);
  });
});

describe("BSYNC_SPIN_US", () => {
  const { BSYNC_SPIN_US: before } = process.env;
  afterEach(() => {
    if (before === undefined) delete process.env["BSYNC_SPIN_US"];
    else process.env["BSYNC_SPIN_US"] = before;
  });

  test("stands in for the option, which goes before it", () => {
    process.env["BSYNC_SPIN_US"] = "12.5";
    expect(readPoolOptions({}).spin).toBe(12.5);
    expect(readPoolOptions({ spin: 3 }).spin).toBe(3);
    process.env["BSYNC_SPIN_US"] = "";
    expect(readPoolOptions({}).spin).toBeUndefined();
  });

  test.each(["-1", "fast", "NaN", "1,5"])("%p is refused", (text) => {
    process.env["BSYNC_SPIN_US"] = text;
    const message = `Cannot use BSYNC_SPIN_US=${text}: it must be a number of µs >= 0`;
    expect(thrownBy(() => readPoolOptions({}))).toEqual({ name: "TypeError", message });
  });
});

describe("options of a call", () => {
  const CALL_REFUSALS = [
    ...TASK_REFUSALS,
    ["signal", {}, "signal must be an AbortSignal, got {}"],
    ["signal", null, "signal must be an AbortSignal, got null"],
    ["signal", "abort", 'signal must be an AbortSignal, got "abort"'],
    ["worker", "1", 'worker must be a number, the index of a worker, got "1"'],
    ["worker", null, "worker must be a number, the index of a worker, got null"],
    [
      "retryOn",
      true,
      "retryOn must be a function, as in (error, attempt) => attempt < 3, got true",
    ],
  ] as const;
  test.each(CALL_REFUSALS)("%s: %p is refused", (name, value, what) => {
    const message = `Cannot submit with options: ${what}`;
    expect(thrownBy(() => callOptions({ [name]: value }))).toEqual({ name: "TypeError", message });
  });

  test.each([-1, 4, 0.5, NaN, Infinity])("a worker that is not there: %p", (worker) => {
    const message =
      "Cannot submit with options: worker must be the index of one of the pool's 4 workers, from " +
      `0 to 3, got ${worker}`;
    expect(thrownBy(() => callOptions({ worker }))).toEqual({ name: "RangeError", message });
    const one = () => readCallOptions({ worker }, DEFAULT_TASK, 1);
    expect(one).toThrow("worker must be 0, the index of the pool's only worker");
    expect(readCallOptions({ worker }, DEFAULT_TASK, null).worker).toBe(worker);
  });

  test("an unknown one is named, with those there are", () => {
    const message =
      'Cannot submit with options: unknown option "tag"; there are timeout, priority, ' +
      "retries, signal, worker, retryOn, onReport";
    expect(thrownBy(() => callOptions({ tag: 1 }))).toEqual({ name: "TypeError", message });
  });

  test("go on top of others, each by itself", () => {
    const pool = readPoolOptions({ timeout: 100, priority: 2, retries: 3 }).task;
    const inner = readCallOptions({ timeout: 5 }, pool, 4);
    const unset = { signal: null, worker: null, retryOn: null, onReport: null };
    expect(inner).toEqual({ ...unset, timeout: 5, priority: 2, retries: 3 });
    expect(readCallOptions({ signal, priority: 0 }, inner, 4)).toEqual({
      timeout: 5,
      priority: 0,
      retries: 3,
      signal,
      worker: null,
      retryOn: null,
      onReport: null,
    });
    expect(readCallOptions({ timeout: Infinity, retries: 0 }, pool, 4)).toEqual({
      timeout: Infinity,
      priority: 2,
      retries: 0,
      ...unset,
    });
  });

  test("an undefined or inherited one falls back to that of the pool", () => {
    const pool = readPoolOptions({ timeout: 100, priority: 2, retries: 3 }).task;
    const heir = Object.create({ timeout: 1, priority: 1, retries: 1, signal });
    const absent = { timeout: undefined, priority: undefined, retries: undefined };
    for (const options of [heir, absent, Object.assign(Object.create(heir), absent), {}]) {
      expect(readCallOptions(options, pool, 4)).toEqual(pool);
    }
  });

  test("what was read stays as it was", () => {
    const given = { timeout: 5 };
    const options = readCallOptions(given, DEFAULT_TASK, 4);
    given.timeout = 6;
    expect(options.timeout).toBe(5);
    expect(Object.isFrozen(DEFAULT_TASK)).toBeTrue();
  });
});

describe("the options of one open", () => {
  const read = (options: unknown) => new OpenOptions(options as PoolOptions);
  const comm = { name: "world", rank: 0, size: 2, [MEMBERS]: () => null };
  const wrong = "Cannot open a pool: timeout must be a number of ms >= 0, got -1";

  test("are read once, whatever is asked of them", () => {
    const calls: string[] = [];
    const given = {};
    for (const [name, value] of Object.entries({ mpi: true, comm, release: true, timeout: 5 })) {
      const get = () => (calls.push(name), value);
      Object.defineProperty(given, name, { get, enumerable: true });
    }
    const options = read(given);
    for (let i = 0; i < 2; i++) {
      expect(options.mayUseMpi).toBeTrue();
      expect(options.comm).toBe(comm);
      expect(options.release).toBeTrue();
      expect(options.initTimeout).toBe(DEFAULT_OPEN_TIMEOUT_MS);
      expect(options.check()).toBe(options.settings!);
      expect(options.settings?.task.timeout).toBe(5);
    }
    expect(calls).toEqual(["mpi", "comm", "release", "timeout"]);
  });

  test("that are wrong say so when they are asked for, each time with the same error", () => {
    const options = read({ timeout: -1, openTimeout: 5 });
    expect(options.settings).toBeNull();
    expect(thrownBy(() => options.check())?.message).toBe(wrong);
    const caught = () => {
      try {
        return options.check();
      } catch (error) {
        return error;
      }
    };
    expect(caught()).toBe(caught());
    expect(options.initTimeout).toBe(DEFAULT_OPEN_TIMEOUT_MS);
  });

  test("tell of mpi, comm and release, whatever else is wrong", () => {
    const options = read({ timeout: -1, mpi: false, comm, release: true });
    expect([options.mayUseMpi, options.release]).toEqual([false, true]);
    expect(options.comm).toBe(comm);
    const without = read({ timeout: -1 });
    expect([without.mayUseMpi, without.release, without.comm]).toEqual([true, false, undefined]);
    const none = read(null);
    expect([none.mayUseMpi, none.release, none.comm]).toEqual([true, false, undefined]);
  });

  test("say of a wrong comm or release what is wrong with that, and not with the others", () => {
    const options = read({ timeout: -1, comm: 1, release: null });
    expect(thrownBy(() => options.check())?.message).toBe(wrong);
    expect(thrownBy(() => options.comm)?.message).toBe(
      "Cannot open a pool: comm must be a Communicator of bsync/mpi, got 1",
    );
    expect(thrownBy(() => options.release)?.message).toBe(
      "Cannot open a pool: release must be true or false, got null",
    );
  });

  test("with a getter that throws are wrong by that", () => {
    const options = read({
      release: true,
      get timeout() {
        throw new RangeError("no timeout today");
      },
    });
    expect(thrownBy(() => options.check())?.message).toBe("no timeout today");
    expect(options.release).toBeTrue();
  });
});

describe("with a polluted Object.prototype", () => {
  const names = ["timeout", "priority", "retries", "signal", "mpi", "tag", "keepUnused"];
  const more = ["initializer", "env", "cwd", "spin", "openTimeout", "worker", "isolate"];
  afterEach(() => {
    for (const name of [...names, ...more]) {
      delete (Object.prototype as Record<string, unknown>)[name];
    }
  });

  test("nothing inherited is taken, and nothing is refused for it", () => {
    const expected = JSON.stringify(readPoolOptions({}));
    for (const name of [...names, ...more]) {
      Object.defineProperty(Object.prototype, name, {
        value: name === "initializer" ? nothing : 1,
        enumerable: true,
        configurable: true,
      });
    }
    expect(JSON.stringify(readPoolOptions({}))).toBe(expected);
    const { task, ...rest } = readPoolOptions({});
    expect([task.timeout, task.priority, task.retries, task.signal]).toEqual([
      Infinity,
      0,
      0,
      null,
    ]);
    expect(rest.initializer).toBeNull();
    const call = readCallOptions({ timeout: 5 }, DEFAULT_TASK, 4);
    expect([call.timeout, call.priority, call.retries, call.signal]).toEqual([5, 0, 0, null]);
  });
});

const LIST_REFUSALS: readonly (readonly [unknown, string, string])[] = [
  [0, "RangeError", "workers must be a whole number >= 1, got 0"],
  [-3, "RangeError", "workers must be a whole number >= 1, got -3"],
  [1.5, "RangeError", "workers must be a whole number >= 1, got 1.5"],
  [NaN, "RangeError", "workers must be a whole number >= 1, got NaN"],
  [Infinity, "RangeError", "workers must be a whole number >= 1, got Infinity"],
  ["4", "TypeError", 'workers must be a number, or a list of ranks and nulls, got "4"'],
  [null, "TypeError", "workers must be a number, or a list of ranks and nulls, got null"],
  [
    { timeout: 100 },
    "TypeError",
    "workers must be a number, or a list of ranks and nulls, got { timeout: 100 }; " +
      "options come second: AsyncPool.open(undefined, { … })",
  ],
  [new Set(), "TypeError", "workers must be a number, or a list of ranks and nulls, got Set {}"],
  [[], "RangeError", "its list of workers is empty"],
];

const RANK_REFUSALS: readonly (readonly [unknown, string])[] = [
  [[-1], "on rank -1: ranks are whole numbers >= 1"],
  [[1.5], "on rank 1.5: ranks are whole numbers >= 1"],
  [[NaN], "on rank NaN: ranks are whole numbers >= 1"],
  [["1"], 'on rank "1": ranks are whole numbers >= 1'],
  [[1, undefined], "on rank undefined: ranks are whole numbers >= 1"],
  [[1, , 2], "on rank undefined: ranks are whole numbers >= 1"],
  [[[1]], "on rank [ 1 ]: ranks are whole numbers >= 1"],
];

describe("workers", () => {
  for (const [where, read] of [
    ["in an MPI job", ranks],
    ["without MPI", processes],
  ] as const) {
    test.each(LIST_REFUSALS)(`${where}: %p is refused`, (workers, name, what) => {
      const message = `Cannot open a pool: ${what}`;
      expect(thrownBy(() => read(workers))).toEqual({ name, message });
    });

    test.each(RANK_REFUSALS)(`${where}: the list %p is refused`, (workers, what) => {
      const message = `Cannot open a pool ${what}`;
      expect(thrownBy(() => read(workers))).toEqual({ name: "RangeError", message });
    });
  }

  test("in an MPI job rank 0 and a rank twice are refused; without MPI they count", () => {
    const messages = [
      [1, 0],
      [1, 2, 1],
    ].map((list) => thrownBy(() => ranks(list))?.message);
    expect(messages).toEqual([
      "Cannot open a pool on rank 0: it is the controller; workers are the ranks from 1 on",
      "Cannot open a pool on rank 1 twice: it is in the list more than once",
    ]);
    expect([[1, 0], [1, 2, 1], [0]].map(processes)).toEqual([2, 3, 1]);
  });

  test("more than the job has: what to start it with", () => {
    const messages = [() => ranks(5), () => ranks(2, 2), () => ranks(1, 1), () => ranks([5])];
    expect(messages.map((run) => thrownBy(run))).toEqual(
      [
        "of 5 workers: this MPI job has 4 worker ranks; start it with mpirun -n 6",
        "of 2 workers: this MPI job has 1 worker rank; start it with mpirun -n 3",
        "of 1 worker: this MPI job has 0 worker ranks; start it with mpirun -n 2",
        "on rank 5: this MPI job has ranks 0 to 4; start it with mpirun -n 6",
      ].map((what) => ({ name: "RangeError", message: `Cannot open a pool ${what}` })),
    );
  });

  test("in an MPI job: all, the first ones, or those of a list", () => {
    expect(ranks(undefined)).toEqual([1, 2, 3, 4]);
    expect(ranks(3)).toEqual([1, 2, 3]);
    expect(ranks(4)).toEqual([1, 2, 3, 4]);
    const list = [4, null, 2, null];
    const read = ranks(list);
    list.length = 0;
    expect(read).toEqual([4, null, 2, null]);
  });

  test("without MPI: as many as there are cores, as are asked for, or as the list has entries", () => {
    expect([undefined, 1, 99, [3, null, 700]].map(processes)).toEqual([8, 1, 99, 3]);
  });
});
