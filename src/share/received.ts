import { type DecodeContext, decodeValue, type Encoded, type EncodedAt } from "../codec/value.ts";
import { textOf, ValueError } from "../errors.ts";
import { setImmediate } from "../os/natives.ts";
import { residentOfFiles } from "../os/proc.ts";
import { Kind } from "../wire/frames.ts";
import { forgetRecycled, type Frame, recycle } from "../wire/reader.ts";
import { bytesOfLayout, type Layout } from "./layout.ts";
import { type HeldNotice, readShareNotice } from "./notices.ts";
import { idOfShared, Shared, type SharedOwner } from "./shared.ts";
import type { FilePlace } from "../os/shared-file.ts";
import { FileStore, HeapStore, makeStore, type Store } from "./store.ts";

/** What the received values need of their session. */
export interface ReceivedParts {
  readonly decoding: DecodeContext;
  decode(frame: EncodedAt): unknown;
  /** Tells the controller. */
  answer(id: number, notice: HeldNotice): void;
  /** Calls that had to wait for a value may begin. */
  onArrived(): void;
}

/** A value as this worker has it. */
interface Entry {
  readonly shared: Shared<unknown>;
  store: Store | null;
  /** A small value, until it is decoded. */
  content: Encoded | null;
  decoded: { readonly value: unknown } | null;
  /** Why this worker cannot have it. */
  refusal: string | null;
  /** Bytes that are still to come; null once all are there. */
  missing: number | null;
}

/** From this size on memory that is let go is worth a collection. */
const LARGE_BYTES = 8 * 2 ** 20;

/** The values that a pool has shared with one of its workers. */
export class ReceivedShares implements SharedOwner {
  readonly #parts: ReceivedParts;
  readonly #entries = new Map<number, Entry>();
  /** Those that are on their way. */
  #arriving = 0;

  constructor(parts: ReceivedParts) {
    this.#parts = parts;
  }

  /** Whether a value is on its way that calls may ask for: none begins before it is there. */
  get isArriving(): boolean {
    return this.#arriving > 0;
  }

  /** Bytes resident in this process that it has in common with others, at most. */
  get commonBytes(): number {
    let bytes = 0;
    for (const { store, decoded } of this.#entries.values()) {
      if (store !== null && store.place !== null && decoded !== null)
        bytes += bytesOfLayout(store.layout);
    }
    // It need not have looked at all of them, and what it has written to is its own.
    return bytes === 0 ? 0 : Math.min(bytes, residentOfFiles());
  }

  /** A frame about a shared value. */
  take(frame: Frame): void {
    if (frame.kind === Kind.Share) this.#announce(frame.task, this.#parts.decode(frame));
    else if (frame.kind === Kind.SharePart) this.#add(frame);
    else this.#forget(frame.task);
  }

  /** The number of a value that was shared with this worker; null for any other value. */
  idOf(value: object): number | null {
    return idOfShared(value, this);
  }

  /** The shared value of that number, freed or not: the same object while it is there. */
  sharedOf(id: number): Shared<unknown> {
    return this.#entries.get(id)?.shared ?? new Shared(id, this);
  }

  valueOf(id: number): unknown {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw unreadable(id, "it was freed before this task asked for it");
    if (entry.refusal !== null) throw unreadable(id, entry.refusal);
    if (entry.missing !== null) throw unreadable(id, "it is still on its way to this worker");
    if (entry.decoded === null) {
      const content = entry.content ?? entry.store!.read();
      entry.decoded = { value: decodeValue(content, this.#parts.decoding) };
    }
    return entry.decoded.value;
  }

  /** Lets go what this process has, where it can be had again. */
  free(id: number): void {
    const entry = this.#entries.get(id);
    if (entry?.decoded == null) return;
    if (entry.store !== null && entry.store.place === null) return;
    entry.decoded = null;
    if (entry.store !== null) collect(entry.store.layout);
  }

  digestOf(id: number): number {
    return id;
  }

  /** The pool is over. */
  end(): void {
    for (const id of [...this.#entries.keys()]) this.#forget(id);
  }

  #announce(id: number, value: unknown): void {
    const notice = readShareNotice(value);
    if (notice === null) return;
    const entry = this.#entryOf(id);
    switch (notice.kind) {
      case "carried":
        entry.content = notice.content;
        return;
      case "coming":
        return this.#await(entry, notice.layout);
      case "placed":
        return this.#open(id, entry, notice.layout, notice.place);
      case "sent":
        return this.#receive(id, entry, notice.layout, notice.mayShare);
    }
  }

  #entryOf(id: number): Entry {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      const shared = new Shared<unknown>(id, this);
      entry = { shared, store: null, content: null, decoded: null, refusal: null, missing: null };
      this.#entries.set(id, entry);
    }
    return entry;
  }

  /** The memory of another process; where it cannot be opened, the value is going to be sent. */
  #open(id: number, entry: Entry, layout: Layout, place: FilePlace): void {
    entry.store = FileStore.open(layout, place);
    if (entry.store === null) {
      this.#await(entry, layout);
      return this.#parts.answer(id, { kind: "unopened" });
    }
    this.#parts.answer(id, { kind: "held", place: entry.store.place });
    if (entry.missing !== null) this.#arrived(entry);
  }

  #receive(id: number, entry: Entry, layout: Layout, mayShare: boolean): void {
    this.#await(entry, layout);
    try {
      entry.store = mayShare ? makeStore(layout) : new HeapStore(layout);
    } catch (error) {
      this.#refuse(id, entry, error);
    }
  }

  /** There is no memory for it, or not for all of it. */
  #refuse(id: number, entry: Entry, error: unknown): void {
    const reason = textOf(error);
    entry.refusal = `this worker has no memory for it: ${reason}`;
    entry.store?.close();
    entry.store = null;
    this.#parts.answer(id, { kind: "refused", reason });
    this.#arrived(entry);
  }

  #await(entry: Entry, { sizes }: Layout): void {
    if (entry.missing === null) this.#arriving++;
    entry.missing = sizes.reduce((sum, size) => sum + size, 0);
  }

  /** A part of a value has come: `number` is its segment, the body its place there. */
  #add(frame: Frame): void {
    const { task: id, number: segment, buffers } = frame;
    const entry = this.#entries.get(id);
    const at = this.#parts.decode(frame);
    const [bytes] = buffers;
    // There was no memory for it, or it was freed meanwhile.
    if (entry === undefined || entry.missing === null || entry.store === null) return;
    if (bytes === undefined || typeof at !== "number") return;
    try {
      entry.store.write(segment, at, bytes);
    } catch (error) {
      return this.#refuse(id, entry, error);
    }
    entry.missing -= bytes.length;
    if (entry.missing > 0) return recycle(bytes);
    this.#parts.answer(id, { kind: "held", place: entry.store.place });
    this.#arrived(entry);
  }

  /** It is here, or does not come any more. */
  #arrived(entry: Entry): void {
    entry.missing = null;
    forgetRecycled();
    if (--this.#arriving === 0) this.#parts.onArrived();
  }

  #forget(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    const { store, decoded } = entry;
    store?.close();
    if (store !== null && decoded !== null) collect(store.layout);
    if (entry.missing !== null) this.#arrived(entry);
  }
}

function unreadable(id: number, why: string): ValueError {
  return new ValueError(`Cannot read a shared value: ${why} (shared value ${id} of its pool)`);
}

/**
 * The memory of arrays is given back when they are collected, and a worker that is idle may not
 * collect for long.
 */
export function collect(layout: Layout): void {
  if (bytesOfLayout(layout) >= LARGE_BYTES) setImmediate(() => Bun.gc(true));
}
