import { encodeList } from "../codec/lists.ts";
import { encodeThrown } from "../codec/thrown.ts";
import {
  type EncodeContext,
  type Encoded,
  encodeValue,
  OUT_OF_BAND_BYTES,
  bytesOf,
} from "../codec/value.ts";
import type { RunningCall } from "../context.ts";
import { type TimeoutError, ValueError, withoutFrames } from "../errors.ts";
import type { WorkerEnd } from "../link/link.ts";
import { performance } from "../os/natives.ts";
import { whole } from "../os/whole.ts";
import { checkBuffers } from "../wire/frame-layout.ts";
import { Kind } from "../wire/frames.ts";
import { INITIALIZER } from "../wire/task-id.ts";
import { MessageWriter } from "../wire/writer.ts";
import { isOver, late, type Outcome, thrown } from "./call.ts";
import { functions } from "./functions-lazy.ts";
import { UsageReports } from "./usage.ts";
import type { FrameFields } from "../nested/port.ts";

/** The longest list of values, and its characters. */
const LISTED = 4096;
const LISTED_CHARS = 16 * 1024;

/** A call under a deadline, in ms. */
export interface Timed {
  readonly running: RunningCall;
  readonly deadline: number;
}

/** The frames of a session to its controller: the answer of each call, once, and others. */
export class Answers {
  readonly #writer: MessageWriter;
  readonly #reportIdle: () => void;
  #link: WorkerEnd | null = null;
  #isClosed = false;
  /**
   * Values of consecutive calls, in places that are all there, as a prototype may have setters; the
   * number of the first, their characters, the µs they took.
   */
  readonly #listed: unknown[] = new Array(LISTED).fill(0);
  #count = 0;
  #firstListed = 0;
  #listedChars = 0;
  #listedUs = 0;
  /** On `performance.now()`: when answers were last sent. */
  flushedAt = 0;
  /** The number of a value that the pool has shared. */
  sharedId: (value: object) => number | null = () => null;
  readonly #encoding: EncodeContext = { ...encoding, sharedId: (value) => this.sharedId(value) };
  readonly #usage = new UsageReports();
  /** The call that is being started, or answered: should that fail, its answer is the failure. */
  unanswered: number | null = null;

  /** `reportIdle` is called whenever all answers are sent. */
  constructor(session: number, reportIdle: () => void) {
    this.#writer = new MessageWriter(session);
    this.#reportIdle = reportIdle;
  }

  serve(link: WorkerEnd): void {
    this.#link = link;
  }

  /** Calls are answered no more. */
  close(): void {
    this.#isClosed = true;
  }

