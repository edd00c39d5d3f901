import { DEFAULT_TASK } from "../../src/scheduler/task.ts";
import { type Encoded, encodeValue } from "../../src/codec/value.ts";
import { Controller } from "../../src/controller/controller.ts";
import type { FunctionRecord } from "../../src/function/record.ts";
import { Heap } from "../../src/collections/heap.ts";
import { SPIN_US } from "../../src/job/job.ts";
import type { LinkOwner, ControllerEnd } from "../../src/link/link.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { Kind, type Opening } from "../../src/wire/frames.ts";
import { readFrames } from "../../src/wire/reader.ts";
import { MessageWriter } from "../../src/wire/writer.ts";
import { newSession } from "../../src/wire/session.ts";

/**
 * The real controller, with its scheduler and its way of putting calls into messages, in a world that
 * is not: its links lead to workers that are numbers, over a network that is one number, in a
 * time that passes as the model says. All times are µs.
 *
 * The controller is one thread that is charged for what it does (`Costs`). A worker takes its messages
 * in order, runs the calls in them one after another, and answers as `worker/session.ts` does.
 * Either side that waits spins first and naps then, as ranks on different machines do.
 */

/** What the controller is charged. */
export interface Costs {
  /** A call: submitted, sent, settled, and its result awaited. */
  readonly callUs: number;
  /** A message out and one in, without what MPI takes for them. */
  readonly messageUs: number;
  /** A turn of the event loop. */
  readonly turnUs: number;
}

export interface Network {
  readonly name: string;
  /** From one side to the other. */
  readonly wayUs: number;
  /** What MPI takes of the side that sends a message, and of the one that receives it. */
  readonly mpiUs: number;
}

/** What a run came to. */
export interface Point {
  readonly workers: number;
  readonly lengthUs: number;
  /** Time that workers spent in calls, as a share of all their time. */
  readonly efficiency: number;
  /** Time that the controller did not wait, as a share of all. */
  readonly load: number;
  readonly callsPerSecond: number;
  readonly callsPerMessage: number;
}

/** What a worker takes for a call, and for a message, besides the call itself: as much as the controller's side. */
const WORKER_CALL_US = 0.3;
const WORKER_MESSAGE_US = 0.5;

/** As in `worker/session.ts`: answers are held back for company for so long. */
const HELD_BACK_US = 15;

/** As in `link/mpi/hub.ts`: messages taken in before the event loop turns. */
const MOST_AT_ONCE = 64;

/** As in `scheduler.ts`: work that is sent to one worker at a time, where calls are short. */
const IN_FLIGHT_US = 50;

/** Besides what is in flight at a time, so that no worker ever waits for the program to make a call. */
const RESERVE = 256;

const ARGUMENTS = [1];

/** A worker, its messages and what it is at. */
class ModelledWorker {
  readonly link: ControllerEnd;
  readonly owner: LinkOwner;
  /** From when to when it is at the last message that was sent to it. */
  startsAt = 0;
  freeAt = 0;
  /** When it has answered last. */
  flushed = 0;

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

/** Frames in one message, to a worker or from it: calls, or answers. */
interface Message {
  readonly worker: ModelledWorker;
  readonly tasks: number[];
}

/** A message to a worker, as bytes. */
interface Envelope {
  readonly worker: ModelledWorker;
  readonly bytes: Uint8Array;
}

export class Model implements Backend {
  readonly session = newSession();
  readonly opening: Opening = {
    main: "model",
    text: null,
    pid: 1,
    host: "controller",
    pidSpace: "",
    spinUs: SPIN_US,
  };
  readonly controller: Controller;
  readonly workers: ModelledWorker[] = [];
  /** Messages on their way to the controller, by when they arrive. */
  readonly #inbox = new Heap<Message>();
  #posted = 0;
  /** What the controller has sent and was not charged for yet. */
  #outgoing: Message[] = [];
  /** What it has sent while it is timed. */
  #envelopes: Envelope[] | null = null;
  /** Control frames to be answered: they are no part of the measurement. */
  #asked: { readonly worker: ModelledWorker; readonly kind: Kind }[] = [];
  readonly #writer = new MessageWriter(this.session);
  readonly #result = encode(undefined);
  readonly #greeting = encode({ pid: 1, host: "worker", pidSpace: "", spinUs: SPIN_US });
  #functions = 0;
  /** The last function, and the length of its calls. */
  #fn: FunctionRecord | null = null;
  #lengths: Float64Array = new Float64Array(1);

  /** Now, on the controller, and how much of the time until now it did not wait. */
  #clock = 0;
  #busy = 0;
  #lastMoved = 0;
  #open = 0;
  /** As many as the number of the last task. */
  #submitted = 0;
  /** Up to this number tasks have begun some time ago. */
  #begun = 0;
  #settled = 0;
  /** The lengths of all calls that workers were sent. */
  #given = 0;
  #messages = 0;
  #network: Network = { name: "none", wayUs: 0, mpiUs: 0 };
  #costs: Costs = { callUs: 0, messageUs: 0, turnUs: 0 };

