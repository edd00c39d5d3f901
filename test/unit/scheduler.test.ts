import { DEFAULT_TASK, Task, type TaskOptions } from "../../src/scheduler/task.ts";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LOOK_MS, START_MS, STUCK_MS } from "../../src/os/waits.ts";
import { BYTES_PER_MS, Scheduler, VERDICT_MS } from "../../src/scheduler/scheduler.ts";
import type { KnownFunction } from "../../src/scheduler/estimates.ts";
import { Model, newFunction, SHORT_US } from "./scheduler-model.ts";
import type { WorkerRecord } from "../../src/scheduler/worker-record.ts";

const { signal } = new AbortController();

type Deed = (model: Model) => void;

/** A deed with a name, so that a failing sequence can be read. */
function deed<T extends unknown[]>(
  name: string,
  arbitrary: fc.Arbitrary<T>,
  run: (model: Model, ...args: T) => void,
): fc.Arbitrary<Deed> {
  return arbitrary.map((args) => {
    const deed: Deed = (model) => run(model, ...args);
    const text = `${name}(${args.map((arg) => Bun.inspect(arg)).join(", ")})`;
    return Object.assign(deed, { [fc.toStringMethod]: () => text });
  });
}

const some = fc.nat(1000);
const options: fc.Arbitrary<TaskOptions> = fc.record({
  timeout: fc.constantFrom(Infinity, Infinity, Infinity, Infinity, 0, 10, 1000),
  priority: fc.constantFrom(0, 0, 0, 0, 1, -1, 2.5, Infinity, -Infinity),
  retries: fc.constantFrom(0, 0, 0, 1, 2),
  signal: fc.constantFrom(null, null, null, null, signal),
  worker: fc.constant(null),
  retryOn: fc.constant(null),
  onReport: fc.constant(null),
});
const plain = fc.constant(DEFAULT_TASK);
const pinned = fc.oneof(
  { weight: 6, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: some },
);
const elapsed = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0, max: 20, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 49.99, 50, 1e6, 1e30, Infinity, NaN, -1) },
);
const ms = fc.oneof(fc.nat(20), fc.constantFrom(VERDICT_MS, STUCK_MS, 999, 12_000, 0.25));
const late = fc.constantFrom(Infinity, 5, 12_000);

const deeds = fc.oneof(
  {
    weight: 12,
    arbitrary: deed("submit", fc.tuple(some, fc.oneof(plain, options), pinned), (m, ...a) =>
      m.submit(...a),
    ),
  },
  { weight: 14, arbitrary: deed("next", fc.tuple(), (m) => void m.next()) },
  {
    weight: 3,
    arbitrary: deed(
      "nextAll",
      fc.tuple(),
      (m) =>
        void (() => {
          while (m.next());
        })(),
    ),
  },
  {
    weight: 12,
    arbitrary: deed("answer", fc.tuple(some, fc.constantFrom(0, 0, 0, 1, 2), elapsed), (m, ...a) =>
      m.answer(...a),
    ),
  },
  { weight: 1, arbitrary: deed("answerNonsense", fc.tuple(some), (m, w) => m.answerNonsense(w)) },
  { weight: 3, arbitrary: deed("fail", fc.tuple(some), (m, w) => m.fail(w)) },
  { weight: 3, arbitrary: deed("startAgain", fc.tuple(some), (m, t) => m.startAgain(t)) },
  { weight: 4, arbitrary: deed("started", fc.tuple(some), (m, w) => m.started(w)) },
  { weight: 6, arbitrary: deed("cancel", fc.tuple(some), (m, t) => m.cancel(t)) },
  { weight: 4, arbitrary: deed("due", fc.tuple(ms), (m, t) => m.due(t)) },
  {
    weight: 2,
    arbitrary: deed(
      "lose",
      fc.tuple(some, fc.oneof(fc.constantFrom("unknown" as const, "stale" as const), some)),
      (m, ...a) => m.lose(...a),
    ),
  },
  { weight: 2, arbitrary: deed("replace", fc.tuple(some, late), (m, ...a) => m.replace(...a)) },
  { weight: 2, arbitrary: deed("recall", fc.tuple(some), (m, w) => m.recall(w)) },
  {
    weight: 3,
    arbitrary: deed("takeBack", fc.tuple(some, some, elapsed), (m, ...a) => m.takeBack(...a)),
  },
  { weight: 1, arbitrary: deed("see", fc.tuple(some, fc.boolean()), (m, ...a) => m.see(...a)) },
  { weight: 2, arbitrary: deed("resume", fc.tuple(some), (m, w) => m.resume(w)) },
  {
    weight: 1,
    arbitrary: deed("allow", fc.tuple(some, fc.integer({ min: 1, max: 3 })), (m, ...a) =>
      m.allow(...a),
    ),
  },
  { weight: 1, arbitrary: deed("spend", fc.tuple(some), (m, w) => m.spend(w)) },
  { weight: 2, arbitrary: deed("retire", fc.tuple(some), (m, w) => m.retire(w)) },
  { weight: 1, arbitrary: deed("drainQueue", fc.tuple(), (m) => m.drainQueue()) },
  { weight: 3, arbitrary: deed("ready", fc.tuple(some), (m, w) => m.ready(w)) },
);

