import {
  type DecodeContext,
  decodeAt,
  type EncodeContext,
  type Encoded,
  type EncodedAt,
  encodeValue,
  OUT_OF_BAND_BYTES,
} from "../codec/value.ts";
import { isGiven, performance, rss } from "../os/natives.ts";
import { bytesOf } from "../scheduler/task.ts";
import { encodeThrown } from "../codec/thrown.ts";
import { FunctionError, type TimeoutError, ValueError, withoutFrames } from "../errors.ts";
import { Fifo } from "../collections/fifo.ts";
import type { Resolved } from "../function/resolve.ts";
import { functions, loadFunctions } from "./functions.ts";
import type { FunctionReference } from "../function/record.ts";
import { setMainScript } from "../function/main-script.ts";
import type { Link } from "../link/link.ts";
import { isLeaving } from "../os/output.ts";
import { Kind, type FunctionTold, type Opening, type Rules } from "../wire/messages.ts";
import { call, follow, isOver, late, type Outcome, Pending, thrown } from "./call.ts";
import { RunningCall, type Workplace } from "../context.ts";
import { guarded, ignoreSignals } from "./ignored-signals.ts";
import { Activity, INITIALIZER } from "../wire/task-id.ts";
import { prepareWatchdog } from "./watchdog.ts";
import { type Greeting, introduce } from "../wire/greeting.ts";
import { checkBuffers } from "../wire/layout.ts";
import { type Frame, readFrames } from "../wire/reader.ts";
import { MessageWriter } from "../wire/writer.ts";

/** ms for which answers are held back for company: by then the controller can send more calls. */
const FLUSH_MS = 0.015;

/** ms between two looks at the memory that is used, at least: one takes 3 µs. */
const MEMORY_LOOK_MS = 0.5;

/**
 * A function the controller has told of: found, or why not; null while its module is being loaded.
 */
interface Known {
  readonly label: string;
  found: Resolved | FunctionError | null;
}

/** A call under a deadline, in ms. */
interface Timed {
  readonly running: RunningCall;
  readonly deadline: number;
}

interface Call {
  readonly task: number;
  readonly order: number;
  readonly fn: number;
  readonly deadline: number;
  readonly attempt: number;
  readonly args: EncodedAt;
}

/**
 * One pool, as its worker sees it: the mirror of `controller.ts`. Takes in what the controller
 * sends, calls one function at a time, and answers each call once.
 *
 *   Open → Ready     Function, Call → (Started) Result | Failure     Cancel     Close → Closed
 */
export class Session {
  readonly #greeting: Greeting;
  readonly #onClosed: () => void;
  readonly #writer: MessageWriter;
  #link: Link | null = null;
  #main = "";
  #place: Workplace = { index: 0, rank: null };

  readonly #functions = new Map<number, Known>();
  /** Functions whose modules are being loaded: no call starts before they are there. */
  #resolving = 0;
  readonly #queue = new Fifo<Call>();
  /** A call that is begun, and waits until what was sent before has left. */
  #held: { readonly task: number; run(): void } | null = null;
  /**
   * The task whose function is being called: messages may be taken in by it, in a `getSync` of its
   * rank's own pool.
   */
  #called: number | null = null;
  /**
   * The call that is being started, or answered: should that fail, it is answered with the failure.
   */
  #unanswered: number | null = null;
  /** Calls that wait are being started. */
  #isContinuing = false;
  /**
   * How often this worker was recalled, and how often it had been when the message came that is
   * being read.
   */
  #recalls = 0;
  #recallsBefore = 0;
  /**
   * Calls of that message that were cancelled before it was read so far: by one of them, which took
   * in messages.
   */
  readonly #cancelled = new Set<number>();
  /** The asynchronous call that runs; null when none does. */
  #running: RunningCall | null = null;
  #closed = false;
  /** Bytes resident past which this worker is to be replaced; Infinity once that was said. */
  #maxMemory = Infinity;
  #memoryLook = 0;
  /** When answers were last sent. */
  #flushed = 0;

  /**
   * `spinUs` is how long this worker looks for messages before it sleeps; `onClosed` is called once
   * the pool has let this worker go.
   */
  constructor(session: number, spinUs: number, onClosed: () => void) {
    this.#writer = new MessageWriter(session);
    this.#greeting = introduce(spinUs);
    this.#onClosed = onClosed;
  }

  /** True while an asynchronous call runs, or a module loads: the event loop has to turn. */
  get waiting(): boolean {
    return !this.#closed && (this.#isBusy || this.#resolving > 0);
  }

  serve(link: Link): void {
    this.#link = link;
  }

