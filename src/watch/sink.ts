import type { Task } from "../scheduler/task.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** How a task ends. */
export type End = "done" | "failed" | "cancelled";

/** What becomes of a worker. */
export type Change = "ready" | "lost" | "replaced" | "gone";

/** A worker, as far as a connection to it tells. */
export interface Place {
  readonly record: WorkerRecord;
  readonly rank: number | null;
  readonly host: string;
  readonly greeting: { readonly pid: number } | null;
  readonly link: { readonly pid?: number } | null;
}

/**
 * Hears of each step of a pool at once, while the pool is at it: it may not throw, nor call the
 * pool. Times are ms of `performance.now()`. Of a chunk `offset` is the call's place in it. A pool
 * without a sink pays a comparison with null for each step.
 */
export interface Sink {
  /** A call has begun, as far as is known: it is the first of those that its worker was sent. */
  begun?(task: Task, offset: number, now: number): void;
  /** A call has left its place, to wait for tasks of its own: it begins once more after that. */
  paused?(task: Task, offset: number, record: WorkerRecord, now: number): void;
  /** A call has ended. Without a `begin` no worker has said that it ran. */
  ended?(
    task: Task,
    offset: number,
    state: End,
    error: unknown,
    begin: number | null,
    end: number,
  ): void;
  /** `count` calls of a chunk have returned, one after another. */
  endedAll?(task: Task, offset: number, count: number, begin: number, end: number): void;
  /** An attempt was in vain, and another follows: the task is queued again. */
  retried?(task: Task, error: unknown, now: number): void;
  changed?(change: Change, place: Place, reason: string | null, now: number): void;
}

/** Several, as one. */
class Sinks implements Sink {
  readonly all: readonly Sink[];

  constructor(all: readonly Sink[]) {
    this.all = all;
  }

  begun(...args: Parameters<NonNullable<Sink["begun"]>>): void {
    for (const sink of this.all) sink.begun?.(...args);
  }

  paused(...args: Parameters<NonNullable<Sink["paused"]>>): void {
    for (const sink of this.all) sink.paused?.(...args);
  }

  ended(...args: Parameters<NonNullable<Sink["ended"]>>): void {
    for (const sink of this.all) sink.ended?.(...args);
  }

  endedAll(...args: Parameters<NonNullable<Sink["endedAll"]>>): void {
    for (const sink of this.all) sink.endedAll?.(...args);
  }

  retried(...args: Parameters<NonNullable<Sink["retried"]>>): void {
    for (const sink of this.all) sink.retried?.(...args);
  }

  changed(...args: Parameters<NonNullable<Sink["changed"]>>): void {
    for (const sink of this.all) sink.changed?.(...args);
  }
}

/** `sinks` as one; null for none. */
export function joined(sinks: readonly Sink[]): Sink | null {
  // A copy: one may leave while all are told.
  return sinks.length > 1 ? new Sinks([...sinks]) : (sinks[0] ?? null);
}