describe("whatever happens", () => {
  const sequences = fc.array(deeds, { maxLength: 150, size: "max" });
  const workers = fc.integer({ min: 1, max: 4 });

  test("the scheduler does as its model, and every task settles exactly once", () => {
    const property = fc.property(workers, sequences, fc.boolean(), (workers, deeds, drained) => {
      const model = new Model(workers);
      for (let i = 0; i < workers; i++) if (i % 3 !== 2) model.ready(i);
      for (const deed of deeds) {
        deed(model);
        model.check();
      }
      if (drained) model.drain();
      else model.finish();
      expect(model.allSettled()).toBeTrue();
    });
    fc.assert(property, { numRuns: 600 });
  });
});

/** A scheduler with workers that serve. */
function serving(workers: number): { scheduler: Scheduler; workers: WorkerRecord[] } {
  const scheduler = new Scheduler();
  const records = Array.from({ length: workers }, () => scheduler.add());
  for (const record of records) scheduler.ready(record);
  return { scheduler, workers: records };
}

/** From now on each look at something of these records is counted. */
function watch(records: readonly WorkerRecord[]): () => number {
  let looks = 0;
  for (const record of records) {
    for (let [key, value] of Object.entries(record)) {
      const get = () => (looks++, value);
      Object.defineProperty(record, key, { get, set: (next) => (value = next) });
    }
  }
  return () => looks;
}

let order = 1;
function newTask(fn: KnownFunction, options: Partial<TaskOptions> = {}): Task {
  return new Task(order++, fn, { ...DEFAULT_TASK, ...options });
}

function startAll(scheduler: Scheduler, now = 0): Task[] {
  const started: Task[] = [];
  for (let task = scheduler.next(now); task !== null; task = scheduler.next(now)) {
    started.push(task);
  }
  return started;
}

