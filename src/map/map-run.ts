import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { performance, queueMicrotask, setImmediate } from "../os/natives.ts";
import type { Chunk, Items, ItemSink } from "../scheduler/chunk.ts";
import type { KnownFunction } from "../scheduler/estimates.ts";
import { Flow } from "./flow.ts";
import { LiveChunks } from "./live-chunks.ts";
import { openCheckpoint } from "./kept-results.ts";
import type { MapCall, MapPool } from "./map-call.ts";
import { type AddedItem, GatheredItems } from "./gathered-items.ts";
import { Failure, Outcomes, PENDING } from "./outcomes.ts";
import { QueuePlaces } from "./queue-places.ts";
import { UnreadBytes } from "./unread-bytes.ts";
import { Source } from "./source.ts";
import type { MapSettings } from "./settings.ts";

/** Of a map that has come to its end. */
export const END = Symbol("end");

/** ms for which items are taken in a row: then messages are looked for. */
const SLICE_MS = 1;

/** Items taken between two looks at the clock. */
const UNTIMED = 64;

/**
 * A map from its first item to its last outcome. It takes items from the source as long as workers
 * could use them and there is place for their outcomes, puts them into chunks, and keeps what comes
 * back for the reader. Nothing of it waits for the reader but the source.
 */
export class MapRun implements ItemSink {
  readonly #pool: MapPool;
  readonly #settings: MapSettings;
  readonly #fn: KnownFunction;
  readonly #source: Source;
  readonly #onOutcome: () => void;
  readonly #onEnd: () => void;
  readonly #outcomes = new Outcomes();
  readonly #flow: Flow;
  readonly #openCheckpoint: () => Checkpoint | null;
  #checkpoint: Checkpoint | null = null;
  readonly #chunks: LiveChunks;
  /** Items of the source, by `settled`, until their outcomes are there. */
  readonly #items = new Map<number, unknown>();
  /** Items taken; outcomes that are there, in the order of their arrival. */
  #taken = 0;
  arrived = 0;
  failures = 0;
  cancelled = 0;
  #unsettled = 0;
  readonly #unread: UnreadBytes;
  /** No item is taken any more: the source has ended, or the map has. */
  #isDry = false;
  /** The first item that is known to have failed. */
  #failedAt = Infinity;
  /** What the reader gets after the last outcome. */
  #last: Failure | null = null;
  #isOver = false;
  readonly #gathered: GatheredItems;
  readonly #places: QueuePlaces;
  /** No more items were taken since so many are in flight. */
  #isHeld = false;
  #isPumpDue = false;
  #isTold = false;

  /**
   * `onOutcome` is called, later, when `read` may give more; `onEnd` when the map has come to its
   * end.
   */
  constructor(pool: MapPool, call: MapCall, onOutcome: () => void, onEnd: () => void) {
    this.#pool = pool;
    this.#chunks = new LiveChunks(pool);
    this.#settings = call.settings;
    this.#unread = new UnreadBytes(call.settings.settled);
    this.#fn = pool.known(call.fn);
    this.#gathered = new GatheredItems(pool, call.isStar);
    this.#onOutcome = onOutcome;
    this.#onEnd = onEnd;
    this.#source = new Source(call.items, this.#pumpSoon);
    this.#flow = new Flow(pool, call.settings, this.#source.size);
    this.#places = new QueuePlaces(pool, this.#pumpSoon);
    this.#openCheckpoint = () => openCheckpoint(call, (error) => this.#break(error));
  }

