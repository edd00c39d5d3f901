import { Answers } from "./answers.ts";
import { type CallParts, CallRunner } from "./call-runner.ts";
import { CallList } from "./call-list.ts";
import { ListRunner } from "./list-runner.ts";
import { Calls } from "./calls.ts";
import { decodeList } from "../codec/lists.ts";
import { FunctionTable } from "./function-table.ts";
import { decodeAt, type Encoded, type EncodedAt } from "../codec/value.ts";
import { isGiven, setImmediate } from "../os/natives.ts";
import { setMainScript } from "../function/main-script.ts";
import type { WorkerEnd } from "../link/link.ts";
import { isLeaving } from "../os/output.ts";
import { Kind, type Opening, type Rules } from "../wire/frames.ts";
import { thrown } from "./call.ts";
import { Cancels } from "./cancels.ts";
import type { RunningCall, Workplace } from "../context.ts";
import { guarded, ignoreSignals } from "./ignored-signals.ts";
import { SessionShares } from "./sharing.ts";
import { type FunctionsHere, NestedPools } from "./nested-pools.ts";
import { Activity } from "../wire/task-id.ts";
import { type Greeting, introduce } from "../wire/greeting.ts";
import { type Frame, readFrames } from "../wire/reader.ts";

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
  readonly #functions: FunctionTable;
  readonly #calls = new Calls();
  readonly #runner: CallRunner;
  readonly #lists: ListRunner;
  readonly #shares: SessionShares;
  readonly #nested: NestedPools;
  #link: WorkerEnd | null = null;
  #main = "";
  #place: Workplace;
  /** Queued calls are being started. */
  #isContinuing = false;
  /** How often this worker was recalled by now, and before the message that is being read. */
  #recalls = 0;
  #recallsBefore = 0;
  readonly #cancels: Cancels;
  #closed = false;
  /** A list waits for the next turn of the event loop. */
  #hasYielded = false;
  /** How many calls may be under way. */
  #concurrency = 1;

  /**
   * `spinUs` is how long this worker looks for messages before it sleeps; `onClosed` is called once
   * the session is over. With `here` it is one of an inline pool: its process is the program's,
   * and its functions are those that were given.
   */
  constructor(session: number, spinUs: number, onClosed: () => void, here?: FunctionsHere) {
    this.#functions = new FunctionTable(() => this.#continue(), here?.find);
    const poolOf = (call: RunningCall) => this.#nested.poolOf(call);
    this.#answers = new Answers(session, () => this.#reportIdle());
    const isInline = here !== undefined;
    const report = (id: number, value: unknown) => this.#answers.report(id, value);
    this.#place = { index: 0, rank: null, localIndex: 0, isInline, report, poolOf };
    this.#cancels = new Cancels(this.#answers, this.#calls, () => this.#continue());
    const own = { answers: this.#answers, calls: this.#calls, functions: this.#functions };
    this.#shares = new SessionShares(own, () => this.#continue());
    this.#nested = new NestedPools(
      {
        ...{ ...own, shares: this.#shares },
        link: () => this.#link,
        isClosed: () => this.#closed,
        hasPlace: () => !this.#closed && this.#calls.mayBegin(this.#concurrency),
        goOn: () => this.#continue(),
        runInPlace: (id) => this.#runInPlace(id),
      },
      here?.recordOf,
    );
    this.#greeting = introduce(spinUs);
    this.#onClosed = onClosed;
    const parts: CallParts = {
      ...own,
      place: () => this.#place,
      shares: this.#shares,
      attempt: (task, deed) => this.#attempt(task, deed),
      fail: (task, error) => this.#fail(task, error),
      prepareNested: () => this.#nested.tryPrepare(),
      onOver: () => this.#continue(),
    };
    this.#runner = new CallRunner(parts);
    this.#lists = new ListRunner(parts, this.#runner);
  }

  /**
   * True while an asynchronous call runs, or a module loads: the event loop has to turn. Calls that
   * wait for others are woken by a message, as a rule; their timers may be some ms late.
   */
  get waiting(): boolean {
    const { isBusy, queue } = this.#calls;
    const mayGoOn = isBusy || queue.length > 0;
    return !this.#closed && (mayGoOn || this.#functions.isLoading);
  }

  serve(link: WorkerEnd): void {
    this.#link = link;
    this.#answers.serve(link);
    this.#runner.serve(link);
  }

  /** A message of the controller's. Senseless frames are dropped; calls in it are answered. */
  receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const outer = this.#recallsBefore;
    this.#recallsBefore = this.#recalls;
    try {
      readFrames(bytes, length, buffers, this.#take);
    } finally {
      this.#recallsBefore = outer;
      this.#cancels.endMessage();
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
        if (this.#cancels.takes(task)) return this.#answers.drop(task);
        if (this.#canStart()) return this.#start(task, order, number, deadline, attempt, frame);
        const args = keep(frame.content);
        this.#calls.queue.push({ task, order, fn: number, deadline, attempt, args });
        return;
      }
      case Kind.Calls:
        return this.#list(frame);
      case Kind.Cancel:
        return this.#cancels.cancel(frame.task);
      case Kind.Recall:
        return this.#recall(frame.task);
      case Kind.Close:
        return this.#close();
      case Kind.ChildResult:
      case Kind.ChildFailure:
      case Kind.ChildOrigin:
      case Kind.ChildReport:
      case Kind.Granted:
      case Kind.AwaitsItself:
      case Kind.Denied:
        return this.#nested.children?.receive(frame);
      default:
        return this.#shares.take(frame);
    }
  };

  #open(frame: Frame): void {
    const opening = decodeAt(frame, this.#functions.decoding) as Opening & Rules;
    this.#concurrency = opening.concurrency;
    this.#runner.keepTo(opening);
    this.#main = opening.main;
    const rank = frame.number < 0 ? null : frame.number;
    this.#place = { ...this.#place, index: frame.task, rank, localIndex: opening.localIndex };
    this.#nested.keepTo(opening);
    if (!this.#place.isInline) becomeWorker(opening);
    this.#link?.meet(opening);
    const statusPage = this.#link?.offerStatusPage?.() ?? null;
    const greeting = statusPage === null ? this.#greeting : { ...this.#greeting, statusPage };
    this.#answers.write(Kind.Ready, 0, 0, this.#answers.encode(greeting));
  }

  #define(frame: Frame): void {
    const holdsThread = this.#nested.isBlocked;
    this.#functions.define(frame, this.#main, holdsThread, () => {
      // A call that awaits stays reported, whatever is loaded meanwhile.
      if (!this.#calls.isBusy) this.#link?.report(Activity.Loading);
    });
  }

  #canStart(): boolean {
    return this.#mayBegin && this.#calls.queue.length === 0;
  }

  get #mayBegin(): boolean {
    return this.#shares.areThere && this.#calls.mayBegin(this.#concurrency);
  }

  /** Calls of a list have come: they begin at once, if they can. */
  #list({ task, order, number, index, format, bytes, start, end }: Frame): void {
    if (this.#recallsBefore !== this.#recalls) return;
    const items = decodeList(format, bytes, start, end);
    const list = new CallList(task, order, number, index, items);
    if (this.#cancels.takes(task)) return this.#answers.drop(list.lastId);
    const canStart = this.#canStart();
    this.#calls.queue.push(list);
    if (canStart) this.#continue();
  }

  /** Starts queued calls, as far as they can start. */
  #continue(): void {
    if (this.#isContinuing) return;
    this.#isContinuing = true;
    const { queue } = this.#calls;
    while (!this.#closed) {
      // Those that have begun go on before others begin.
      if (this.#nested.children?.resumeNext()) continue;
      if (!this.#mayBegin) break;
      const next = queue.at(0);
      if (next === undefined) break;
      if (next instanceof CallList) {
        if (!this.#runList(next)) break;
        continue;
      }
      queue.shift();
      this.#start(next.task, next.order, next.fn, next.deadline, next.attempt, next.args);
    }
    this.#isContinuing = false;
    this.#answers.flush();
  }

  /** Runs calls of the list that is the first in the queue. False if others have to wait. */
  #runList(list: CallList): boolean {
    const { queue } = this.#calls;
    const end = this.#lists.run(list, this.#link!);
    if (isLeaving()) return false;
    if (end === "over" || list.begun === list.length) {
      // It may have been cancelled, or recalled, meanwhile.
      if (queue.at(0) === list) queue.shift();
      return end === "over";
    }
    if (end === "yields") this.#goOnLater();
    return false;
  }

  #goOnLater(): void {
    this.#hasYielded = true;
    setImmediate(() => guarded(() => this.goOn()));
  }

  /** Goes on with a list that has let the event loop turn; false if there is none. */
  goOn(): boolean {
    if (!this.#hasYielded) return false;
    this.#hasYielded = false;
    this.#continue();
    return true;
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
      this.#runner.begin(task, order, fn, deadline, attempt, encoded);
    } catch (error) {
      this.#fail(task, error);
    }
  }

  /**
   * Runs a queued call within another, which waits for it: false where it cannot be run so. A call
   * that is not there was recalled, and comes again.
   */
  #runInPlace(id: number): boolean {
    const { queue, begun: outer } = this.#calls;
    const at = queue.findIndex((call) => call.task === id);
    const call = queue.at(at);
    if (call === undefined) return true;
    if (call instanceof CallList || !this.#shares.areThere) return false;
    queue.remove(at);
    const { unanswered } = this.#answers;
    this.#start(call.task, call.order, call.fn, call.deadline, call.attempt, call.args);
    this.#answers.unanswered = unanswered;
    const hasEnded = this.#calls.find(id) === null;
    if (hasEnded) this.#link?.report(outer);
    return hasEnded || this.#calls.find(id)!.stage === "flushing";
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

  /** All earlier calls that have not begun are dropped. The running one is still answered. */
  #recall(recall: number): void {
    this.#recallsBefore = ++this.#recalls;
    this.#calls.dropQueue();
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
    this.#shares.end();
    this.#nested.close();
    for (let i = 0; i < abandoned.length; i++) abandoned[i]!.abandon();
    this.#onClosed();
  }

  #reportIdle(): void {
    if (!this.#calls.isBusy)
      this.#link?.report(this.#functions.isLoading ? Activity.Loading : Activity.Idle);
    // The one that began last may be over: its answer has left before.
    else if (this.#concurrency > 1) this.#link?.report(this.#calls.begun);
  }
}

/** Makes this process one of the program's whose pool it serves. */
function becomeWorker({ main, text, drainSignals }: Opening & Rules): void {
  ignoreSignals(drainSignals);
  setMainScript(main, text);
  if (!isGiven(main)) process.argv[1] = main;
}

/** A copy: received bytes lie in memory that will be used again. */
function keep({ format, body, buffers }: Encoded): EncodedAt {
  const bytes = body.slice();
  return { format, bytes, start: 0, end: bytes.length, content: { format, body: bytes, buffers } };
}