describe("short calls in flight", () => {
  test("are as many as the budget holds, and one worker more is not touched", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1, 1);
    for (let i = 0; i < 200; i++) scheduler.submit(newTask(fn));
    expect(startAll(scheduler).length).toBe(SHORT_US);
    expect(workers[0]!.load).toBe(SHORT_US);
    expect(scheduler.sets.hasRoom).toBeFalse();
  });

  test("a function that turns out to be long gets nothing more behind it, on any worker", () => {
    const { scheduler, workers } = serving(2);
    const [changing, quick] = [newFunction(1, 10), newFunction(2, 1)];
    for (let i = 0; i < 6; i++) scheduler.submit(newTask(changing));
    const [first] = startAll(scheduler);
    expect(workers.map(({ inFlight }) => inFlight.length).toSorted()).toEqual([1, 5]);
    for (let i = 0; i < 100; i++) scheduler.submit(newTask(quick));
    scheduler.answered(scheduler.workers[first!.record!.index]!, first!.id, 1e6, 0);
    const behind = startAll(scheduler).filter(({ record }) => record === first!.record);
    // One worker has further calls of what is long now; the other may have nothing at all.
    const lengths = workers.map(
      ({ inFlight }) => [...inFlight].filter(({ fn }) => fn === quick).length,
    );
    for (const [i, worker] of workers.entries()) {
      if ([...worker.inFlight].some(({ fn }) => fn === changing)) expect(lengths[i]).toBe(0);
    }
    if ([...scheduler.workers[first!.record!.index]!.inFlight].some(({ fn }) => fn === changing))
      expect(behind).toEqual([]);
  });

  test("a call that was cancelled, and answered at once, does not make its function short", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1);
    const task = newTask(fn);
    scheduler.submit(task);
    scheduler.next(0);
    scheduler.cancel(task, 0);
    expect(scheduler.answered(workers[0]!, task.id, 0, 1)).toBeNull();
    expect(fn.expected).toBe(Infinity);
  });

  test("a call that was given up, and took long, makes its function long", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1, 2);
    const task = newTask(fn);
    scheduler.submit(task);
    scheduler.next(0);
    scheduler.cancel(task, 0);
    scheduler.answered(workers[0]!, task.id, 5e6, 5000);
    expect(fn.expected).toBe(5e6);
  });

  test("the account of what is in flight neither drifts nor becomes NaN", () => {
    const { scheduler, workers } = serving(1);
    const [worker] = workers as [WorkerRecord];
    const fns = [0.1, 0.7, 3.3, 1e30, Infinity].map((expected, i) => newFunction(i, expected));
    let state = 1;
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    for (let i = 0; i < 200_000; i++) {
      scheduler.submit(newTask(fns[random(1000) === 0 ? 3 + random(2) : random(3)]!));
      startAll(scheduler, i);
      if (random(3) === 0) continue;
      const head = worker.inFlight.at(0)!;
      const took = random(500) === 0 ? 1e30 : random(40) / 7;
      expect(scheduler.answered(worker, head.id, took, i)).toBe(head);
      if (Number.isNaN(worker.load)) throw new Error(`NaN after ${i} calls`);
    }
    while (worker.inFlight.length > 0) {
      scheduler.answered(worker, worker.inFlight.at(0)!.id, 1, 0);
      startAll(scheduler);
    }
    expect([worker.load, worker.costs.length]).toEqual([0, 0]);
  });
});

describe("a task with a condition of its own never waits behind another", () => {
  const conditions: readonly Partial<TaskOptions>[] = [{ timeout: 5 }, { retries: 1 }, { signal }];
  test.each(conditions.map((condition) => [Object.keys(condition)[0]!, condition] as const))(
    "%s",
    (_, condition) => {
      const { scheduler, workers } = serving(1);
      const fn = newFunction(1, 1);
      const [plain, special, after] = [newTask(fn), newTask(fn, condition), newTask(fn)];
      for (const task of [plain, special, after]) scheduler.submit(task);
      expect(startAll(scheduler)).toEqual([plain]);
      scheduler.answered(workers[0]!, plain.id, 1, 0);
      // It goes as soon as the worker is idle, and then others may follow it.
      expect(startAll(scheduler)).toEqual([special, after]);
    },
  );
});

