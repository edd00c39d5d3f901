import type { Task } from "../scheduler/task.ts";
import type { Histogram } from "./histogram.ts";
import type { Longest } from "./longest.ts";

/** Calls below so many µs are put together: those of one message count as of equal length. */
const SHORT_US = 5;

/** What is counted of the worker in one place of the pool, whichever process has it. */
export class Tally {
  /** Tasks that were settled there. */
  done = 0;
  failed = 0;
  /** µs that functions ran. */
  busyUs = 0;
  /** Bytes of messages that it has sent; those it was sent, without its latest connection's. */
  bytesOut = 0;
  bytesInBefore = 0;
  /** Bytes resident, as it has said last. */
  memory = 0;
  /** The most that it has said, or was seen to have. */
  peak = 0;
  /** Seconds of processor time before its latest process, and of that: when it began, and now. */
  #cpuBefore = 0;
  #cpuStart = NaN;
  #cpu = 0;
  /** The short calls of the message that is being read. */
  #count = 0;
  #us = 0;
  #queuedAt = 0;
  /** Calls that have waited for tasks of their own, by their numbers: since when, and ms before. */
  #pauses: Map<number, { since: number | null; before: number }> | null = null;
  readonly #wait: Histogram;
  readonly #run: Histogram;
  readonly #longest: Longest;

  constructor(wait: Histogram, run: Histogram, longest: Longest) {
    this.#longest = longest;
    this.#wait = wait;
    this.#run = run;
  }

  /** The call of that number was answered; without `task` one that was settled before. */
  ran(task: Task | null, id: number, us: number, now: number): void {
    this.busyUs += us;
    if (this.#pauses !== null) {
      // A call that was given up says that it took no time.
      this.busyUs -= Math.min(us, 1000 * this.#takePause(id, now));
    }
    if (task === null) return;
    const { queuedAt } = task;
    if (us < SHORT_US) {
      this.#count++;
      this.#us += us;
      this.#queuedAt += queuedAt;
      return;
    }
    if (us > this.#longest.floor) this.#longest.offer(task, us);
    this.#run.record(us / 1000);
    this.#wait.record(now - us / 1000 - queuedAt);
  }

  /** A call has left its place. */
  pause(id: number, now: number): void {
    this.#pauses ??= new Map();
    const pause = this.#pauses.get(id);
    if (pause === undefined) this.#pauses.set(id, { since: now, before: 0 });
    else pause.since ??= now;
  }

  /** It goes on. */
  resume(id: number, now: number): void {
    const pause = this.#pauses?.get(id);
    if (pause === undefined || pause.since === null) return;
    pause.before += now - pause.since;
    pause.since = null;
  }

  /** ms that a call has waited for tasks of its own, which is over. */
  #takePause(id: number, now: number): number {
    const pause = this.#pauses!.get(id);
    if (pause === undefined) return 0;
    this.#pauses!.delete(id);
    return pause.before + (pause.since === null ? 0 : now - pause.since);
  }

  /** `count` calls of a task were answered, which took `us` µs in all. */
  ranAll(task: Task, count: number, us: number, now: number): void {
    this.busyUs += us;
    if (us > this.#longest.floor * count) this.#longest.offer(task, us / count);
    this.#run.record(us / 1000 / count, count);
    // They ran one after another: the one in the middle waited as long as they did on average.
    this.#wait.record(now - us / 2000 - task.queuedAt, count);
  }

  /** A message was read: its short calls are counted. */
  received(length: number, buffers: readonly Uint8Array[], now: number): void {
    this.bytesOut += length;
    for (let i = 0; i < buffers.length; i++) this.bytesOut += buffers[i]!.byteLength;
    const count = this.#count;
    if (count === 0) return;
    const ms = this.#us / 1000 / count;
    this.#run.record(ms, count);
    this.#wait.record(now - ms - this.#queuedAt / count, count);
    this.#count = 0;
    this.#us = 0;
    this.#queuedAt = 0;
  }

  /** Another process has its place from now on; `sent` bytes went to the one before. */
  replace(sent: number): void {
    this.bytesInBefore += sent;
    // What waited in the process before does not go on.
    this.#pauses = null;
    this.#cpuBefore = this.cpu;
    this.#cpuStart = NaN;
    this.#cpu = 0;
  }

  /** Its process has `memory` bytes resident, and has used `cpu` seconds in its life. */
  use(memory: number, cpu: number): void {
    this.memory = memory;
    this.peak = Math.max(this.peak, memory);
    if (Number.isNaN(this.#cpuStart)) this.#cpuStart = cpu;
    this.#cpu = Math.max(this.#cpu, cpu - this.#cpuStart);
  }

  /** Seconds of processor time since it first served this pool. */
  get cpu(): number {
    return this.#cpuBefore + this.#cpu;
  }
}
