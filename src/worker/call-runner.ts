import { decodeAt, type EncodedAt } from "../codec/value.ts";
import { RunningCall, type Workplace } from "../context.ts";
import { FunctionError, type TimeoutError, withoutFrames } from "../errors.ts";
import { mainScript } from "../function/main-script.ts";
import type { Resolved } from "../function/resolve.ts";
import type { WorkerEnd } from "../link/link.ts";
import { giveBack } from "../os/lent.ts";
import { performance } from "../os/natives.ts";
import { isLeaving } from "../os/output.ts";
import { Kind, type Rules } from "../wire/frames.ts";
import { INITIALIZER } from "../wire/task-id.ts";
import type { Answers } from "./answers.ts";
import { call, follow, type Outcome, Pending, thrown } from "./call.ts";
import type { Calls } from "./calls.ts";
import type { FunctionTable } from "./function-table.ts";
import { guarded } from "./ignored-signals.ts";
import type { SessionShares } from "./sharing.ts";
import { prepareWatchdog } from "./watchdog.ts";
import { residentBytes } from "./usage.ts";

/** ms for which answers are batched: by then the controller can send more calls. */
const FLUSH_MS = 0.015;

/** A call is long from here on: the answers of those before it should not have waited for it. */
export const LONG_MS = 1;

/**
 * After so many calls in a row that were not long the next is taken to be no long one. Until then
 * no answer waits behind it, as it may hold the thread.
 */
export const MANY_SHORT = 64;

/** A long call may be followed by another: no answer waits behind the next few. */
const FEW = 8;

/**
 * How many calls in a row count as short after a long one. On a busy machine any call may be long,
 * as its process is set aside meanwhile: so few of those that follow are answered one by one.
 */
export function afterLong(short: number): number {
  return Math.min(short, MANY_SHORT - FEW);
}

/** ms between two looks at the memory that is used, at least: one takes 3 µs. */
const MEMORY_LOOK_MS = 0.5;

/** The parts of the session that its calls use. */
export interface CallParts {
  readonly answers: Answers;
  readonly calls: Calls;
  readonly functions: FunctionTable;
  readonly shares: SessionShares;
  place(): Workplace;
  /** Goes on with a call; should that fail, the call is answered with the failure. */
  attempt(task: number, deed: () => void): void;
  /** bsync's own part of a call has failed: that is its answer. */
  fail(task: number, error: unknown): void;
  /** A call under a timeout may submit tasks. */
  prepareNested(): void;
  /** A call is over: others may begin. */
  onOver(): void;
}

/** Runs one call from its arguments to its answer. */
export class CallRunner {
  readonly #parts: CallParts;
  #link: WorkerEnd | null = null;
  /** Resident bytes above which this worker is to be replaced; Infinity once that was sent. */
  #maxMemory = Infinity;
  #memoryLook = 0;
  /** Calls in a row that were not long. */
  #short = 0;
  /** How many calls may be under way. */
  #concurrency = 1;

  constructor(parts: CallParts) {
    this.#parts = parts;
  }

  serve(link: WorkerEnd): void {
    this.#link = link;
  }

  /** The rules of the pool. */
  keepTo({ maxMemory, concurrency }: Rules): void {
    this.#maxMemory = maxMemory;
    this.#concurrency = concurrency;
  }