describe("pinned tasks", () => {
  const to = (worker: number, priority = 0) => ({ worker, priority });

  test("a worker takes the more urgent of its own and the others, else the one submitted first", () => {
    const { scheduler, workers } = serving(2);
    const fn = newFunction(1);
    for (let i = 0; i < 2; i++) scheduler.submit(newTask(fn));
    startAll(scheduler);
    const tasks = {
      first: newTask(fn),
      own: newTask(fn, to(0)),
      second: newTask(fn),
      urgent: newTask(fn, { priority: -1 }),
      lazy: newTask(fn, to(0, 1)),
      ownUrgent: newTask(fn, to(0, -2)),
      third: newTask(fn),
    };
    for (const task of Object.values(tasks)) scheduler.submit(task);
    const started: (Task | undefined)[] = [];
    for (let i = 0; i < 7; i++) {
      scheduler.answered(workers[0]!, workers[0]!.running!.id, 1e6, i);
      started.push(...startAll(scheduler, i));
    }
    const { first, own, second, urgent, lazy, ownUrgent, third } = tasks;
    expect(started).toEqual([ownUrgent, urgent, first, own, second, third, lazy]);
  });

  test("other tasks go to an idle worker that has none of its own, if there is one", () => {
    const { scheduler, workers } = serving(3);
    const fn = newFunction(1);
    const own = workers.slice(0, 2).map(({ index }) => newTask(fn, to(index, 1)));
    const other = newTask(fn);
    for (const task of [...own, other]) scheduler.submit(task);
    expect(new Set(startAll(scheduler))).toEqual(new Set([...own, other]));
    expect(other.record).toBe(workers[2]!);
  });

  test("short ones are sent ahead to their worker, as many as the budget holds", () => {
    const { scheduler, workers } = serving(2);
    const fn = newFunction(1, 1);
    for (let i = 0; i < 200; i++) scheduler.submit(newTask(fn, to(1)));
    const started = startAll(scheduler);
    expect(started.length).toBe(SHORT_US);
    expect(workers.map(({ inFlight }) => inFlight.length)).toEqual([0, SHORT_US]);
    expect(started.every(({ record }) => record === workers[1])).toBeTrue();
  });

  test("also to a worker from which they could not be taken back: they run nowhere else", () => {
    const scheduler = new Scheduler();
    const worker = scheduler.add();
    worker.isSeen = false;
    scheduler.ready(worker);
    const fn = newFunction(1, 1);
    for (let i = 0; i < 200; i++) scheduler.submit(newTask(fn, to(0)));
    expect(startAll(scheduler).length).toBe(SHORT_US);
  });

  test("a long one keeps others from its worker until that is idle, and takes it then", () => {
    const { scheduler, workers } = serving(1);
    const [worker] = workers as [WorkerRecord];
    const fn = newFunction(1, 10);
    for (let i = 0; i < 100; i++) scheduler.submit(newTask(fn));
    const ahead = startAll(scheduler).length;
    const pinned = newTask(newFunction(2), to(0, -1));
    scheduler.submit(pinned);
    for (let i = 0; i < ahead; i++) {
      scheduler.answered(worker, worker.inFlight.at(0)!.id, 10, i);
      const started = startAll(scheduler, i);
      expect(started).toEqual(i === ahead - 1 ? [pinned] : []);
    }
  });

  test("a long one that comes later does not slow what comes before it", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1, 1);
    const submit = () => scheduler.submit(newTask(fn));
    for (let i = 0; i < 10; i++) submit();
    scheduler.submit(newTask(newFunction(2), to(0, 1)));
    for (let i = 0; i < 500; i++) submit();
    expect(startAll(scheduler).length).toBe(SHORT_US);
    expect(workers[0]!.hasPinned).toBeTrue();
  });

  test("one that is cancelled lets its worker be sent more again", () => {
    const { scheduler } = serving(1);
    const fn = newFunction(1, 10);
    scheduler.submit(newTask(fn));
    scheduler.next(0);
    const pinned = newTask(newFunction(2), to(0));
    scheduler.submit(pinned);
    for (let i = 0; i < 2; i++) scheduler.submit(newTask(fn));
    expect(scheduler.next(0)).toBeNull();
    expect(scheduler.cancel(pinned, 0)).toBe("dropped");
    expect(startAll(scheduler).length).toBe(2);
    expect(scheduler.queued).toBe(0);
  });

  test("a long task that waits for an idle worker is not overtaken by later ones", () => {
    const { scheduler, workers } = serving(1);
    const short = newFunction(1, 1);
    scheduler.submit(newTask(short));
    scheduler.next(0);
    const long = newTask(newFunction(2));
    const own = Array.from({ length: 3 }, () => newTask(short, to(0)));
    for (const task of [long, ...own]) scheduler.submit(task);
    expect(startAll(scheduler)).toEqual([]);
    scheduler.answered(workers[0]!, workers[0]!.running!.id, 1, 0);
    expect(startAll(scheduler)).toEqual([long]);
    scheduler.answered(workers[0]!, long.id, 1e6, 0);
    expect(startAll(scheduler)).toEqual(own);
  });

  test("are kept in order by the one that takes a lost worker's place", () => {
    const { scheduler, workers } = serving(2);
    const fn = newFunction(1);
    const tasks = Array.from({ length: 5 }, (_, i) => newTask(fn, to(0, i === 4 ? -1 : 0)));
    const running = newTask(fn, to(0));
    scheduler.submit(running);
    expect(scheduler.next(0)).toBe(running);
    for (const task of tasks) scheduler.submit(task);
    expect(scheduler.requeue.lose(workers[0]!)).toEqual([running]);
    expect(scheduler.cancel(tasks[1]!, 0)).toBe("dropped");
    const replacement = scheduler.replace(workers[0]!);
    expect(scheduler.cancel(tasks[3]!, 0)).toBe("dropped");
    expect(scheduler.next(0)).toBeNull();
    scheduler.ready(replacement);
    for (const task of [tasks[4]!, tasks[0]!, tasks[2]!]) {
      expect(scheduler.next(0)).toBe(task);
      scheduler.answered(replacement, task.id, 1e6, 0);
    }
    expect(scheduler.queued).toBe(0);
  });

  test("more than a call can have arguments survive replacement and drain", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1);
    const tasks = Array.from({ length: 200_000 }, () => newTask(fn, to(0)));
    for (const task of tasks) scheduler.submit(task);
    scheduler.requeue.lose(workers[0]!);
    scheduler.replace(workers[0]!);
    expect(scheduler.queued).toBe(tasks.length);
    expect(scheduler.drain().length).toBe(tasks.length);
  });

  test("while they wait, a queued task is cancelled without a look at every worker", () => {
    const count = 1_000;
    const { scheduler, workers } = serving(count);
    const fn = newFunction(1);
    for (let i = 0; i < count; i++) scheduler.submit(newTask(fn));
    startAll(scheduler);
    for (const { index } of workers) scheduler.submit(newTask(fn, to(index)));
    const queued = Array.from({ length: count }, () => newTask(fn));
    for (const task of queued) scheduler.submit(task);
    const looks = watch(workers);
    for (const task of queued) scheduler.cancel(task, 0);
    expect(scheduler.queued).toBe(count);
    expect(looks()).toBeLessThan(10 * count);
  });
});

