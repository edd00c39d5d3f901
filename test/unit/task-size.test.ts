/** The memory that a call takes while it waits: a program may queue a million of them. */
import { expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import { MessageHandle, type TaskOwner } from "../../src/handle.ts";
import { Estimates } from "../../src/scheduler/estimates.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { DEFAULT_TASK } from "../../src/scheduler/task.ts";

const TASKS = 100_000;

const owner: TaskOwner = {
  progress() {},
  waitFor() {},
  cancel: () => false,
  promise: () => Promise.resolve(),
};

/** Bytes of the heap, and objects on it. */
function heap(): { bytes: number; objects: number } {
  Bun.gc(true);
  const { heapSize, objectCount } = heapStats();
  return { bytes: heapSize, objects: objectCount };
}

test("a queued call is one object of at most 128 bytes, and its place in the queue", () => {
  const scheduler = new Scheduler();
  const fn = new Estimates().of({ id: 1, label: "f", reference: { kind: "task", name: "f" } });
  const submit = (count: number, from: number) => {
    for (let i = 0; i < count; i++) {
      const task = new MessageHandle<unknown>(from + i, fn, DEFAULT_TASK, owner);
      task.payload = 7;
      scheduler.submit(task);
    }
  };
  submit(1_000, 1);
  const before = heap();
  submit(TASKS, 1_001);
  const after = heap();
  const bytes = (after.bytes - before.bytes) / TASKS;
  const objects = (after.objects - before.objects) / TASKS;
  // The queue is an array of references, of which up to half is room.
  expect(bytes).toBeLessThan(128 + 16);
  expect(objects).toBeLessThan(1.01);
  expect(scheduler.queued).toBe(1_000 + TASKS);
});