  /** A message of the controller's. What makes no sense is dropped; calls in it are answered. */
  receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const outer = this.#recallsBefore;
    this.#recallsBefore = this.#recalls;
    try {
      readFrames(bytes, length, buffers, this.#take);
    } finally {
      this.#recallsBefore = outer;
      if (this.#called === null) this.#cancelled.clear();
    }
  }

  /** No more messages are there: what was held back for company is sent. */
  answer(): void {
    this.#flush();
  }

  /** What was sent has left: a call that has waited for that runs. */
  onFlushed(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#go(held);
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
        return this.#forget(frame);
      case Kind.Call: {
        // Another one's by now, which its predecessor in this message has taken in; or nobody's.
        if (this.#recallsBefore !== this.#recalls) return;
        const { task, order, number, deadline, attempt } = frame;
        if (this.#cancelled.delete(task)) return this.#drop(task);
        if (this.#canStart()) return this.#start(task, order, number, deadline, attempt, frame);
        this.#queue.push({ task, order, fn: number, deadline, attempt, args: keep(frame.content) });
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
    const opening = decodeAt(frame, this.#decoding) as Opening & Rules;
    this.#maxMemory = opening.maxMemory;
    ignoreSignals(opening.drainSignals);
    this.#main = opening.main;
    this.#place = { index: frame.task, rank: frame.number < 0 ? null : frame.number };
    setMainScript(opening.main, opening.text);
    if (!isGiven(opening.main)) process.argv[1] = opening.main;
    this.#link?.meet(opening);
    const statusPage = this.#link?.offerStatusPage?.() ?? null;
    const greeting = statusPage === null ? this.#greeting : { ...this.#greeting, statusPage };
    this.#send(Kind.Ready, 0, 0, this.#encode(greeting));
  }

  #define(frame: Frame): void {
    const { id, reference, label } = decodeAt(frame, this.#decoding) as FunctionTold;
    const known: Known = { label, found: null };
    this.#functions.set(id, known);
    this.#resolving++;
    // A call that awaits is what this worker is at, whatever is loaded meanwhile.
    if (!this.#isBusy) this.#link?.report(Activity.Loading);
    void this.#load(known, reference);
  }

  async #load(known: Known, reference: FunctionReference): Promise<void> {
    let found: Resolved | FunctionError;
    try {
      await loadFunctions();
      found = await functions()!.resolve.resolveFunction(reference, this.#main);
    } catch (error) {
      found = error instanceof FunctionError ? error : unfound(known.label, error);
    }
    guarded(() => {
      known.found = found;
      this.#resolving--;
      this.#continue();
    });
  }

  /** No call that is not begun names them, nor will one before they are told of anew. */
  #forget(frame: Frame): void {
    for (const id of decodeAt(frame, this.#decoding) as number[]) {
      const found = this.#functions.get(id)?.found;
      this.#functions.delete(id);
      if (found && !(found instanceof FunctionError) && found.inline !== null) {
        functions()!.lines.forgetInline(found.inline.id);
      }
    }
  }

  #find(id: number): Resolved | FunctionError {
    return (
      this.#functions.get(id)?.found ??
      new FunctionError(`Cannot find function ${id} on this worker: it was never told of it`)
    );
  }

  #canStart(): boolean {
    return !this.#isBusy && this.#resolving === 0 && this.#queue.length === 0;
  }

  /** Whether a call has begun, and is not over. */
  get #isBusy(): boolean {
    return this.#running !== null || this.#held !== null || this.#called !== null;
  }

  /** Starts what waits, as far as it can be. */
  #continue(): void {
    if (this.#isContinuing) return;
    this.#isContinuing = true;
    while (!this.#isBusy && this.#resolving === 0 && !this.#closed) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      this.#start(next.task, next.order, next.fn, next.deadline, next.attempt, next.args);
    }
    this.#isContinuing = false;
    this.#flush();
  }

  #start(
    task: number,
    order: number,
    fn: number,
    deadline: number,
    attempt: number,
    encoded: EncodedAt,
  ): void {
    // Told until its answer is on its way: should this process end, be it by the arguments, it is
    // known what it had begun. What was taken back meanwhile is another worker's.
    if (this.#link?.report(task) === false) return;
    this.#unanswered = task;
    try {
      this.#begin(task, order, fn, deadline, attempt, encoded);
    } catch (error) {
      this.#fail(task, error);
    }
  }

  #go({ task, run }: { readonly task: number; run(): void }): void {
    this.#unanswered = task;
    try {
      run();
    } catch (error) {
      this.#fail(task, error);
    }
  }

  /**
   * Something of this worker's own has failed, as where a task has changed what everything is made
   * of.
   */
  #fail(task: number, error: unknown): void {
    if (this.#unanswered !== task) throw error;
    this.#called = null;
    this.#held = null;
    this.#running = null;
    this.#answer(task, 0, thrown(error));
  }

  #begin(
    task: number,
    order: number,
    fn: number,
    deadline: number,
    attempt: number,
    encoded: EncodedAt,
  ): void {
    const found = this.#find(fn);
    if (found instanceof FunctionError) {
      return this.#answer(task, 0, thrown(withoutFrames(found)));
    }
    const args = decodeAt(encoded, this.#decoding) as unknown[];
    if (deadline !== Infinity) {
      prepareWatchdog();
      this.#writer.write(Kind.Started, task);
      this.sendAnswers();
    }
    const { label } = this.#functions.get(fn)!;
    const number = task === INITIALIZER ? 0 : order;
    const running = new RunningCall(task, number, attempt, this.#place, label);
    if (this.#link?.flush?.()) {
      this.#held = { task, run: () => this.#run(running, found, args, deadline) };
    } else {
      this.#run(running, found, args, deadline);
    }
  }

  #run(running: RunningCall, found: Resolved, args: unknown[], deadline: number): void {
    const start = performance.now();
    const task = running.id;
    this.#called = task;
    const outcome = running.run(call, found, args, deadline, running);
    // It has ended the process, which is as good as gone: what was told stays.
    if (isLeaving()) return;
    this.#called = null;
    if (outcome instanceof Pending) {
      this.#running = running;
      follow(outcome, found, deadline, running, (outcome) =>
        guarded(() => this.#settled(running, start, outcome, deadline)),
      );
      return;
    }
    const end = performance.now();
    this.#finish(running, end - start, outcome, deadline);
    if (end - this.#flushed > FLUSH_MS) this.#flush(end);
    // What came during the call.
    if (this.#queue.length > 0) this.#continue();
  }

  /** An asynchronous call is over. */
  #settled(running: RunningCall, start: number, outcome: Outcome, deadline: number): void {
    if (this.#running !== running) return; // it was cancelled, and answered then
    if (isLeaving()) return;
    this.#running = null;
    this.#unanswered = running.id;
    try {
      this.#finish(running, performance.now() - start, outcome, deadline);
    } catch (error) {
      this.#fail(running.id, error);
    }
    this.#continue();
  }

  #finish(running: RunningCall, ms: number, outcome: Outcome, deadline: number): void {
    const timed = deadline === Infinity ? null : { running, deadline };
    running.isOver = true;
    this.#answer(running.id, ms * 1000, outcome, timed);
    if (this.#maxMemory !== Infinity && running.task > 0) this.#lookAtMemory(performance.now());
    if (!outcome.isLate) return;
    // What listens may take its time: the answer goes before.
    this.#flush();
    running.abandon(outcome.value as TimeoutError);
  }

  /** After a task: is there more memory in use than there may be? */
  #lookAtMemory(now: number): void {
    if (now - this.#memoryLook < MEMORY_LOOK_MS) return;
    this.#memoryLook = now;
    if (rss() <= this.#maxMemory) return;
    this.#maxMemory = Infinity;
    if (!this.#writer.fits()) this.#flush(now);
    this.#writer.write(Kind.OverMemory, 0);
  }

  #cancel(task: number): void {
    const waiting = this.#queue.findIndex((call) => call.task === task);
    const running = this.#running?.id === task ? this.#running : null;
    if (waiting >= 0) this.#queue.remove(waiting);
    else if (this.#held?.task === task) this.#held = null;
    else if (running === null) {
      // It has been answered; or lies behind the call that takes this in, or is that call.
      if (this.#called !== null) this.#cancelled.add(task);
      return;
    }
    this.#drop(task);
    if (running !== null) {
      this.#running = null;
      // What listens may take its time: the answer goes before.
      this.#flush();
      running.abandon();
    }
    this.#continue();
  }

  /** Answers a call that is not wanted any more. */
  #drop(task: number): void {
    this.#answer(task, 0, DROPPED);
  }

  /** All that was sent before, and is not begun, is taken back. What it runs it still answers. */
  #recall(recall: number): void {
    this.#recallsBefore = ++this.#recalls;
    this.#queue.takeAll();
    this.#link?.resume(recall);
    if (!this.#writer.fits()) this.#flush();
    const begun = this.#running?.id ?? this.#held?.task ?? this.#called ?? 0;
    this.#writer.write(Kind.Recalled, begun);
  }

  #close(): void {
    const running = this.#running;
    this.#running = null;
    this.#sendClosed();
    this.#flush();
    this.#end(running);
  }

  /**
   * Its process has come to its end, though the pool has not let it go: what it has begun stays
   * told.
   */
  leave(): void {
    this.#sendClosed();
    this.sendAnswers();
    this.#end(this.#running);
  }

  #sendClosed(): void {
    if (!this.#writer.fits()) this.sendAnswers();
    this.#writer.write(Kind.Closed, 0);
  }

  /** The pool is over, and has not said goodbye. */
  end(): void {
    this.#end(this.#running);
  }

  /** What runs is abandoned. */
  #end(running: RunningCall | null): void {
    this.#closed = true;
    this.#running = null;
    this.#held = null;
    this.#queue.takeAll();
    running?.abandon();
    this.#onClosed();
  }

  #answer(task: number, elapsed: number, outcome: Outcome, timed: Timed | null = null): void {
    if (this.#closed) return;
    if (outcome.threw) {
      const content = this.#encodeThrown(outcome.value);
      // What the program's own getters take counts, too.
      if (timed !== null && !outcome.isLate && isOver(timed.running))
        return this.#answerLate(task, timed);
      return this.#send(Kind.Failure, task, elapsed, content);
    }
    let content: Encoded;
    try {
      // What an initializer returns is for nobody.
      content = this.#encode(task === INITIALIZER ? undefined : outcome.value);
    } catch (error) {
      const refused = error instanceof ValueError ? withoutFrames(error) : error;
      return this.#answer(task, elapsed, thrown(refused), timed);
    }
    if (timed !== null) {
      if (isOver(timed.running)) return this.#answerLate(task, timed);
      this.#tellReturned(task, content);
    }
    this.#send(Kind.Result, task, elapsed, content);
  }

  /** Its time was over when what it has come to was encoded. */
  #answerLate(task: number, { running, deadline }: Timed): void {
    const { value } = late(running, deadline);
    this.#send(Kind.Failure, task, deadline * 1000, this.#encodeThrown(value));
    this.#flush();
    running.abandon(value as TimeoutError);
  }

  /**
   * A timeout is for the function, and for what of the program's runs when its result is encoded;
   * what it takes to send that does not count.
   */
  #tellReturned(task: number, content: Encoded): void {
    if (bytesOf(content) < OUT_OF_BAND_BYTES) return;
    if (!this.#writer.fits()) this.sendAnswers();
    this.#writer.write(Kind.Finished, task);
    this.sendAnswers();
  }

  #send(kind: Kind, task: number, elapsed: number, content: Encoded): void {
    if (!this.#writer.fits(content)) this.#flush();
    this.#writer.write(kind, task, elapsed, content);
    if (this.#unanswered === task) this.#unanswered = null;
  }

  /**
   * Sends what was held back for company: before a call that may take long, and when a task ends
   * its process. What was told of this worker stays.
   */
  sendAnswers(): void {
    if (!this.#writer.empty) this.#link?.send(this.#writer);
  }

  #flush(now = performance.now()): void {
    this.#flushed = now;
    this.sendAnswers();
    if (!this.#isBusy) this.#link?.report(this.#idleAt);
  }

  /** What it is at when it runs nothing. */
  get #idleAt(): number {
    return this.#resolving > 0 ? Activity.Loading : Activity.Idle;
  }

  #encode(value: unknown): Encoded {
    const encoded = encodeValue(value, "result", encoding);
    checkBuffers(encoded.buffers.length, "result");
    return encoded;
  }

  #encodeThrown(thrown: unknown): Encoded {
    try {
      return encodeThrown(thrown, encoding);
    } catch {
      const error = new ValueError(
        "Cannot send what the task threw: it does not let itself be read",
      );
      return encodeThrown(error, encoding);
    }
  }

  readonly #decoding: DecodeContext = {
    functionOf: (id) => {
      const found = this.#find(id);
      if (found instanceof FunctionError) throw found;
      return found.fn;
    },
    classFor: (reference) => functions()?.classes.classOnWorker(reference) ?? null,
  };
}

const encoding: EncodeContext = {
  functionId: (fn, path) => {
    throw new ValueError(
      `Cannot send ${path}: a function (${fn.name || "anonymous"}) travels as an argument only`,
    );
  },
  classOf: (maker, prototype) => functions()?.classes.exportersOnWorker(maker, prototype) ?? [],
  stackFor: (stack) => functions()?.stack.userStack(stack) ?? stack,
};

/** What there is to answer of a call that is not wanted any more. */
const DROPPED: Outcome = { threw: false, value: undefined, isLate: false };

function unfound(label: string, error: unknown): FunctionError {
  let text = "something that cannot be shown";
  try {
    text = String(error);
  } catch {
    // It throws, and so does what it has thrown.
  }
  return new FunctionError(`Cannot find ${label} on this worker: ${text}`, { cause: error });
}

/** A copy: what was received lies in memory that will be used again. */
function keep({ format, body, buffers }: Encoded): EncodedAt {
  const bytes = body.slice();
  return { format, bytes, start: 0, end: bytes.length, content: { format, body: bytes, buffers } };
}