describe("a parked task", () => {
  test("waits until it is submitted again, in its old place", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1);
    const tasks = Array.from({ length: 3 }, () => newTask(fn));
    for (const task of tasks) scheduler.submit(task);
    const [first, second, third] = tasks as [Task, Task, Task];
    scheduler.next(0);
    expect(scheduler.answered(workers[0]!, first.id, 1e6, 0, "failed")).toBe(first);
    scheduler.park(first);
    expect([first.state, scheduler.queued]).toEqual(["queued", 3]);
    expect(startAll(scheduler)).toEqual([second]);
    scheduler.submitAgain(first);
    scheduler.answered(workers[0]!, second.id, 1e6, 0);
    expect(startAll(scheduler)).toEqual([first]);
    expect(scheduler.queued).toBe(1);
    expect(third.state).toBe("queued");
  });

  test("is cancelled, drained and seen as any other", () => {
    const { scheduler, workers } = serving(2);
    const fn = newFunction(1);
    const tasks = [newTask(fn), newTask(fn, { worker: 1 })];
    for (const task of tasks) scheduler.submit(task);
    startAll(scheduler);
    for (const [i, task] of tasks.entries()) {
      scheduler.answered(workers[i]!, task.id, 1e6, 0, "failed");
      scheduler.park(task);
    }
    const seen: Task[] = [];
    scheduler.forEachUnsettled((task) => seen.push(task));
    expect(seen).toEqual(tasks);
    expect(scheduler.cancel(tasks[0]!, 0)).toBe("dropped");
    expect(scheduler.queued).toBe(1);
    expect(scheduler.drainQueue()).toEqual([tasks[1]!]);
    expect(scheduler.queued).toBe(0);
  });

  test("whose time was over runs elsewhere, while its first worker still owes an answer", () => {
    const { scheduler, workers } = serving(2);
    const task = newTask(newFunction(1), { timeout: 10 });
    scheduler.submit(task);
    scheduler.next(0);
    const [first, second] = [task.record!.index, 1 - task.record!.index];
    scheduler.started(workers[first]!, task.id, 0);
    expect(scheduler.due(10 + VERDICT_MS).length).toBe(1);
    scheduler.park(task);
    scheduler.submitAgain(task);
    expect(scheduler.next(100)).toBe(task);
    expect(task.record).toBe(workers[second]!);
    expect(scheduler.stateOf(workers[first]!)).toBe("overdue");
    expect(scheduler.answered(workers[first]!, task.id, 1e6, 200)).toBeNull();
    expect([task.state, scheduler.stateOf(workers[first]!)]).toEqual(["running", "idle"]);
    expect(scheduler.answered(workers[second]!, task.id, 1e6, 300)).toBe(task);
  });
});

