import { isListed } from "../codec/lists.ts";
import { type CallOrigin, RunningCall } from "../context.ts";
import { FunctionError, withoutFrames } from "../errors.ts";
import type { Resolved } from "../function/resolve.ts";
import type { WorkerEnd } from "../link/link.ts";
import { isLeaving } from "../os/output.ts";
import { performance } from "../os/natives.ts";
import type { CallList } from "./call-list.ts";
import { callOnItem, Pending, thrown } from "./call.ts";
import { type CallParts, type CallRunner, LONG_MS, MANY_SHORT, afterLong } from "./call-runner.ts";

/** ms for which calls of a list run before the worker looks for messages. */
const SLICE_MS = 5;

/** ms for which answers wait for each other: a result is on its way within 5 ms. */
const FLUSH_MS = 2;

/** Calls below so many µs are timed eight at a time: to read the clock takes 0.05. */
const FAST_US = 2;
const TIMED = 8;

/** Runs the calls of lists, one after another. */
export class ListRunner {
  readonly #parts: CallParts;
  readonly #runner: CallRunner;
  /** Calls in a row that were not long, and the function they are of. */
  #short = 0;
  #fn = 0;
  /** Of the calls of the list that runs. */
  #origin: CallOrigin | null = null;
  /** When a call was timed last, and how many were not timed since. */
  #timedAt = 0;
  #untimed = 0;
  /** µs of a call that was timed last. */
  #meanUs = 0;

  constructor(parts: CallParts, runner: CallRunner) {
    this.#parts = parts;
    this.#runner = runner;
  }

  /**
   * Runs calls of a list until all are over, or one awaits a promise, or messages should be looked
   * for. Its values are answered together.
   */
  run(list: CallList, link: WorkerEnd): "over" | "waits" | "yields" {
    const { answers, functions, place } = this.#parts;
    const found = functions.find(list.fn);
    this.#origin = {
      attempt: 1,
      place: place(),
      fn: functions.labelOf(list.fn),
      timeout: Infinity,
    };
    if (this.#fn !== list.fn) this.#short = 0;
    this.#fn = list.fn;
    const start = performance.now();
    this.#timedAt = start;
    this.#untimed = 0;
    while (list.begun < list.length) {
      const isSteady = this.#short >= MANY_SHORT;
      // Earlier answers leave before a call that may hold the thread for long.
      if (!isSteady && link.flush?.()) return "waits";
      const offset = list.begun;
      // A list that was recalled meanwhile is another worker's.
      if (!link.report(list.idAt(offset))) return "over";
      list.begun++;
      const isOver = this.#begin(list, offset, found);
      if (list.isDropped) {
        this.#drop(list);
        return "over";
      }
      if (!isOver || isLeaving()) return "waits";
      if (++this.#untimed < TIMED && isSteady && this.#meanUs < FAST_US) continue;
      const now = this.#time();
      if (!isSteady || now - answers.flushedAt > FLUSH_MS) {
        answers.send(now);
        this.#timedAt = performance.now();
      }
      if (now - start > SLICE_MS && list.begun < list.length) return "yields";
    }
    this.#time();
    answers.endList();
    return "over";
  }

  /** A list that was cancelled while its call was on the stack, which may await by now. */
  #drop(list: CallList): void {
    const { answers, calls } = this.#parts;
    const begun = calls.findOf(list.task);
    if (begun !== null) {
      calls.move(begun, "over");
      answers.drop(begun.id);
    }
    answers.drop(list.lastId);
    if (begun === null) return;
    // Listeners may take their time: the answers go before.
    answers.flush();
    begun.abandon();
  }

  /** Calls the function on one item. False if it has returned a promise. */
  #begin(list: CallList, offset: number, found: Resolved | FunctionError): boolean {
    const { answers, fail } = this.#parts;
    const id = list.idAt(offset);
    answers.unanswered = id;
    try {
      if (!(found instanceof FunctionError)) return this.#call(list, offset, id, found);
      answers.answer(id, 0, thrown(withoutFrames(found)));
    } catch (error) {
      fail(id, error);
    }
    return true;
  }

  #call(list: CallList, offset: number, id: number, found: Resolved): boolean {
    const { answers, calls } = this.#parts;
    const running = new RunningCall(id, list.orderAt(offset), this.#origin!, list.task);
    const start = this.#timedAt;
    calls.move(running, "called");
    const outcome = callOnItem(found, list.itemAt(offset), list.indexAt(offset), running);
    if (outcome instanceof Pending) {
      this.#time();
      calls.move(running, "awaiting");
      this.#runner.follow(running, found, outcome, start);
      running.children?.onAwaiting();
      return false;
    }
    // It has ended the process, which is as good as gone: its report stays.
    if (isLeaving()) return false;
    calls.move(running, "over");
    running.isOver = true;
    running.children?.onOver(outcome.threw);
    if (!outcome.threw && isListed(outcome.value)) {
      answers.collect(id, outcome.value);
    } else {
      this.#untimed++;
      this.#time(1);
      answers.answer(id, this.#meanUs, outcome);
    }
    return true;
  }

  /**
   * Times the calls since the last time, of which `apart` are not answered with the others. Returns
   * the time.
   */
  #time(apart = 0): number {
    const now = performance.now();
    const ms = now - this.#timedAt;
    this.#meanUs = (ms * 1000) / Math.max(1, this.#untimed);
    if (ms > LONG_MS) this.#short = afterLong(this.#short);
    else this.#short += this.#untimed;
    this.#parts.answers.took(ms * 1000 - apart * this.#meanUs);
    this.#timedAt = now;
    this.#untimed = 0;
    return now;
  }
}