  /** Begins a call. It goes on later where earlier answers have to leave first. */
  begin(
    task: number,
    order: number,
    fn: number,
    deadline: number,
    attempt: number,
    encoded: EncodedAt,
  ): void {
    const { answers, calls, functions, place } = this.#parts;
    const found = functions.find(fn);
    if (found instanceof FunctionError) {
      return answers.answer(task, 0, thrown(withoutFrames(found)));
    }
    const args = decodeAt(encoded, functions.decoding) as unknown[];
    const isTimed = deadline !== Infinity;
    if (isTimed && !place().isInline) {
      if (functions.mayNest(fn, mainScript())) this.#parts.prepareNested();
      prepareWatchdog();
    }
    if (isTimed || this.#concurrency > 1) {
      answers.say(Kind.Started, task);
      answers.send();
    }
    const number = task === INITIALIZER ? 0 : order;
    const origin = { attempt, place: place(), fn: functions.labelOf(fn), timeout: deadline };
    const running = new RunningCall(task, number, origin);
    if (this.#link?.flush?.()) {
      calls.flush(running, () => this.#run(running, found, args, deadline));
    } else {
      this.#run(running, found, args, deadline);
    }
  }

  #run(running: RunningCall, found: Resolved, args: unknown[], deadline: number): void {
    const start = performance.now();
    this.#parts.calls.move(running, "called");
    const outcome = running.run(call, found, args, deadline, running);
    // It has ended the process, which is as good as gone: its report stays.
    if (isLeaving()) return;
    if (outcome instanceof Pending) {
      this.#parts.calls.move(running, "awaiting");
      this.follow(running, found, outcome, start, deadline);
      running.children?.onAwaiting();
      if (this.#concurrency > 1) this.#onAwaiting(running);
      return;
    }
    this.#parts.calls.move(running, "over");
    const end = performance.now();
    this.#finish(running, end - start, outcome, deadline);
    const mayFollowLong = this.#short < MANY_SHORT;
    if (end - start > LONG_MS) this.#short = afterLong(this.#short);
    else if (mayFollowLong) this.#short++;
    // An answer should not wait for a long call that follows.
    if (mayFollowLong || end - this.#parts.answers.flushedAt > FLUSH_MS)
      this.#parts.answers.flush(end);
    // Calls that came during this one, or may go on.
    const { queue, hasSuspended } = this.#parts.calls;
    if (queue.length > 0 || hasSuspended) this.#parts.onOver();
  }

  /** A call has left the thread to others. */
  #onAwaiting({ id }: RunningCall): void {
    this.#parts.answers.say(Kind.Awaits, id);
    if (this.#parts.calls.queue.length > 0) this.#parts.onOver();
  }

  /** Waits for a call that has returned a promise. */
  follow(
    running: RunningCall,
    found: Resolved,
    pending: Pending,
    start: number,
    deadline = Infinity,
  ): void {
    follow(pending, found, deadline, running, (outcome) =>
      guarded(() => this.#settled(running, start, outcome, deadline)),
    );
  }

  /** An asynchronous call is over. */
  #settled(running: RunningCall, start: number, outcome: Outcome, deadline: number): void {
    // It was cancelled, and answered at that time.
    if ((running.stage !== "awaiting" && running.stage !== "suspended") || isLeaving()) return;
    this.#parts.calls.move(running, "over");
    const end = performance.now();
    this.#parts.attempt(running.id, () => this.#finish(running, end - start, outcome, deadline));
    // The next call may hold the thread before it awaits anything.
    this.#parts.answers.send(end);
    this.#parts.onOver();
  }

  #finish(running: RunningCall, ms: number, outcome: Outcome, deadline: number): void {
    const timed = deadline === Infinity ? null : { running, deadline };
    running.isOver = true;
    running.children?.onOver(outcome.threw);
    this.#parts.answers.answer(running.id, ms * 1000, outcome, timed);
    if (this.#maxMemory !== Infinity && running.task > 0) this.#lookAtMemory(performance.now());
    if (!outcome.isLate) return;
    // Listeners may take their time: the answer goes before.
    this.#parts.answers.flush();
    running.abandon(outcome.value as TimeoutError);
  }

  /** After a task: has this worker to be replaced, for the memory it uses? */
  #lookAtMemory(now: number): void {
    if (now - this.#memoryLook < MEMORY_LOOK_MS) return;
    this.#memoryLook = now;
    const isBelow = () => {
      const bytes = residentBytes() ?? 0;
      return bytes <= this.#maxMemory || bytes - this.#parts.shares.commonBytes <= this.#maxMemory;
    };
    if (isBelow()) return;
    // What only waits for the next array is not in use.
    giveBack();
    if (isBelow()) return;
    this.#maxMemory = Infinity;
    this.#parts.answers.say(Kind.OverMemory, 0);
  }
}