describe("overdue workers", () => {
  test("a call cancelled behind another does not make the worker overdue, nor prolong its grace", () => {
    const { scheduler, workers } = serving(1);
    const [worker] = workers as [WorkerRecord];
    const fn = newFunction(1, 1);
    const tasks = Array.from({ length: 4 }, () => newTask(fn));
    for (const task of tasks) scheduler.submit(task);
    startAll(scheduler);
    expect(scheduler.cancel(tasks[1]!, 0)).toBe("interrupt");
    expect(scheduler.stateOf(worker)).toBe("busy");
    expect(scheduler.due(10 * STUCK_MS)).toEqual([]);
    const start = 10 * STUCK_MS;
    scheduler.cancel(tasks[0]!, start);
    expect(scheduler.stateOf(worker)).toBe("overdue");
    scheduler.cancel(tasks[2]!, start + STUCK_MS - 1);
    expect(scheduler.due(start + STUCK_MS)).toEqual([{ kind: "stuck", worker }]);
    expect(scheduler.due(start + 5 * STUCK_MS)).toEqual([]);
  });

  test("is told of once, however many reasons fall into one instant", () => {
    const { scheduler, workers } = serving(1);
    const [worker] = workers as [WorkerRecord];
    const fn = newFunction(1, 1);
    const tasks = Array.from({ length: 4 }, () => newTask(fn));
    for (const task of tasks) scheduler.submit(task);
    startAll(scheduler);
    for (const task of tasks) scheduler.cancel(task, 0);
    scheduler.answered(worker, tasks[1]!.id, 0, 0);
    scheduler.answered(worker, tasks[2]!.id, 0, 0);
    expect(scheduler.due(STUCK_MS)).toEqual([{ kind: "stuck", worker }]);
  });

  test("one that answers after all is given work again", () => {
    const { scheduler, workers } = serving(1);
    const fn = newFunction(1);
    const [late, next] = [newTask(fn, { timeout: 10 }), newTask(fn)];
    scheduler.submit(late);
    scheduler.submit(next);
    scheduler.next(0);
    scheduler.started(workers[0]!, late.id, 5);
    expect(scheduler.nextDeadline).toBe(15 + VERDICT_MS);
    expect(scheduler.due(15 + VERDICT_MS - 0.001)).toEqual([]);
    const verdict = { kind: "expired", task: late, worker: workers[0]!, stage: "begun" } as const;
    expect(scheduler.due(15 + VERDICT_MS)).toEqual([verdict]);
    expect(scheduler.next(100)).toBeNull();
    expect(scheduler.answered(workers[0]!, late.id, 90_000, 100)).toBeNull();
    expect(scheduler.next(100)).toBe(next);
    expect(scheduler.due(100 + STUCK_MS)).toEqual([]);
  });
});

describe("workers that have had all the tasks they may have", () => {
  test("are sent no more, and can be let go once they have answered: told once", () => {
    const { scheduler, workers } = serving(1);
    const [worker] = workers as [WorkerRecord];
    scheduler.allow(worker, 3);
    const fn = newFunction(1, 1);
    const tasks = Array.from({ length: 5 }, () => newTask(fn));
    for (const task of tasks) scheduler.submit(task);
    expect(startAll(scheduler)).toEqual(tasks.slice(0, 3));
    for (const [i, { id }] of tasks.slice(0, 3).entries()) {
      expect(scheduler.retire(worker, 0)).toBeFalse();
      scheduler.answered(worker, id, 1, i);
      expect(scheduler.stateOf(worker)).toBe(i < 2 ? "busy" : "starting");
    }
    expect(startAll(scheduler)).toEqual([]);
    expect(worker.set === scheduler.sets.retiring).toBeTrue();
    expect([scheduler.retire(worker, 10), scheduler.retire(worker, 11)]).toEqual([true, false]);
    // One that does not go is killed.
    expect(scheduler.due(10 + STUCK_MS)).toEqual([{ kind: "stuck", worker }]);
    expect(scheduler.requeue.lose(worker)).toEqual([]);
    const next = scheduler.replace(worker);
    scheduler.ready(next);
    expect(startAll(scheduler)).toEqual(tasks.slice(3));
    expect(scheduler.due(1e9)).toEqual([]);
  });

  test("one that runs a settled task is overdue first", () => {
    const { scheduler, workers } = serving(1);
    const [worker] = workers as [WorkerRecord];
    scheduler.allow(worker, 1);
    const task = newTask(newFunction(1));
    scheduler.submit(task);
    startAll(scheduler);
    scheduler.cancel(task, 0);
    expect(scheduler.stateOf(worker)).toBe("overdue");
    expect(scheduler.retire(worker, 0)).toBeFalse();
    scheduler.answered(worker, task.id, 1, 5);
    expect(scheduler.retire(worker, 5)).toBeTrue();
  });
});

