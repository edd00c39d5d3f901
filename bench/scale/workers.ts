import { Heap } from "../../src/collections/heap.ts";
import { SPIN_US } from "../../src/job/job.ts";
import type { ControllerEnd, LinkOwner } from "../../src/link/link.ts";
import type { MessageWriter } from "../../src/wire/writer.ts";

/**
 * The workers of the model: each takes its messages in order, runs the calls in them one after another,
 * and answers as `src/worker` does. All times are µs.
 */

export interface Network {
  readonly name: string;
  /** From one side to the other. */
  readonly wayUs: number;
  /** What MPI takes of the side that sends a message, and of the one that receives it. */
  readonly mpiUs: number;
}

/** Calls with consecutive numbers, in a message to a worker: one, or a list of them. */
export interface Calls {
  readonly id: number;
  readonly count: number;
  readonly isList: boolean;
}

/** Their answers, or a part of them, and how long they took. */
export interface Answer extends Calls {
  readonly elapsed: number;
}

/** A message from a worker. */
export interface Reply {
  readonly worker: ModelledWorker;
  readonly answers: readonly Answer[];
  /** It has been recalled, and had begun everything. */
  readonly isRecalled: boolean;
}

/** What a worker takes for a call, and for a message, besides the call itself: as much as the controller's side. */
const CALL_US = 0.3;
const MESSAGE_US = 0.5;

/** The same for a call of a list: one worker does some 10 million of them a second. */
const LISTED_US = 0.08;

/** As in `worker/session.ts`: answers are held back for company for so long. */
const HELD_BACK_US = 15;

/** As in `worker/list-runner.ts` and `worker/call-runner.ts`. */
const LONG_US = 1_000;
const FLUSH_US = 2_000;
const MANY_SHORT = 64;
const FEW = 8;

export class ModelledWorker {
  readonly link: ControllerEnd;
  readonly owner: LinkOwner;
  /** From when to when it is at what was sent to it. */
  startsAt = 0;
  freeAt = 0;
  /** When it has answered last. */
  flushed = 0;
  /** Calls of lists in a row that were not long. */
  short = 0;
  /** Answers that have not left. */
  held: Answer[] = [];

  constructor(owner: LinkOwner, send: (worker: ModelledWorker, message: MessageWriter) => void) {
    this.owner = owner;
    this.link = {
      rank: null,
      currentTask: undefined,
      reading: null,
      received: 0,
      send: (message) => send(this, message),
      prewake() {},
      poll: () => false,
      meet() {},
      close() {},
    };
  }
}

export class Workers {
  readonly all: ModelledWorker[] = [];
  network: Network = { name: "none", wayUs: 0, mpiUs: 0 };
  /** The lengths of all calls that workers were sent. */
  given = 0;
  /** Messages on their way to the controller, by when they arrive. */
  readonly #inbox = new Heap<Reply>();
  #posted = 0;
  readonly #lengthOf: (task: number) => number;

  constructor(lengthOf: (task: number) => number) {
    this.#lengthOf = lengthOf;
  }

  /** When the next message arrives. */
  get nextArrival(): number {
    return this.#inbox.peekKey();
  }

  /** The message that has arrived by now. */
  take(): Reply {
    return this.#inbox.pop()!;
  }

  /** A worker does what a message says, as soon as it is there and the one before it is done. */
  perform(worker: ModelledWorker, calls: readonly Calls[], arrival: number): void {
    const now = Math.max(worker.freeAt, wakes(worker.freeAt, arrival, rankNap));
    if (now > worker.freeAt) worker.startsAt = now;
    worker.freeAt = now + this.network.mpiUs + MESSAGE_US;
    for (const run of calls) {
      if (run.isList) this.#runList(worker, run);
      else this.#run(worker, run.id);
    }
    this.#release(worker);
  }

  /** It acknowledges a recall when it is done with what it has. */
  acknowledge(worker: ModelledWorker): void {
    this.#post(worker, [], true);
  }

  /** The work that was done until `clock`: what was given out, without what is still to be done of it. */
  worked(clock: number): number {
    let left = 0;
    for (const { startsAt, freeAt } of this.all) {
      left += Math.max(0, freeAt - Math.max(startsAt, clock));
    }
    return this.given - left;
  }

  #run(worker: ModelledWorker, id: number): void {
    const elapsed = this.#lengthOf(id);
    this.given += elapsed;
    worker.freeAt += CALL_US + elapsed;
    worker.held.push({ id, count: 1, isList: false, elapsed });
    if (worker.freeAt - worker.flushed > HELD_BACK_US) this.#release(worker);
  }

  /** The calls of a list, whose answers leave with its end, and before it every now and then. */
  #runList(worker: ModelledWorker, { id, count }: Calls): void {
    let [first, sum] = [id, 0];
    for (let task = id; task < id + count; task++) {
      const length = this.#lengthOf(task);
      this.given += length;
      worker.freeAt += LISTED_US + length;
      sum += LISTED_US + length;
      worker.short = length > LONG_US ? Math.min(worker.short, MANY_SHORT - FEW) : worker.short + 1;
      const isLast = task === id + count - 1;
      const isDue = worker.freeAt - worker.flushed > flushUs(worker);
      if (!isLast && !isDue) continue;
      worker.held.push({ id: first, count: task + 1 - first, isList: true, elapsed: sum });
      [first, sum] = [task + 1, 0];
      this.#release(worker);
    }
  }

  /** Its answers leave. */
  #release(worker: ModelledWorker): void {
    if (worker.held.length === 0) return;
    worker.freeAt += this.network.mpiUs + MESSAGE_US;
    worker.flushed = worker.freeAt;
    this.#post(worker, worker.held.splice(0), false);
  }

  #post(worker: ModelledWorker, answers: readonly Answer[], isRecalled: boolean): void {
    const arrival = worker.freeAt + this.network.wayUs;
    this.#inbox.push({ worker, answers, isRecalled }, arrival, this.#posted++);
  }
}

function flushUs({ short }: ModelledWorker): number {
  return short < MANY_SHORT ? 0 : FLUSH_US;
}

/** When somebody who waits since `from` sees what arrives at `at`; `nap` says how long he naps when. */
export function wakes(from: number, at: number, nap: (quietUs: number) => number): number {
  if (at - from <= SPIN_US) return Math.max(from, at);
  let now = from + SPIN_US;
  // Once a nap is as long as naps get there is no need to count them.
  while (now < at) {
    const us = nap(now - from);
    if (us < LONGEST_NAP_US) now += us;
    else return now + Math.ceil((at - now) / us) * us;
  }
  return now;
}

const LONGEST_NAP_US = 5_000;

/** As in `backend/mpi.ts`. */
export function controllerNap(quietUs: number): number {
  return Math.min(1_000 + quietUs / 10, LONGEST_NAP_US);
}

/** As in `worker/rank.ts`. */
function rankNap(quietUs: number): number {
  return quietUs >= 1_000_000 ? LONGEST_NAP_US : quietUs >= 20_000 ? 2_000 : 200;
}