  /** A call is over; `timed` where it ran under a deadline, which its result may still miss. */
  answer(task: number, elapsed: number, outcome: Outcome, timed: Timed | null = null): void {
    if (this.#isClosed) return;
    this.endList();
    if (outcome.threw) {
      const content = this.#encodeThrown(outcome.value);
      // The time of the program's own getters counts, too.
      if (timed !== null && !outcome.isLate && isOver(timed.running))
        return this.#answerLate(task, timed);
      return this.write(Kind.Failure, task, elapsed, content);
    }
    let content: Encoded;
    try {
      // The value that an initializer returns is for nobody.
      content = this.encode(task === INITIALIZER ? undefined : outcome.value);
    } catch (error) {
      const refused = error instanceof ValueError ? withoutFrames(error) : error;
      return this.answer(task, elapsed, thrown(refused), timed);
    }
    if (timed !== null) {
      if (isOver(timed.running)) return this.#answerLate(task, timed);
      this.#sayFinished(task, content);
    }
    this.write(Kind.Result, task, elapsed, content);
  }

  /** A call of a list has returned a value: it is answered with those before it. */
  collect(task: number, value: unknown): void {
    if (this.#isClosed) return;
    if (this.#count === 0) this.#firstListed = task;
    this.#listed[this.#count++] = value;
    if (typeof value === "string") this.#listedChars += value.length;
    this.unanswered = null;
    if (this.#count >= LISTED || this.#listedChars >= LISTED_CHARS) this.endList();
  }

  /** The calls that were collected last have taken `elapsed` µs. */
  took(elapsed: number): void {
    if (this.#count > 0) this.#listedUs += elapsed;
  }

  /** Writes the values that were collected. */
  endList(): void {
    const count = this.#count;
    if (count === 0) return;
    const content = encodeList(this.#listed, count);
    const elapsed = this.#listedUs;
    // Numbers may stay; strings would be kept alive.
    if (this.#listedChars > 0) this.#listed.fill(0, 0, count);
    this.#count = 0;
    this.#listedChars = 0;
    this.#listedUs = 0;
    this.write(Kind.Results, this.#firstListed, elapsed, content);
  }

  /** Answers a call that is not wanted any more. */
  drop(task: number): void {
    this.answer(task, 0, DROPPED);
  }

  /** A call that is not over says something on the way: it leaves at once. */
  report(task: number, value: unknown): void {
    if (this.#isClosed) return;
    whole(() => {
      const { format, body, buffers } = this.encode(value, "report");
      // The task goes on, and may write to them before they are sent.
      const content = { format, body, buffers: buffers.map((buffer) => buffer.slice()) };
      this.endList();
      if (!this.#writer.fits(content)) this.send();
      this.#writer.write(Kind.Report, task, 0, content);
      this.send();
    });
  }

  /** Its time was over when its result was encoded. */
  #answerLate(task: number, { running, deadline }: Timed): void {
    const { value } = late(running);
    this.write(Kind.Failure, task, deadline * 1000, this.#encodeThrown(value));
    this.flush();
    running.abandon(value as TimeoutError);
  }

  /**
   * A timeout covers the function, and the program's code that runs when its result is encoded; the
   * time to send that does not count.
   */
  #sayFinished(task: number, content: Encoded): void {
    if (bytesOf(content) < OUT_OF_BAND_BYTES) return;
    this.say(Kind.Finished, task);
    this.send();
  }

  /** Writes a frame with a value in it. */
  write(kind: Kind, task: number, elapsed: number, content: Encoded): void {
    if (!this.#writer.fits(content)) this.flush();
    this.#writer.write(kind, task, elapsed, content);
    this.#usage.ran(elapsed);
    if (this.unanswered === task) this.unanswered = null;
  }

  /** Writes a frame of another kind, behind the answers so far. */
  writeFields(kind: Kind, task: number, fields: FrameFields = {}): void {
    const { number = 0, content, attempt = 1, order = -1, index = -1 } = fields;
    this.endList();
    if (!this.#writer.fits(content)) this.send();
    this.#writer.write(kind, task, number, content, Infinity, attempt, order, index);
  }

  /** Writes a frame without a value, behind the answers so far. */
  say(kind: Kind, task: number): void {
    this.endList();
    if (!this.#writer.fits()) this.send();
    // Nothing comes after it.
    if (kind === Kind.Closed) this.#usage.end(this.#writer);
    this.#writer.write(kind, task);
  }

  /**
   * Sends the answers that were batched: before a call that may take long, and when a task ends its
   * process. The reported task stays.
   */
  send(now = this.flushedAt): void {
    this.flushedAt = now;
    this.endList();
    if (this.#writer.empty) return;
    this.#usage.before(this.#writer, now);
    this.#link?.send(this.#writer);
    this.#usage.after(now);
  }

  /** Sends the answers that were batched, and reports that nothing runs, if that is so. */
  flush(now = performance.now()): void {
    this.flushedAt = now;
    this.send();
    this.#reportIdle();
  }

  encode(value: unknown, what = "result"): Encoded {
    const encoded = encodeValue(value, what, this.#encoding);
    checkBuffers(encoded.buffers.length, what);
    return encoded;
  }

  #encodeThrown(thrown: unknown): Encoded {
    try {
      return encodeThrown(thrown, this.#encoding);
    } catch {
      const error = new ValueError("Cannot send the value that the task threw: reading it throws");
      return encodeThrown(error, encoding);
    }
  }
}

export const encoding: EncodeContext = {
  functionId: (fn, path) => {
    throw new ValueError(
      `Cannot send ${path}: a function (${fn.name || "anonymous"}) travels as an argument only`,
    );
  },
  classOf: (maker, prototype) => functions()?.classes.exportersOnWorker(maker, prototype) ?? [],
  framesFor: (frames) => functions()?.stack.userFrames(frames) ?? frames,
};

/** The answer of a call that is not wanted any more. */
const DROPPED: Outcome = { threw: false, value: undefined, isLate: false };