test("one that takes another's place and does not come to serve in time is late: told once", () => {
  const { scheduler, workers } = serving(1);
  scheduler.requeue.lose(workers[0]!);
  const late = scheduler.replace(workers[0]!, 100);
  expect(scheduler.nextDeadline).toBe(100);
  expect(scheduler.due(99)).toEqual([]);
  expect(scheduler.due(100)).toEqual([{ kind: "late", worker: late }]);
  expect(scheduler.due(1e9)).toEqual([]);
  scheduler.requeue.lose(late);
  const next = scheduler.replace(late, 200);
  scheduler.ready(next);
  expect(scheduler.due(1e9)).toEqual([]);
});

test("a deadline counts from the latest word of the task's beginning", () => {
  const { scheduler, workers } = serving(1);
  const [worker] = workers as [WorkerRecord];
  const task = newTask(newFunction(1), { timeout: 10 });
  scheduler.submit(task);
  scheduler.next(0);
  scheduler.started(worker, task.id, 1);
  scheduler.started(worker, task.id, 6);
  expect(scheduler.due(11 + VERDICT_MS)).toEqual([]);
  const verdict = { kind: "expired", task, worker, stage: "begun" } as const;
  expect(scheduler.due(16 + VERDICT_MS)).toEqual([verdict]);
});

test("what is large may take its time to arrive before its timeout counts", () => {
  const { scheduler, workers } = serving(1);
  const [worker] = workers as [WorkerRecord];
  const task = newTask(newFunction(1), { timeout: 10 });
  const [body, ...buffers] = [1, 2, 3].map((ms) => new Uint8Array(ms * BYTES_PER_MS));
  task.payload = { format: 2, body: body!, buffers };
  scheduler.submit(task);
  scheduler.next(0);
  expect(scheduler.nextDeadline).toBe(10 + START_MS + 6);
  expect(scheduler.due(10 + START_MS + 5)).toEqual([]);
  const verdict = { kind: "expired", task, worker, stage: "sent" } as const;
  expect(scheduler.due(10 + START_MS + 6)).toEqual([verdict]);
});

test("who takes in a call has time for that, and who sends its result; a call that runs has its timeout", () => {
  const { scheduler, workers } = serving(1);
  const [worker] = workers as [WorkerRecord];
  let now = 0;
  const movedAt = (at: number) => ({ movedAt: () => at, mayBeHeld: () => false });
  const due = (at: number) => scheduler.due((now = at), movedAt(now));
  const submit = () => {
    const task = newTask(newFunction(1), { timeout: 10 });
    scheduler.submit(task);
    scheduler.next(0);
    return task;
  };
  const first = submit();
  expect(due(10 + START_MS)).toEqual([]);
  expect(scheduler.nextDeadline).toBe(10 + 2 * START_MS);
  scheduler.started(worker, first.id, 20_000);
  scheduler.finished(worker, first.id, 20_010);
  expect(due(20_010 + START_MS)).toEqual([]);
  // It moved something after that, which gives it as much time from then on.
  expect(scheduler.due(20_010 + 2 * START_MS, movedAt(20_011 + START_MS))).toEqual([]);
  expect(scheduler.nextDeadline).toBe(20_011 + 2 * START_MS);
  const late = { kind: "expired", task: first, worker, stage: "returned" } as const;
  expect(scheduler.due(20_011 + 2 * START_MS, movedAt(20_011 + START_MS))).toEqual([late]);
  // Nobody waits for it any more; the worker is given time all the same, as long as it moves.
  expect(due(1e6)).toEqual([]);
  const stuck = { kind: "stuck", worker } as const;
  expect(scheduler.due(1e6 + STUCK_MS, movedAt(1e6 + STUCK_MS - LOOK_MS))).toEqual([stuck]);
  scheduler.answered(worker, first.id, 1, 2e6);
  const second = submit();
  scheduler.started(worker, second.id, 3e6);
  const over = { kind: "expired", task: second, worker, stage: "begun" } as const;
  expect(due(3e6 + 10 + VERDICT_MS)).toEqual([over]);
});