  constructor() {
    const limits = {
      tasksPerWorker: Infinity,
      memoryPerWorker: Infinity,
      queue: Infinity,
      concurrency: 1,
    };
    this.controller = new Controller(this, limits, { signals: [], timeout: 0 }, "ignore");
  }

  async open(workers: number): Promise<void> {
    const opened = this.controller.open(workers, null, 60_000);
    this.#reply(Kind.Open, Kind.Ready, this.#greeting);
    await opened;
  }

  async terminate(): Promise<void> {
    const closed = this.controller.terminate(undefined);
    this.#reply(Kind.Close, Kind.Closed);
    await closed;
  }

  /** From now on calls take a length around this one, as often half as one and a half of it. */
  use(lengthUs: number): void {
    const id = ++this.#functions;
    const reference = { kind: "text", text: "f" } as const;
    this.#fn = { id, label: "f", reference };
    this.#lengths = spread.map((share) => lengthUs * (0.5 + share));
  }

  /**
   * Calls of that length on all workers: whenever one is settled the program submits one more. The first
   * on each worker is as if it had begun some time ago, so that they are out of step from the start.
   */
  async run(lengthUs: number, network: Network, costs: Costs): Promise<Point> {
    this.use(lengthUs);
    this.#network = network;
    this.#costs = costs;
    const { length } = this.workers;
    const each = lengthUs < IN_FLIGHT_US ? 1 + Math.ceil(IN_FLIGHT_US / lengthUs) : 1;
    const open = length * each + RESERVE;
    this.#begun = this.#submitted + length;
    await this.#until(this.#settled + Math.max(length / 2, 5_000), open);
    const start = this.#clock;
    const worked = this.#worked();
    const [busy, settled, messages] = [this.#busy, this.#settled, this.#messages];
    await this.#until(settled + Math.max(length / 2, 10_000), open);
    const us = this.#clock - start;
    const calls = this.#settled - settled;
    const point = {
      workers: length,
      lengthUs,
      efficiency: (this.#worked() - worked) / (us * length),
      load: (this.#busy - busy) / us,
      callsPerSecond: (calls / us) * 1e6,
      callsPerMessage: calls / (this.#messages - messages),
    };
    await this.#until(Infinity, 0);
    return point;
  }

  /** Turns of the controller's event loop, until so many calls were settled in all, or none is open. */
  async #until(settled: number, open: number): Promise<void> {
    while (this.#settled < settled) {
      while (this.#open < open) this.#submit();
      // Where calls are sent in a microtask they are sent now.
      await null;
      this.#send();
      if (this.#open === 0) return;
      this.#turn();
    }
  }

  #submit(): void {
    this.#open++;
    this.#submitted++;
    void this.controller.submit(this.#fn!, ARGUMENTS, DEFAULT_TASK);
    this.#send();
  }

  #turn(): void {
    if (this.#inbox.peekKey() > this.#clock) {
      this.#clock = wakes(this.#lastMoved, this.#inbox.peekKey(), controllerNap);
    }
    this.#charge(this.#costs.turnUs);
    const heard: ModelledWorker[] = [];
    while (heard.length < MOST_AT_ONCE && this.#inbox.peekKey() <= this.#clock) {
      const message = this.#inbox.pop()!;
      heard.push(message.worker);
      this.#take(message);
    }
    for (const worker of heard) worker.owner.onPause();
    this.#send();
    this.#lastMoved = this.#clock;
  }

  /** The controller receives answers. */
  #take({ worker, tasks }: Message): void {
    const { callUs, messageUs } = this.#costs;
    this.#charge(this.#network.mpiUs + messageUs / 2 + (tasks.length * callUs) / 2);
    for (const task of tasks) {
      this.#writer.write(Kind.Result, task, this.#lengthOf(task), this.#result);
    }
    this.#open -= tasks.length;
    this.#settled += tasks.length;
    this.#messages++;
    const { bytes, length, buffers } = this.#writer.take();
    worker.owner.onMessage(bytes, length, buffers);
  }

  /** What the controller has sent leaves it: after all calls of the batch were written, one by one. */
  #send(): void {
    if (this.#outgoing.length === 0) return;
    const { callUs, messageUs } = this.#costs;
    for (const { tasks } of this.#outgoing) this.#charge((tasks.length * callUs) / 2);
    for (const message of this.#outgoing.splice(0)) {
      this.#charge(messageUs / 2 + this.#network.mpiUs);
      this.#perform(message, this.#clock + this.#network.wayUs);
    }
  }

  /** A worker does what a message says, as soon as it is there and the one before it is done. */
  #perform({ worker, tasks }: Message, arrival: number): void {
    const { wayUs, mpiUs } = this.#network;
    let now = Math.max(worker.freeAt, wakes(worker.freeAt, arrival, rankNap));
    worker.startsAt = now;
    now += mpiUs + WORKER_MESSAGE_US;
    let answers: number[] = [];
    const flush = (): void => {
      now += mpiUs + WORKER_MESSAGE_US;
      this.#inbox.push({ worker, tasks: answers }, now + wayUs, this.#posted++);
      worker.flushed = now;
      answers = [];
    };
    for (const task of tasks) {
      const length = this.#lengthOf(task);
      this.#given += length;
      now += WORKER_CALL_US + length;
      answers.push(task);
      if (now - worker.flushed > HELD_BACK_US) flush();
    }
    if (answers.length > 0) flush();
    worker.freeAt = now;
  }

  /** The work that was done until now: what was given out, without what is still to be done of it. */
  #worked(): number {
    let left = 0;
    for (const { startsAt, freeAt } of this.workers) {
      left += Math.max(0, freeAt - Math.max(startsAt, this.#clock));
    }
    return this.#given - left;
  }

  #lengthOf(task: number): number {
    const length = this.#lengths[task % this.#lengths.length]!;
    return task <= this.#begun ? length * this.#rest(task) : length;
  }

  /** What is left of a call that has begun some time ago, as a share of it. */
  #rest(task: number): number {
    return spread[(task * 7) % spread.length]!;
  }

  #charge(us: number): void {
    this.#clock += us;
    this.#busy += us;
  }

  /** Answers what every worker was asked. */
  #reply(asked: Kind, answer: Kind, content?: Encoded): void {
    for (const { worker, kind } of this.#asked.splice(0)) {
      if (kind !== asked) continue;
      this.#writer.write(answer, 0, 0, content);
      const { bytes, length, buffers } = this.#writer.take();
      worker.owner.onMessage(bytes, length, buffers);
    }
  }

