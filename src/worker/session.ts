import { Answers } from "./answers.ts";
import { Calls } from "./calls.ts";
import { FunctionTable } from "./function-table.ts";
import { decodeAt, type Encoded, type EncodedAt } from "../codec/value.ts";
import { isGiven, performance, rss } from "../os/natives.ts";
import { FunctionError, type TimeoutError, withoutFrames } from "../errors.ts";
import type { Resolved } from "../function/resolve.ts";
import { setMainScript } from "../function/main-script.ts";
import type { WorkerEnd } from "../link/link.ts";
import { isLeaving } from "../os/output.ts";
import { Kind, type Opening, type Rules } from "../wire/frames.ts";
import { call, follow, type Outcome, Pending, thrown } from "./call.ts";
import { RunningCall, type Workplace } from "../context.ts";
import { guarded, ignoreSignals } from "./ignored-signals.ts";
import { Activity, INITIALIZER } from "../wire/task-id.ts";
import { prepareWatchdog } from "./watchdog.ts";
import { type Greeting, introduce } from "../wire/greeting.ts";
import { type Frame, readFrames } from "../wire/reader.ts";

/** ms for which answers are batched: by then the controller can send more calls. */
const FLUSH_MS = 0.015;

/** ms between two looks at the memory that is used, at least: one takes 3 µs. */
const MEMORY_LOOK_MS = 0.5;

/**
 * One pool, as its worker sees it: the mirror of `controller.ts`. Receives the controller's frames,
 * calls one function at a time, and answers each call once.
 *
 *   Open → Ready     Function, Call → (Started) Result | Failure     Cancel     Close → Closed
 */
export class Session {
  readonly #greeting: Greeting;
  readonly #onClosed: () => void;
  readonly #answers: Answers;
  readonly #functions = new FunctionTable(() => this.#continue());
  readonly #calls = new Calls();
  #link: WorkerEnd | null = null;
  #main = "";
  #place: Workplace = { index: 0, rank: null };
  /** Queued calls are being started. */
  #isContinuing = false;
  /** How often this worker was recalled by now, and before the message that is being read. */
  #recalls = 0;
  #recallsBefore = 0;
  /**
   * Calls of that message that were cancelled before it was read so far: an earlier one of them has
   * received messages.
   */
  readonly #cancelled = new Set<number>();
  #closed = false;
  /** Resident bytes above which this worker is to be replaced; Infinity once that was sent. */
  #maxMemory = Infinity;
  #memoryLook = 0;

  /**
   * `spinUs` is how long this worker looks for messages before it sleeps; `onClosed` is called once
   * the session is over.
   */
  constructor(session: number, spinUs: number, onClosed: () => void) {
    this.#answers = new Answers(session, () => this.#reportIdle());
    this.#greeting = introduce(spinUs);
    this.#onClosed = onClosed;
  }

  /** True while an asynchronous call runs, or a module loads: the event loop has to turn. */
  get waiting(): boolean {
    return !this.#closed && (this.#calls.isBusy || this.#functions.isLoading);
  }

  serve(link: WorkerEnd): void {
    this.#link = link;
    this.#answers.serve(link);
  }