test("a call behind others that may have the thread is not given up before it has begun", () => {
  const { scheduler, workers } = serving(1);
  const [worker] = workers as [WorkerRecord];
  const task = newTask(newFunction(1), { timeout: 10 });
  scheduler.submit(task);
  scheduler.next(0);
  const held = (mayBeHeld: boolean) => ({ movedAt: () => -Infinity, mayBeHeld: () => mayBeHeld });
  const late = 10 + START_MS;
  expect(scheduler.due(late, held(true))).toEqual([]);
  expect(scheduler.due(late + START_MS - 1, held(false))).toEqual([]);
  const over = { kind: "expired", task, worker, stage: "sent" } as const;
  expect(scheduler.due(late + START_MS, held(false))).toEqual([over]);
});

test("a deadline that was overtaken does not hold its task, whose result may be large", async () => {
  const { scheduler, workers } = serving(1);
  const fn = newFunction(1, 1);
  const settled: WeakRef<Task>[] = [];
  for (let i = 0; i < 200; i++) {
    const task = newTask(fn, { timeout: 3_600_000 });
    scheduler.submit(task);
    scheduler.next(i);
    scheduler.answered(workers[0]!, task.id, 1, i);
    settled.push(new WeakRef(task));
  }
  // What a WeakRef was made for lives to the end of the turn.
  await Bun.sleep(1);
  Bun.gc(true);
  expect(scheduler.nextDeadline).toBeLessThan(Infinity);
  expect(settled.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(20);
});

test("deadlines that were overtaken do not pile up", () => {
  const { scheduler, workers } = serving(1);
  const fn = newFunction(1, 1);
  const hour = { timeout: 3_600_000 };
  let last: Task | undefined;
  for (let i = 0; i < 20_000; i++) {
    last = newTask(fn, hour);
    scheduler.submit(last);
    scheduler.next(i);
    scheduler.started(workers[0]!, last.id, i);
    scheduler.answered(workers[0]!, last.id, 1, i);
  }
  // Whoever asks at the time of the first few is told that those are past.
  expect(scheduler.nextDeadline).toBeGreaterThan(3_600_000 + VERDICT_MS + 18_000);
  expect(scheduler.due(1e9)).toEqual([]);
  expect(scheduler.nextDeadline).toBe(Infinity);
});

test("a million cancelled tasks are swept out before they come up", () => {
  const { scheduler } = serving(1);
  const fn = newFunction(1);
  scheduler.submit(newTask(fn));
  scheduler.next(0);
  const tasks = Array.from({ length: 1_000_000 }, () => newTask(fn));
  for (const task of tasks) scheduler.submit(task);
  for (const task of tasks) scheduler.cancel(task, 0);
  const last = newTask(fn);
  scheduler.submit(last);
  expect(scheduler.queued).toBe(1);
  expect(scheduler.drain().length).toBe(2);
});

test("an observer hears of each step of tasks and workers, in their order", () => {
  const { scheduler, workers } = serving(2);
  const steps: string[] = [];
  scheduler.observer = {
    onTask: ({ order, state }, from) => steps.push(`task ${order - first}: ${from} ${state}`),
    onWorker: ({ index }, from, to) => steps.push(`worker ${index}: ${from} ${to}`),
  };
  const fn = newFunction(1_000);
  const tasks = [newTask(fn), newTask(fn), newTask(fn), newTask(fn)];
  const first = tasks[0]!.order;
  for (const task of tasks) scheduler.submit(task);
  while (scheduler.next(0) !== null);
  scheduler.answered(workers[0]!, tasks[0]!.id, 1_000, 1);
  scheduler.requeue.lose(workers[1]!, 0);
  scheduler.cancel(tasks[3]!, 2);
  scheduler.next(3);
  scheduler.drain();
  expect(steps).toEqual([
    ...["task 0: queued running", "worker 0: idle busy"],
    ...["task 1: queued running", "worker 1: idle busy"],
    ...["worker 0: busy idle", "task 0: running done"],
    ...["worker 1: busy gone", "task 1: running queued"],
    "task 3: queued cancelled",
    ...["task 1: queued running", "worker 0: idle busy"],
    ...["task 2: queued cancelled", "task 1: running cancelled"],
  ]);
});
