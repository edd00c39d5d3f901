/** Workers that may have several calls under way, as the scheduler sees them; the contract plays them for real. */
import { beforeEach, expect, test } from "bun:test";
import { START_MS, STUCK_MS } from "../../src/os/waits.ts";
import { Scheduler, VERDICT_MS } from "../../src/scheduler/scheduler.ts";
import { DEFAULT_TASK, Task, type TaskOptions } from "../../src/scheduler/task.ts";
import type { WorkerRecord } from "../../src/scheduler/worker-record.ts";
import { newFunction } from "./scheduler-model.ts";

let LONG = newFunction(1);

beforeEach(() => {
  LONG = newFunction(1);
});

function serving(count: number, concurrency = 3): [Scheduler, WorkerRecord[]] {
  const scheduler = new Scheduler(concurrency);
  const workers = Array.from({ length: count }, () => scheduler.add());
  for (const worker of workers) scheduler.ready(worker);
  return [scheduler, workers];
}

let order = 1;
function submit(scheduler: Scheduler, count: number, options: Partial<TaskOptions> = {}): Task[] {
  return Array.from({ length: count }, () => {
    const task = new Task(order++, LONG, { ...DEFAULT_TASK, ...options });
    scheduler.submit(task);
    return task;
  });
}

function send(scheduler: Scheduler, now = 0): Task[] {
  const sent: Task[] = [];
  for (let task = scheduler.next(now); task !== null; task = scheduler.next(now)) sent.push(task);
  return sent;
}

test("idle workers come first, then those with room take turns, until all are full", () => {
  const [scheduler, workers] = serving(2);
  const tasks = submit(scheduler, 8);
  expect(send(scheduler)).toEqual(tasks.slice(0, 6));
  expect(tasks.map(({ record }) => record?.index)).toEqual([
    0,
    1,
    0,
    1,
    0,
    1,
    undefined,
    undefined,
  ]);
  expect(workers.map((worker) => scheduler.stateOf(worker))).toEqual(["busy", "busy"]);
  scheduler.answered(workers[1]!, tasks[3]!.id, 1_000, 1);
  expect(send(scheduler)).toEqual([tasks[6]!]);
  expect(tasks[6]!.record).toBe(workers[1]!);
});

test("a lost worker: what it has begun is lost, in whatever order it did; the rest is queued again", () => {
  const [scheduler, [worker]] = serving(1);
  const tasks = submit(scheduler, 3);
  send(scheduler);
  scheduler.started(worker!, tasks[0]!.id, 1);
  scheduler.started(worker!, tasks[1]!.id, 1);
  // Its word still names a task that it has answered.
  expect(scheduler.requeue.lose(worker!, 99_999)).toEqual([tasks[0]!, tasks[1]!]);
  expect(tasks[2]!.state).toBe("queued");
});

test("a lost worker: the task that its word names is lost, too, and all that were sent before it", () => {
  const [scheduler, [worker]] = serving(1);
  const tasks = submit(scheduler, 3);
  send(scheduler);
  expect(scheduler.requeue.lose(worker!, tasks[1]!.id)).toEqual(tasks.slice(0, 2));
});

test("what a recalled worker has begun stays with it", () => {
  const [scheduler, [worker]] = serving(1);
  const tasks = submit(scheduler, 3);
  send(scheduler);
  scheduler.started(worker!, tasks[0]!.id, 1);
  scheduler.started(worker!, tasks[1]!.id, 1);
  scheduler.answered(worker!, tasks[1]!.id, 10, 2);
  expect(scheduler.requeue.heldBy(worker!, 0)).toBe(10);
  scheduler.recall(worker!);
  scheduler.requeue.reclaim(worker!, tasks[1]!.id, 1_000);
  expect(tasks.map(({ state }) => state)).toEqual(["running", "done", "queued"]);
  expect([...worker!.inFlight]).toEqual([tasks[0]!]);
  expect(scheduler.requeue.heldBy(worker!, 0)).toBe(0);
});

test("each call has a deadline and a stage of its own", () => {
  const [scheduler, [worker]] = serving(1);
  const [first, second, third] = submit(scheduler, 3, { timeout: 100 });
  send(scheduler);
  scheduler.started(worker!, first!.id, 10);
  scheduler.started(worker!, second!.id, 20);
  scheduler.finished(worker!, first!.id, 30);
  const expired = (now: number) =>
    scheduler
      .due(now)
      .flatMap((verdict) => (verdict.kind === "expired" ? [[verdict.task, verdict.stage]] : []));
  expect(expired(20 + 100 + VERDICT_MS)).toEqual([[second!, "begun"]]);
  expect(expired(30 + START_MS)).toEqual([[first!, "returned"]]);
  expect(expired(100 + START_MS)).toEqual([[third!, "sent"]]);
});

test("a worker is not stuck while a call that is wanted has its thread", () => {
  const [scheduler, [worker]] = serving(1);
  const [first, second] = submit(scheduler, 2);
  send(scheduler);
  scheduler.started(worker!, first!.id, 1);
  worker!.begun!.awaits(first!.id);
  scheduler.started(worker!, second!.id, 2);
  expect(scheduler.cancel(first!, 3)).toBe("interrupt");
  expect(scheduler.due(3 + STUCK_MS)).toEqual([]);
  worker!.begun!.awaits(second!.id);
  expect(scheduler.due(3 + 2 * STUCK_MS)).toEqual([{ kind: "stuck", worker: worker! }]);
});

test("a call that was settled before it was known to have begun makes its worker stuck, too", () => {
  const [scheduler, [worker]] = serving(1);
  const [first, second] = submit(scheduler, 2);
  send(scheduler);
  scheduler.started(worker!, first!.id, 1);
  worker!.begun!.awaits(first!.id);
  expect(scheduler.cancel(second!, 2)).toBe("interrupt");
  expect(scheduler.nextDeadline).toBe(Infinity);
  scheduler.started(worker!, second!.id, 3);
  expect(scheduler.due(3 + STUCK_MS)).toEqual([{ kind: "stuck", worker: worker! }]);
});

test("nor is a call late behind one that has the thread", () => {
  const [scheduler, [worker]] = serving(1);
  const [first] = submit(scheduler, 1);
  const [late] = submit(scheduler, 1, { timeout: 10 });
  send(scheduler);
  scheduler.started(worker!, first!.id, 1);
  expect(scheduler.due(10 + START_MS)).toEqual([]);
  expect(late!.state).toBe("running");
});

test("pinned tasks start where a worker has room, and a worker without any is passed over", () => {
  const [scheduler, [worker]] = serving(1);
  submit(scheduler, 2);
  send(scheduler);
  const pinned = submit(scheduler, 2, { worker: 0 });
  const [behind] = submit(scheduler, 1);
  expect(send(scheduler)).toEqual([pinned[0]!]);
  scheduler.answered(worker!, pinned[0]!.id, 100, 1);
  expect(send(scheduler)).toEqual([pinned[1]!]);
  scheduler.answered(worker!, pinned[1]!.id, 100, 1);
  expect(send(scheduler)).toEqual([behind!]);
});