  /** A message of the controller's. Senseless frames are dropped; calls in it are answered. */
  receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const outer = this.#recallsBefore;
    this.#recallsBefore = this.#recalls;
    try {
      readFrames(bytes, length, buffers, this.#take);
    } finally {
      this.#recallsBefore = outer;
      if (!this.#calls.hasCalled) this.#cancelled.clear();
    }
  }

  /** No more messages have come: the answers that were batched are sent. */
  answer(): void {
    this.#answers.flush();
  }

  /** A task ends its process, or blocks it: the answers that were batched are sent. */
  sendAnswers(): void {
    this.#answers.send();
  }

  /** All messages have left: a call that has waited for that runs. */
  onFlushed(): void {
    const flushed = this.#calls.takeFlushed();
    if (flushed !== null) this.#attempt(flushed.call.id, flushed.resume);
    this.#continue();
  }

  readonly #take = (frame: Frame): void => {
    if (this.#closed) return;
    switch (frame.kind) {
      case Kind.Open:
        return this.#open(frame);
      case Kind.Function:
        return this.#define(frame);
      case Kind.Forget:
        return this.#functions.forget(frame);
      case Kind.Call: {
        // An earlier call of this message has received a Recall: this one is another worker's now.
        if (this.#recallsBefore !== this.#recalls) return;
        const { task, order, number, deadline, attempt } = frame;
        if (this.#cancelled.delete(task)) return this.#answers.drop(task);
        if (this.#canStart()) return this.#start(task, order, number, deadline, attempt, frame);
        const args = keep(frame.content);
        this.#calls.queue.push({ task, order, fn: number, deadline, attempt, args });
        return;
      }
      case Kind.Cancel:
        return this.#cancel(frame.task);
      case Kind.Recall:
        return this.#recall(frame.task);
      case Kind.Close:
        return this.#close();
    }
  };

  #open(frame: Frame): void {
    const opening = decodeAt(frame, this.#functions.decoding) as Opening & Rules;
    this.#maxMemory = opening.maxMemory;
    ignoreSignals(opening.drainSignals);
    this.#main = opening.main;
    this.#place = { index: frame.task, rank: frame.number < 0 ? null : frame.number };
    setMainScript(opening.main, opening.text);
    if (!isGiven(opening.main)) process.argv[1] = opening.main;
    this.#link?.meet(opening);
    const statusPage = this.#link?.offerStatusPage?.() ?? null;
    const greeting = statusPage === null ? this.#greeting : { ...this.#greeting, statusPage };
    this.#answers.write(Kind.Ready, 0, 0, this.#answers.encode(greeting));
  }

  #define(frame: Frame): void {
    this.#functions.define(frame, this.#main, () => {
      // A call that awaits stays reported, whatever is loaded meanwhile.
      if (!this.#calls.isBusy) this.#link?.report(Activity.Loading);
    });
  }

  #canStart(): boolean {
    return !this.#calls.isBusy && !this.#functions.isLoading && this.#calls.queue.length === 0;
  }

  /** Starts queued calls, as far as they can start. */
  #continue(): void {
    if (this.#isContinuing) return;
    this.#isContinuing = true;
    while (!this.#calls.isBusy && !this.#functions.isLoading && !this.#closed) {
      const next = this.#calls.queue.shift();
      if (next === undefined) break;
      this.#start(next.task, next.order, next.fn, next.deadline, next.attempt, next.args);
    }
    this.#isContinuing = false;
    this.#answers.flush();
  }

  #start(
    task: number,
    order: number,
    fn: number,
    deadline: number,
    attempt: number,
    encoded: EncodedAt,
  ): void {
    // Reported until its answer is on its way: should this process end, be it by the arguments, it
    // is known which task it had begun. A call that was recalled meanwhile is another worker's.
    if (this.#link?.report(task) === false) return;
    this.#answers.unanswered = task;
    try {
      this.#begin(task, order, fn, deadline, attempt, encoded);
    } catch (error) {
      this.#fail(task, error);
    }
  }

  /** Goes on with a call; should that fail, the call is answered with the failure. */
  #attempt(task: number, deed: () => void): void {
    this.#answers.unanswered = task;
    try {
      deed();
    } catch (error) {
      this.#fail(task, error);
    }
  }

  /** bsync's own part has failed, as where a task has changed a builtin. */
  #fail(task: number, error: unknown): void {
    if (this.#answers.unanswered !== task) throw error;
    const begun = this.#calls.find(task);
    if (begun !== null) this.#calls.move(begun, "over");
    this.#answers.answer(task, 0, thrown(error));
  }