  attach(): void {}
  hostOf(): string {
    return "worker";
  }

  rankOf(): null {
    return null;
  }

  disconnect(): void {}
  checkAlive(): void {}
  wait(): void {}
  wake(): void {}
  unref(): void {}
  close(): void {}
  poll(): boolean {
    return false;
  }

  /** What `calls` calls take of this process in truth, µs each, when all are answered at once. */
  async time(calls: number): Promise<number> {
    this.#envelopes = [];
    let start = performance.now();
    for (let i = 0; i < calls; i++) {
      this.#submitted++;
      void this.controller.submit(this.#fn!, ARGUMENTS, DEFAULT_TASK).get().then(ignore);
    }
    await null;
    let ms = performance.now() - start;
    while (this.#envelopes.length > 0) {
      const answers = this.#envelopes.splice(0).map((envelope) => this.#answerTo(envelope));
      start = performance.now();
      for (const { owner, bytes } of answers) owner.onMessage(bytes, bytes.length, []);
      for (const { owner } of answers) owner.onPause();
      await null;
      ms += performance.now() - start;
    }
    this.#envelopes = null;
    return (ms * 1000) / calls;
  }

  #answerTo({ worker, bytes }: Envelope): {
    readonly owner: LinkOwner;
    readonly bytes: Uint8Array;
  } {
    readFrames(bytes, bytes.length, [], ({ kind, task }) => {
      if (kind !== Kind.Call) return;
      this.#writer.write(Kind.Result, task, this.#lengthOf(task), this.#result);
    });
    const { bytes: answer, length } = this.#writer.take();
    return { owner: worker.owner, bytes: answer.slice(0, length) };
  }

  connect(_index: number, owner: LinkOwner): ControllerEnd {
    const worker = new ModelledWorker(owner, this.#onSend);
    this.workers.push(worker);
    return worker.link;
  }

  readonly #onSend = (worker: ModelledWorker, message: MessageWriter): void => {
    const { bytes, length, buffers } = message.take();
    if (this.#envelopes !== null) {
      this.#envelopes.push({ worker, bytes: bytes.slice(0, length) });
      return;
    }
    const tasks: number[] = [];
    readFrames(bytes, length, buffers, ({ kind, task }) => {
      if (kind === Kind.Call) tasks.push(task);
      else if (kind !== Kind.Function) this.#asked.push({ worker, kind: kind as Kind });
    });
    if (tasks.length > 0) this.#outgoing.push({ worker, tasks });
  };
}

/** Numbers from 0 to 1 in no order, all as frequent. */
const spread = Float64Array.from({ length: 1 << 16 }, (_, i) => (i * 0.618_033_988_749_895) % 1);

function encode(value: unknown): Encoded {
  const refuse = (): never => {
    throw new Error("no function or class is sent here");
  };
  const { format, body, buffers } = encodeValue(value, "model", {
    functionId: refuse,
    classOf: refuse,
  });
  return { format, body: body.slice(), buffers };
}

function ignore(): void {}

/** When somebody who waits since `from` sees what arrives at `at`; `nap` says how long he naps when. */
function wakes(from: number, at: number, nap: (quietUs: number) => number): number {
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
function controllerNap(quietUs: number): number {
  return Math.min(1_000 + quietUs / 10, LONGEST_NAP_US);
}

/** As in `worker/rank.ts`. */
function rankNap(quietUs: number): number {
  return quietUs >= 1_000_000 ? LONGEST_NAP_US : quietUs >= 20_000 ? 2_000 : 200;
}