  start(): void {
    const { signal } = this.#settings;
    signal?.addEventListener("abort", this.#onAbort);
    if (signal?.aborted) return this.#onAbort();
    if (this.#pool.refusal(this.#fn) !== null) return this.#pump();
    try {
      this.#checkpoint = this.#openCheckpoint();
    } catch (error) {
      return this.#break(error);
    }
    this.#pump();
  }

  /** The next outcome: a value, a `Failure`; `PENDING`, or `END`. */
  read(): unknown {
    if (this.#isOver) return this.#takeLast();
    const outcome = this.#outcomes.take();
    if (outcome === PENDING) {
      if (!this.#isDry || this.#outcomes.next < this.#taken) return PENDING;
      this.#end();
      return this.#takeLast();
    }
    this.#unread.take(outcome);
    if (outcome instanceof Failure) {
      this.#pool.told(this.#fn, outcome.error);
      this.#end();
      this.#last = null;
    } else if (this.#isHeld && this.#room >= this.#flow.refill) this.#pumpSoon();
    return outcome;
  }

  /** The pool takes no more calls: the reader gets what was taken, then `error`. */
  stop(error: unknown): void {
    if (this.#isDry) return;
    this.#isDry = true;
    this.#last = new Failure(error);
    this.#submit();
    this.#tell();
  }

  /** The reader has gone: resolves when the source is closed. */
  async leave(): Promise<void> {
    this.#last = null;
    this.#end();
    await this.#source.close();
    const failure = this.#takeLast();
    if (failure instanceof Failure) throw failure.error;
  }

  /** For each item that has returned. */
  done(index: number, value: unknown): void {
    this.#unsettled--;
    if (this.#isOver) return;
    try {
      this.#checkpoint?.add(index, value);
    } catch (error) {
      return this.#break(error);
    }
    this.#deliver(index, value);
  }

  doneAll(index: number, values: readonly unknown[]): void {
    const { ordered, settled } = this.#settings;
    if (this.#isOver || settled || this.#checkpoint !== null) {
      for (let i = 0; i < values.length; i++) this.done(index + i, values[i]);
      return;
    }
    this.#unsettled -= values.length;
    this.#outcomes.putAll(ordered ? index : this.arrived, values);
    this.arrived += values.length;
    this.#flow.weigh(values.length, this.#unread.add(values));
    if (!this.#isDry) this.#pumpSoon();
    this.#tell();
  }

  #deliver(index: number, value: unknown): void {
    const { settled } = this.#settings;
    this.#put(index, settled ? { status: "fulfilled", value, ...this.#itemAt(index) } : value);
  }

  failed(index: number, count: number, error: unknown): void {
    this.#unsettled -= count;
    for (let i = index; i < index + count && !this.#isOver; i++) this.#fail(i, error);
  }

  took(count: number, elapsed: number): void {
    this.#flow.observe(count, elapsed);
  }

  split(part: Chunk): void {
    this.#chunks.add(part);
  }

  #itemAt(index: number): { index: number; item: unknown } {
    const item = this.#items.get(index);
    this.#items.delete(index);
    return { index, item };
  }

  #fail(index: number, error: unknown): void {
    if (this.#failedAt === Infinity) this.failures++;
    else this.cancelled++;
    this.#checkpoint?.drop(index);
    if (this.#settings.settled) {
      return this.#put(index, { status: "rejected", reason: error, ...this.#itemAt(index) });
    }
    this.#put(index, new Failure(error));
    if (index >= this.#failedAt) return;
    this.#failedAt = index;
    this.#isDry = true;
    this.#gathered.takeAll();
    // Without an order, too: all that arrives from here on comes after the failure.
    this.#chunks.cancelFrom(this.#settings.ordered ? index : 0);
  }

  #put(index: number, outcome: unknown): void {
    this.#outcomes.put(this.#settings.ordered ? index : this.arrived, outcome);
    this.arrived++;
    this.#flow.weigh(1, this.#unread.add([outcome]));
    if (!this.#isDry) this.#pumpSoon();
    this.#tell();
  }

  #tell(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    queueMicrotask(this.#onTold);
  }

  readonly #onTold = (): void => {
    this.#isTold = false;
    this.#onOutcome();
  };

  readonly #pumpSoon = (): void => {
    if (this.#isPumpDue || this.#isDry) return;
    this.#isPumpDue = true;
    queueMicrotask(this.#onPump);
  };

  readonly #onPump = (): void => {
    this.#isPumpDue = false;
    this.#pump();
  };

  /** Takes items as long as they are of use. */
  #pump(): void {
    if (this.#isOver) return;
    const refusal = this.#pool.refusal(this.#fn);
    if (refusal !== null) return this.stop(refusal.error);
    const until = performance.now() + SLICE_MS;
    for (;;) {
      const left = this.#takeUpTo(Math.min(this.#useful(), UNTIMED));
      if (this.#isDry || left !== "more") break;
      if (performance.now() > until) return this.#goOnLater();
    }
    this.#places.endTurn();
    // Other items may be long in coming: a worker that has nothing to do gets what is there.
    const mayIdle = this.#unsettled < this.#pool.workers;
    if (this.#isDry || mayIdle || this.#room <= 0) this.#submit();
    if (this.#isDry) this.#tell();
  }

  /** Takes as many items; "enough" if that is none, "wait" if the next has yet to come. */
  #takeUpTo(count: number): "more" | "enough" | "wait" {
    if (count <= 0) return "enough";
    for (let i = 0; i < count && !this.#isDry; i++) {
      const taken = this.#source.take();
      if (taken === "wait") return "wait";
      if (taken === "item") this.#takeItem(this.#source.taken);
      else this.#runDry(taken === "failed");
    }
    return "more";
  }

  /** Items would only be taken: their worker comes first. */
  #goOnLater(): void {
    this.#places.endTurn();
    this.#isPumpDue = true;
    setImmediate(this.#onPump);
  }

  /** How many items would soon be with a worker, and have place for their outcomes. */
  #useful(): number {
    if (this.#isDry) return 0;
    const room = this.#room;
    this.#isHeld = room <= 0;
    const useful = Math.min(room, this.#flow.ahead - this.#unsettled - this.#gathered.count);
    return useful <= 0 ? useful : Math.min(useful, this.#places.free);
  }

  /** How many more items may be in flight. */
  get #room(): number {
    return this.#flow.room(this.#taken - this.#outcomes.next, this.#unread.bytes);
  }

  /** The checkpoint may refuse an item: that is a failure at its place, as one of the source is. */
  #takeItem(item: unknown): void {
    try {
      this.#gather(item);
    } catch (error) {
      this.#isDry = true;
      this.#submit();
      this.#failAtEnd(error);
    }
  }

  /** A failure behind all that was taken: without an order, it comes before what still runs. */
  #failAtEnd(error: unknown): void {
    const { ordered, settled } = this.#settings;
    if (ordered || settled) this.#last = new Failure(error);
    else this.#put(this.#taken, new Failure(error));
  }

  #gather(item: unknown): void {
    const stored = this.#checkpoint?.take(item, this.#taken) ?? null;
    const index = this.#taken++;
    const gathered = this.#gathered;
    if (this.#settings.settled) this.#items.set(index, item);
    if (stored !== null) {
      this.#submit();
      return this.#deliver(index, stored.value);
    }
    let added: AddedItem;
    try {
      added = gathered.prepare(item, index);
    } catch (error) {
      this.#submit();
      return this.#fail(index, error);
    }
    if (!gathered.takes(added)) this.#submit();
    if (gathered.count === 0) gathered.begin(index, this.#flow.nextSize(index));
    gathered.add(added);
    if (!gathered.isFull) return;
    this.#flow.packed(gathered.count, gathered.isLarge);
    this.#submit();
  }

  /** Submits the items that were gathered. */
  #submit(): void {
    const { count, index } = this.#gathered;
    // The source may have ended the map itself, by its signal.
    if (count === 0 || this.#isOver) return;
    const items = this.#gathered.takeAll();
    this.#unsettled += count;
    try {
      const chunk = this.#pool.submit(this.#fn, this.#settings.task, this, index, items);
      this.#chunks.add(chunk);
    } catch (error) {
      return this.failed(index, count, error);
    }
  }

  /** The source has ended, or has thrown: that is a failure at its place. */
  #runDry(hasFailed: boolean): void {
    const error = this.#source.taken;
    this.#isDry = true;
    if (!hasFailed) return;
    this.#submit();
    this.#failAtEnd(error);
  }

  readonly #onAbort = (): void => this.#break(this.#settings.signal!.reason);

  /** Ends it by an error that comes before all outcomes that are not read. */
  #break(error: unknown): void {
    if (this.#isOver) return;
    this.#last = new Failure(error);
    this.#end();
    this.#tell();
  }

  #takeLast(): Failure | typeof END {
    const last = this.#last;
    this.#last = null;
    return last ?? END;
  }

  /** Nothing of it is wanted any more. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isDry = true;
    this.#gathered.takeAll();
    this.#settings.signal?.removeEventListener("abort", this.#onAbort);
    this.#chunks.cancelFrom(0);
    // The reader is told of the failure, and not of one of the source's `return` after that.
    this.#source.close().catch(() => {});
    try {
      this.#checkpoint?.close();
    } catch (error) {
      this.#last ??= new Failure(error);
    }
    this.#onEnd();
  }
}