  #begin(
    task: number,
    order: number,
    fn: number,
    deadline: number,
    attempt: number,
    encoded: EncodedAt,
  ): void {
    const found = this.#functions.find(fn);
    if (found instanceof FunctionError) {
      return this.#answers.answer(task, 0, thrown(withoutFrames(found)));
    }
    const args = decodeAt(encoded, this.#functions.decoding) as unknown[];
    if (deadline !== Infinity) {
      prepareWatchdog();
      this.#answers.say(Kind.Started, task);
      this.#answers.send();
    }
    const number = task === INITIALIZER ? 0 : order;
    const label = this.#functions.labelOf(fn);
    const running = new RunningCall(task, number, attempt, this.#place, label);
    if (this.#link?.flush?.()) {
      this.#calls.flush(running, () => this.#run(running, found, args, deadline));
    } else {
      this.#run(running, found, args, deadline);
    }
  }

  #run(running: RunningCall, found: Resolved, args: unknown[], deadline: number): void {
    const start = performance.now();
    this.#calls.move(running, "called");
    const outcome = running.run(call, found, args, deadline, running);
    // It has ended the process, which is as good as gone: its report stays.
    if (isLeaving()) return;
    if (outcome instanceof Pending) {
      this.#calls.move(running, "awaiting");
      follow(outcome, found, deadline, running, (outcome) =>
        guarded(() => this.#settled(running, start, outcome, deadline)),
      );
      return;
    }
    this.#calls.move(running, "over");
    const end = performance.now();
    this.#finish(running, end - start, outcome, deadline);
    if (end - this.#answers.flushedAt > FLUSH_MS) this.#answers.flush(end);
    // Calls that came during this one.
    if (this.#calls.queue.length > 0) this.#continue();
  }

  /** An asynchronous call is over. */
  #settled(running: RunningCall, start: number, outcome: Outcome, deadline: number): void {
    // It was cancelled, and answered at that time.
    if (running.stage !== "awaiting" || isLeaving()) return;
    this.#calls.move(running, "over");
    this.#attempt(running.id, () =>
      this.#finish(running, performance.now() - start, outcome, deadline),
    );
    this.#continue();
  }

  #finish(running: RunningCall, ms: number, outcome: Outcome, deadline: number): void {
    const timed = deadline === Infinity ? null : { running, deadline };
    running.isOver = true;
    this.#answers.answer(running.id, ms * 1000, outcome, timed);
    if (this.#maxMemory !== Infinity && running.task > 0) this.#lookAtMemory(performance.now());
    if (!outcome.isLate) return;
    // Listeners may take their time: the answer goes before.
    this.#answers.flush();
    running.abandon(outcome.value as TimeoutError);
  }

  /** After a task: has this worker to be replaced, for the memory it uses? */
  #lookAtMemory(now: number): void {
    if (now - this.#memoryLook < MEMORY_LOOK_MS) return;
    this.#memoryLook = now;
    if (rss() <= this.#maxMemory) return;
    this.#maxMemory = Infinity;
    this.#answers.say(Kind.OverMemory, 0);
  }

  #cancel(task: number): void {
    const { queue } = this.#calls;
    const waiting = queue.findIndex((call) => call.task === task);
    const begun = this.#calls.find(task);
    const isBegun = begun?.stage === "flushing" || begun?.stage === "awaiting";
    if (waiting < 0 && !isBegun) {
      // It has been answered; or lies behind the call that has received this, or is that call.
      if (this.#calls.hasCalled) this.#cancelled.add(task);
      return;
    }
    const isAwaiting = begun?.stage === "awaiting";
    if (waiting >= 0) queue.remove(waiting);
    if (begun?.stage === "flushing") this.#calls.move(begun, "over");
    this.#answers.drop(task);
    if (isAwaiting) {
      this.#calls.move(begun!, "over");
      // Listeners may take their time: the answer goes before.
      this.#answers.flush();
      begun!.abandon();
    }
    this.#continue();
  }

  /** All earlier calls that have not begun are dropped. The running one is still answered. */
  #recall(recall: number): void {
    this.#recallsBefore = ++this.#recalls;
    this.#calls.queue.takeAll();
    this.#link?.resume(recall);
    this.#answers.say(Kind.Recalled, this.#calls.begun);
  }

  #close(): void {
    const abandoned = this.#calls.takeAll();
    this.#answers.say(Kind.Closed, 0);
    this.#answers.flush();
    this.#end(abandoned);
  }

  /**
   * Its process has come to its end, though the pool has not closed it: the task it has begun stays
   * reported.
   */
  shutDown(): void {
    this.#answers.say(Kind.Closed, 0);
    this.#answers.send();
    this.#end();
  }

  /** The pool is over, and has sent no `Close`. */
  abandon(): void {
    this.#end();
  }

  #end(abandoned = this.#calls.takeAll()): void {
    this.#closed = true;
    this.#answers.close();
    for (let i = 0; i < abandoned.length; i++) abandoned[i]!.abandon();
    this.#onClosed();
  }

  #reportIdle(): void {
    if (!this.#calls.isBusy) this.#link?.report(this.#idleAt);
  }

  /** The report of a worker that runs no call. */
  get #idleAt(): number {
    return this.#functions.isLoading ? Activity.Loading : Activity.Idle;
  }
}

/** A copy: received bytes lie in memory that will be used again. */
function keep({ format, body, buffers }: Encoded): EncodedAt {
  const bytes = body.slice();
  return { format, bytes, start: 0, end: bytes.length, content: { format, body: bytes, buffers } };
}
