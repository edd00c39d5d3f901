import { follow, isDue, realTurn, turn } from "./clock.ts";
import { decodeList, encodeList } from "../../src/codec/lists.ts";
import { DEFAULT_TASK } from "../../src/scheduler/task.ts";
import { type Encoded, encodeValue } from "../../src/codec/value.ts";
import { Controller } from "../../src/controller/controller.ts";
import type { FunctionRecord } from "../../src/function/record.ts";
import { SPIN_US } from "../../src/job/job.ts";
import type { LinkOwner, ControllerEnd } from "../../src/link/link.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { END, MapRun } from "../../src/map/map-run.ts";
import { PENDING } from "../../src/map/outcomes.ts";
import { readMapOptions } from "../../src/map/settings.ts";
import { Kind, type Opening } from "../../src/wire/frames.ts";
import { readFrames } from "../../src/wire/reader.ts";
import { MessageWriter } from "../../src/wire/writer.ts";
import { newSession } from "../../src/wire/session.ts";
import {
  type Calls,
  controllerNap,
  ModelledWorker,
  type Network,
  type Reply,
  wakes,
  Workers,
} from "./workers.ts";

/**
 * The real controller, with its scheduler, its maps and its way of putting calls into messages, in a
 * world that is not: its links lead to workers that are numbers (`workers.ts`), over a network that is
 * one number, in a time that passes as the model says. All times are µs.
 *
 * The controller is one thread that is charged for what it does (`Costs`). Either side that waits spins
 * first and naps then, as ranks on different machines do.
 */

/** What the controller is charged. */
export interface Costs {
  /** A call: submitted, sent, settled, and its result awaited. */
  readonly callUs: number;
  /** A message out and one in, without what MPI takes for them. */
  readonly messageUs: number;
  /** A chunk of a map with one item in it: the same, and taken from the source, and read. */
  readonly chunkUs: number;
  /** Each further item of a chunk. */
  readonly itemUs: number;
  /** A turn of the event loop. */
  readonly turnUs: number;
}

/** Calls that the program makes one by one, or a map that puts them into chunks. */
export type Way = "calls" | "map";

/** What a run came to. */
export interface Point {
  readonly way: Way;
  readonly workers: number;
  readonly lengthUs: number;
  /** Time that workers spent in calls, as a share of all their time. */
  readonly efficiency: number;
  /** Time that the controller did not wait, as a share of all. */
  readonly load: number;
  readonly callsPerSecond: number;
  readonly callsPerMessage: number;
}

/** As in `link/mpi/hub.ts`: messages taken in before the event loop turns. */
const MOST_AT_ONCE = 64;

/** As in `scheduler.ts`: work that is sent to one worker at a time, where calls are short. */
const IN_FLIGHT_US = 50;

/** Besides what is in flight at a time, so that no worker ever waits for the program to make a call. */
const RESERVE = 256;

const ARGUMENTS = [1];

/** Microtasks after which a map has done what an answer leads to. */
const MICROTASKS = 6;

/** µs of items per worker before a map is measured, and while it is: some of the longest chunks; at least one. */
const EACH_US = 15_000;
const FEWEST = 20_000;
const MOST = 500_000;

/** The longest list of answers. */
const ZEROS: readonly number[] = new Array<number>(4_096).fill(0);

/** What the controller has sent to a worker. */
interface Outgoing {
  readonly worker: ModelledWorker;
  readonly calls: readonly Calls[];
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
  readonly #workers = new Workers((task) => this.#lengthOf(task));
  /** What the controller has sent and was not charged for yet. */
  #outgoing: Outgoing[] = [];
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
  #way: Way = "calls";

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
  #messages = 0;
  #costs: Costs = { callUs: 0, messageUs: 0, chunkUs: 0, itemUs: 0, turnUs: 0 };
  /** On `performance.now()`: when the modelled time began. */
  #base: number | null = null;

  constructor() {
    const limits = {
      tasksPerWorker: Infinity,
      memoryPerWorker: Infinity,
      queue: Infinity,
      concurrency: 1,
    };
    const drain = { signals: [], timeout: 0 };
    this.controller = new Controller(this, {
      ...{ limits, drain, unhandled: "ignore", task: DEFAULT_TASK },
    });
  }

  get size(): number {
    return this.#workers.all.length;
  }

  async open(workers: number): Promise<void> {
    const opened = this.controller.open(workers, null, 60_000);
    this.#reply(Kind.Open, Kind.Ready, this.#greeting);
    await opened;
  }

  async terminate(): Promise<void> {
    follow(null);
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
   * Calls of that length on all workers. One by one: whenever one is settled the program submits one more.
   * Or a map of an endless source. The first on each worker is as if it had begun some time ago, so that
   * they are out of step from the start.
   */
  async run(way: Way, lengthUs: number, network: Network, costs: Costs): Promise<Point> {
    this.use(lengthUs);
    this.#way = way;
    this.#workers.network = network;
    this.#costs = costs;
    const base = (this.#base ??= performance.now());
    follow(() => base + this.#clock / 1_000);
    this.#begun = this.#submitted + this.size;
    return way === "calls" ? await this.#runCalls(lengthUs) : await this.#runMap(lengthUs);
  }

  async #runCalls(lengthUs: number): Promise<Point> {
    const each = lengthUs < IN_FLIGHT_US ? 1 + Math.ceil(IN_FLIGHT_US / lengthUs) : 1;
    const open = this.size * each + RESERVE;
    const more = this.size / 2;
    const until = (settled: number) => this.#until(settled, open);
    const point = await this.#measure(
      lengthUs,
      Math.max(more, 5_000),
      Math.max(more, 10_000),
      until,
    );
    await this.#until(Infinity, 0);
    return point;
  }

  async #runMap(lengthUs: number): Promise<Point> {
    const item = { done: false, value: 1 };
    const next = (): typeof item => {
      // What was submitted before leaves before the next item is taken.
      this.#send();
      this.#charge(this.#costs.itemUs / 2);
      this.#open++;
      this.#submitted++;
      return item;
    };
    const map = this.#startMap({ next }, undefined, () => {});
    const each = Math.max(1, EACH_US / lengthUs);
    const items = Math.min(Math.max(this.size * each, FEWEST), Math.max(this.size, MOST));
    const until = (settled: number) => this.#until(settled, 0);
    const point = await this.#measure(lengthUs, items, items, until);
    void map.leave();
    await this.#until(Infinity, 0);
    this.#open = 0;
    return point;
  }

  /** Starts a map, which is read as fast as it can be; `chunk` is undefined where it chooses it itself. */
  #startMap(source: { next(): unknown }, chunk: number | undefined, onEnd: () => void): MapRun {
    const items = { [Symbol.iterator]: () => source };
    const options = chunk === undefined ? {} : { chunk };
    const settings = readMapOptions(options, DEFAULT_TASK, this.size);
    const call = { fn: this.#fn!, text: "f", items, isStar: false, settings };
    const read = (): void => {
      for (let outcome = run.read(); outcome !== PENDING; outcome = run.read()) {
        if (outcome === END) return;
      }
    };
    const run: MapRun = new MapRun(this.controller.items, call, read, onEnd);
    run.start();
    return run;
  }

  async #measure(
    lengthUs: number,
    warm: number,
    counted: number,
    until: (settled: number) => Promise<void>,
  ): Promise<Point> {
    const { size } = this;
    await until(this.#settled + warm);
    const start = this.#clock;
    const worked = this.#workers.worked(start);
    const [busy, settled, messages] = [this.#busy, this.#settled, this.#messages];
    await until(settled + counted);
    const us = this.#clock - start;
    const calls = this.#settled - settled;
    return {
      way: this.#way,
      workers: size,
      lengthUs,
      efficiency: (this.#workers.worked(this.#clock) - worked) / (us * size),
      load: (this.#busy - busy) / us,
      callsPerSecond: (calls / us) * 1e6,
      callsPerMessage: calls / (this.#messages - messages),
    };
  }

  /** Turns of the controller's event loop, until so many calls were settled in all, or none is open. */
  async #until(settled: number, open: number): Promise<void> {
    while (this.#settled < settled) {
      while (this.#open < open) this.#submit();
      // Where calls are sent in a microtask they are sent now.
      for (let i = 0; i < (this.#way === "map" ? MICROTASKS : 1); i++) await null;
      this.#send();
      if (this.#workers.nextArrival === Infinity && !isDue()) return;
      this.#turn();
    }
  }

  #submit(): void {
    this.#open++;
    this.#submitted++;
    void this.controller.calls.submit(this.#fn!, ARGUMENTS, DEFAULT_TASK);
    this.#send();
  }

  #turn(): void {
    const next = this.#workers.nextArrival;
    if (next > this.#clock && !isDue()) {
      this.#clock = wakes(this.#lastMoved, next, controllerNap);
    }
    this.#charge(this.#costs.turnUs);
    turn();
    const heard: ModelledWorker[] = [];
    while (heard.length < MOST_AT_ONCE && this.#workers.nextArrival <= this.#clock) {
      const reply = this.#workers.take();
      heard.push(reply.worker);
      this.#take(reply);
    }
    for (const worker of heard) worker.owner.onPause();
    this.#send();
    this.#lastMoved = this.#clock;
  }

  /** The controller receives answers. */
  #take({ worker, answers, isRecalled }: Reply): void {
    this.#charge(this.#workers.network.mpiUs + this.#costs.messageUs / 2);
    for (const { id, count, isList, elapsed } of answers) {
      this.#charge(this.#costOf(count) / 2);
      this.#open -= count;
      this.#settled += count;
      if (isList) this.#writer.write(Kind.Results, id, elapsed, encodeList(ZEROS, count));
      else this.#writer.write(Kind.Result, id, elapsed, this.#result);
    }
    if (isRecalled) this.#writer.write(Kind.Recalled, 0);
    this.#messages++;
    const { bytes, length, buffers } = this.#writer.take();
    worker.owner.onMessage(bytes, length, buffers);
  }

  /** What the controller has sent leaves it: after all calls of the batch were written, one by one. */
  #send(): void {
    if (this.#outgoing.length === 0) return;
    const outgoing = this.#outgoing.splice(0);
    const { mpiUs, wayUs } = this.#workers.network;
    // The items of a chunk were charged when they were taken.
    for (const { calls } of outgoing) this.#charge((calls.length * this.#costOf(1)) / 2);
    for (const { worker, calls } of outgoing) {
      this.#charge(this.#costs.messageUs / 2 + mpiUs);
      this.#workers.perform(worker, calls, this.#clock + wayUs);
    }
  }

  /** What calls that share a message cost beside that, from the first to the last of it. */
  #costOf(count: number): number {
    const { callUs, chunkUs, itemUs } = this.#costs;
    return this.#way === "calls" ? callUs : chunkUs + (count - 1) * itemUs;
  }

  #lengthOf(task: number): number {
    const length = this.#lengths[task % this.#lengths.length]!;
    return task <= this.#begun ? length * this.#rest(task) : length;
  }

  /**
   * What is left of a call that has begun some time ago, as a share of it. In a map at least half: by
   * those that end first, nearly at once, it would take all of them for short.
   */
  #rest(task: number): number {
    const share = spread[(task * 7) % spread.length]!;
    return this.#way === "map" ? (1 + share) / 2 : share;
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
    const us = await this.#time(() => {
      for (let i = 0; i < calls; i++) {
        this.#submitted++;
        void this.controller.calls.submit(this.#fn!, ARGUMENTS, DEFAULT_TASK).get().then(ignore);
      }
    });
    return us / calls;
  }

  /** The same of a map, in chunks of that size. */
  async timeMap(items: number, chunk: number): Promise<number> {
    let [taken, isOver] = [0, false];
    const next = (): { done: boolean; value: number } => {
      if (taken === items) return { done: true, value: 0 };
      taken++;
      this.#submitted++;
      return { done: false, value: taken };
    };
    const start = (): MapRun => this.#startMap({ next }, chunk, () => (isOver = true));
    let us = await this.#time(start);
    while (!isOver) us += await this.#time(ignore, realTurn);
    return us / items;
  }

  /** µs of what `deed` leads to; a `pause` before it does not count. */
  async #time(deed: () => unknown, pause?: () => Promise<void>): Promise<number> {
    this.#envelopes = [];
    await pause?.();
    let start = performance.now();
    deed();
    for (let i = 0; i < MICROTASKS; i++) await null;
    let ms = performance.now() - start;
    while (this.#envelopes.length > 0) {
      const answers = this.#envelopes.splice(0).map((envelope) => this.#answerTo(envelope));
      start = performance.now();
      for (const { owner, bytes } of answers) owner.onMessage(bytes, bytes.length, []);
      for (const { owner } of answers) owner.onPause();
      for (let i = 0; i < MICROTASKS; i++) await null;
      ms += performance.now() - start;
    }
    this.#envelopes = null;
    return ms * 1_000;
  }

  #answerTo({ worker, bytes }: Envelope): {
    readonly owner: LinkOwner;
    readonly bytes: Uint8Array;
  } {
    for (const { id, count, isList } of callsIn(bytes, bytes.length, [])) {
      const us = count * this.#lengthOf(id);
      if (isList) this.#writer.write(Kind.Results, id, us, encodeList(ZEROS, count));
      else this.#writer.write(Kind.Result, id, us, this.#result);
    }
    const { bytes: answer, length } = this.#writer.take();
    return { owner: worker.owner, bytes: answer.slice(0, length) };
  }

  connect(_index: number, owner: LinkOwner): ControllerEnd {
    const worker = new ModelledWorker(owner, this.#onSend);
    this.#workers.all.push(worker);
    return worker.link;
  }

  readonly #onSend = (worker: ModelledWorker, message: MessageWriter): void => {
    const { bytes, length, buffers } = message.take();
    if (this.#envelopes !== null) {
      this.#envelopes.push({ worker, bytes: bytes.slice(0, length) });
      return;
    }
    const asked = (kind: Kind): void => {
      if (kind === Kind.Recall) this.#workers.acknowledge(worker);
      else this.#asked.push({ worker, kind });
    };
    const calls = callsIn(bytes, length, buffers, asked);
    if (calls.length > 0) this.#outgoing.push({ worker, calls });
  };
}

/** The calls in a message to a worker. */
function callsIn(
  bytes: Uint8Array,
  length: number,
  buffers: Uint8Array[],
  onOther: (kind: Kind) => void = ignore,
): Calls[] {
  const calls: Calls[] = [];
  readFrames(bytes, length, buffers, (frame) => {
    const { kind, task: id } = frame;
    if (kind === Kind.Call) calls.push({ id, count: 1, isList: false });
    else if (kind === Kind.Calls) {
      const items = decodeList(frame.format, frame.bytes, frame.start, frame.end);
      calls.push({ id, count: items.length, isList: true });
    } else if (kind !== Kind.Function) onOther(kind as Kind);
  });
  return calls;
}

/** Numbers from 0 to 1 in no order, all as frequent: neighbours are independent, as are sums of them. */
const spread = shuffled(Float64Array.from({ length: 1 << 16 }, (_, i) => i / (1 << 16)));

function shuffled(numbers: Float64Array): Float64Array {
  let state = 1;
  for (let i = numbers.length - 1; i > 0; i--) {
    state = (state * 48_271) % 2_147_483_647;
    const j = state % (i + 1);
    [numbers[i], numbers[j]] = [numbers[j]!, numbers[i]!];
  }
  return numbers;
}

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
