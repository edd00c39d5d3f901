import type { Encoded } from "../codec/value.ts";
import { PoolClosedError, textOf, ValueError } from "../errors.ts";
import type { FunctionRecord } from "../function/record.ts";
import { ownIdentity } from "../os/identity.ts";
import { codeOf } from "../os/nameless.ts";
import type { FilePlace } from "../os/shared-file.ts";
import { Kind } from "../wire/frames.ts";
import { digestOf, textOrName } from "./digest.ts";
import { isSmall, layoutOf, partsOf } from "./layout.ts";
import type { HeldNotice, ShareNotice } from "./notices.ts";
import { collect } from "./received.ts";
import { idOfShared, Shared, type SharedOwner } from "./shared.ts";
import { makeStore, type Refusals, type Store } from "./store.ts";

/** A worker that serves. */
export interface Peer {
  /** Its pid space: the processes of one can open each other's files. Empty if unknown. */
  readonly space: string;
  readonly isIdle: boolean;
  /** For messages. */
  readonly name: string;
  /** Sends a frame, and keeps the content only until this returns, but for its buffers. */
  send(kind: Kind, id: number, number: number, content: Encoded): void;
  /** Sends functions before a value that holds them. */
  define(functions: readonly FunctionRecord[]): void;
}

/** What the shared values need of their pool. */
export interface PoolSharesParts {
  /** Encodes into memory of its own, but for large buffers. */
  encodeValue(value: unknown): Encoded & { readonly functions: readonly FunctionRecord[] };
  /** Encodes what is sent at once. */
  encode(value: unknown): Encoded;
  /** The workers that serve, or are about to. */
  peers(): readonly Peer[];
  /** Sends what was written. */
  flush(): void;
  /** Resolves when the condition holds, which is checked at each `changed`. */
  wait(condition: () => boolean): Promise<void>;
  /** What the condition looks at has changed. */
  changed(): void;
}

/** Bytes of a part that is sent: a link has a few of them on their way at a time. */
const PART_BYTES = 4 * 2 ** 20;

/** Where the processes of another host have a value. */
interface HostCopy {
  /** The worker that it was sent to, until it has it. */
  receiver: Peer | null;
  /** The workers that have it open. */
  readonly holders: Map<Peer, FilePlace>;
  /** No process there can share it: each is sent its own. */
  isApart: boolean;
}

interface Entry {
  readonly id: number;
  readonly shared: Shared<unknown>;
  readonly value: unknown;
  readonly functions: readonly FunctionRecord[];
  /** The numbers of the shared values that it holds. */
  readonly inner: ReadonlySet<number>;
  /** A small value, which is sent as it is; else null. */
  readonly content: Encoded | null;
  store: Store | null;
  /** All of it is in the memory. */
  isFilled: boolean;
  readonly copies: Map<string, HostCopy>;
  /** The workers that were told of it. */
  readonly told: Set<Peer>;
  /** The workers that were told that it comes, and begin no call before. */
  readonly warned: Set<Peer>;
  /** The program has it: tasks may ask for it. */
  isOut: boolean;
  /** The workers that it is being sent to. */
  readonly awaited: Set<Peer>;
  /** Of its content, once somebody has asked for it. */
  digest: number | null;
  /** Why a worker cannot have it. */
  refusal: string | null;
}

/**
 * The values that a pool has shared. Each lies in memory of the controller's machine, which workers
 * of that machine map; on another machine one worker receives it, and the others map it from there.
 */
export class PoolShares implements SharedOwner {
  readonly #parts: PoolSharesParts;
  readonly #entries = new Map<number, Entry>();
  readonly #space = ownIdentity().pidSpace;
  #last = 0;
  /** The numbers of those that are met while a value is encoded that is to be shared. */
  #met: Set<number> | null = null;
  #isOver = false;

  constructor(parts: PoolSharesParts) {
    this.#parts = parts;
  }

  /** Functions that shared values hold: workers do not forget them. */
  *functions(): Iterable<FunctionRecord> {
    for (const { functions } of this.#entries.values()) yield* functions;
  }

  /** Shares a value; resolves when each host has it. */
  async share(value: unknown): Promise<Shared<unknown>> {
    const entry = this.#add(value);
    await this.#parts.wait(() => this.#isOver || this.#isSpread(entry));
    if (entry.refusal !== null) {
      this.free(entry.id);
      throw new ValueError(`Cannot share a value: ${entry.refusal}`);
    }
    if (this.#isOver) {
      throw new PoolClosedError(
        "Cannot share a value: the pool was closed before each host had it",
      );
    }
    entry.isOut = true;
    return entry.shared;
  }

  #add(value: unknown): Entry {
    const inner = new Set<number>();
    const encoded = this.#encode(value, inner);
    const isCarried = isSmall(encoded);
    const id = ++this.#last;
    const entry: Entry = {
      ...{ id, value, shared: new Shared<unknown>(id, this), functions: encoded.functions },
      inner,
      content: isCarried ? encoded : null,
      ...{ store: isCarried ? null : storeFor(encoded), isFilled: isCarried },
      ...{ copies: new Map(), told: new Set(), warned: new Set(), awaited: new Set() },
      ...{ isOut: false, digest: null, refusal: null },
    };
    this.#entries.set(id, entry);
    if (!isCarried) this.#fillOrForget(entry, encoded);
    return entry;
  }

  #encode(value: unknown, inner: Set<number>): ReturnType<PoolSharesParts["encodeValue"]> {
    // A getter of it may share another one.
    const outer = this.#met;
    this.#met = inner;
    try {
      return this.#parts.encodeValue(value);
    } finally {
      this.#met = outer;
    }
  }

  #fillOrForget(entry: Entry, encoded: Encoded): void {
    try {
      this.#fill(entry, encoded);
    } catch (cause) {
      this.free(entry.id);
      throw noMemory(cause);
    }
  }

  /**
   * Writes a value into its memory. While one part is written here, the one before it is received
   * elsewhere.
   */
  #fill(entry: Entry, encoded: Encoded): void {
    this.#spread(entry);
    const receivers = [...entry.awaited];
    const all = [...partsOf(encoded).entries()].flatMap(([i, bytes]) => cut(i, bytes));
    const refusals: Refusals = new Map();
    for (let next = 0, sent = 0; next < all.length; next++) {
      const { segment, at, bytes } = all[next]!;
      try {
        entry.store!.write(segment, at, bytes);
      } catch (error) {
        if (entry.store!.folder === "") throw error;
        // The room it had is gone meanwhile: once more, elsewhere.
        refusals.set(entry.store!.folder, textOf(error));
        entry.store!.close();
        entry.store = makeStore(entry.store!.layout, refusals);
        next = -1;
        continue;
      }
      if (next < sent) continue;
      sent++;
      for (const peer of receivers) this.#sendPart(entry, peer, segment, at, bytes.length);
    }
    entry.isFilled = true;
  }

  /** The number of a value of this pool's; null for any other value. */
  idOf(value: object): number | null {
    const id = idOfShared(value, this);
    if (id !== null) this.#met?.add(id);
    return id;
  }

  /** The shared value of that number. */
  sharedOf(id: number): Shared<unknown> {
    return this.#entries.get(id)?.shared ?? new Shared(id, this);
  }

  valueOf(id: number): unknown {
    const entry = this.#entries.get(id);
    if (entry !== undefined) return entry.value;
    const why = this.#isOver ? "its pool is over" : "it was freed";
    throw new ValueError(`Cannot read a shared value: ${why} (shared value ${id} of its pool)`);
  }

  digestOf(id: number): number {
    const entry = this.#entries.get(id);
    if (entry === undefined) return id;
    return (entry.digest ??= this.#digestOf(entry));
  }

  #digestOf({ content, store, inner, functions }: Entry): number {
    const parts =
      content === null ? store!.layout.sizes.map((_, i) => store!.view(i)) : partsOf(content);
    // In it functions, and the shared values that it holds, are numbers, which say nothing.
    const held = [...inner].map((id) => `${this.digestOf(id)}`);
    return digestOf([...parts, ...held, ...functions.map(textOrName)]);
  }

  free(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    for (const peer of this.#parts.peers()) {
      if (entry.told.has(peer) || entry.warned.has(peer)) peer.send(Kind.Unshare, id, 0, NOTHING);
    }
    this.#parts.flush();
    this.#close(entry);
  }

  /** The pool is over. */
  end(): void {
    this.#isOver = true;
    for (const entry of this.#entries.values()) this.#close(entry);
    this.#entries.clear();
    this.#parts.changed();
  }

  #close({ store, copies }: Entry): void {
    if (store === null) return;
    store.close();
    // Parts of it were sent from a mapping.
    if (copies.size > 0) collect(store.layout);
  }

  /** A worker serves: it is told before its first call. */
  onMet(): void {
    for (const entry of this.#entries.values()) this.#spread(entry);
  }

  /** A worker has told what became of a value. */
  onHeld(peer: Peer, id: number, notice: HeldNotice): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const copy = entry.copies.get(hostOf(peer));
    if (notice.kind === "unopened") {
      this.#sendTo(entry, peer, true);
      return this.#parts.flush();
    }
    entry.awaited.delete(peer);
    if (notice.kind === "refused") {
      entry.refusal ??= `${peer.name} has no memory for it: ${notice.reason}`;
    } else if (copy !== undefined) {
      if (notice.place !== null) copy.holders.set(peer, notice.place);
      else if (copy.receiver === peer) copy.isApart = true;
    }
    if (copy?.receiver === peer) copy.receiver = null;
    this.#spread(entry);
    this.#parts.flush();
    this.#parts.changed();
  }

  #isSpread(entry: Entry): boolean {
    this.#spread(entry);
    this.#parts.flush();
    return entry.refusal !== null || entry.awaited.size === 0;
  }

  /** Tells those workers of a value that can have it now; none of one that is about to be freed. */
  #spread(entry: Entry): void {
    if (entry.refusal !== null && !entry.isOut) return;
    const peers = this.#parts.peers();
    this.#forgetLost(entry, new Set(peers));
    const untold = peers.filter((peer) => !entry.told.has(peer));
    // A worker that runs a call may not receive before that is over.
    const idleFirst = untold.sort((a, b) => Number(b.isIdle) - Number(a.isIdle));
    for (const peer of idleFirst) this.#tell(entry, peer);
  }

  #forgetLost({ told, warned, awaited, copies }: Entry, peers: ReadonlySet<Peer>): void {
    const isLost = (peer: Peer): boolean => !peers.has(peer);
    for (const set of [told, warned, awaited]) {
      for (const peer of set) if (isLost(peer)) set.delete(peer);
    }
    for (const [host, { receiver, holders, isApart }] of copies) {
      for (const peer of holders.keys()) if (isLost(peer)) holders.delete(peer);
      const isComing = receiver !== null && !isLost(receiver);
      if (!isComing && holders.size === 0 && !isApart) copies.delete(host);
    }
  }

  #tell(entry: Entry, peer: Peer): void {
    const { content, store } = entry;
    if (content !== null) return this.#announce(entry, peer, { kind: "carried", content });
    const { layout, place } = store!;
    if (!entry.isFilled && (peer.space === this.#space || entry.copies.has(hostOf(peer)))) return;
    if (place !== null && peer.space === this.#space && this.#space !== "") {
      return this.#announce(entry, peer, { kind: "placed", layout, place });
    }
    const host = hostOf(peer);
    const copy = entry.copies.get(host);
    if (copy === undefined) {
      // Where the controller's own machine has no such memory nobody else looks for it.
      const isApart = place === null && this.#space !== "" && peer.space === this.#space;
      const receiver = isApart ? null : peer;
      entry.copies.set(host, { receiver, holders: new Map(), isApart });
      return this.#sendTo(entry, peer, !isApart);
    }
    const [held] = copy.holders.values();
    if (held !== undefined) {
      return this.#announce(entry, peer, { kind: "placed", layout, place: held });
    }
    if (copy.isApart) return this.#sendTo(entry, peer, false);
    if (!entry.isOut || entry.warned.has(peer)) return;
    entry.warned.add(peer);
    peer.send(Kind.Share, entry.id, 0, this.#parts.encode({ kind: "coming", layout }));
  }

  #announce(entry: Entry, peer: Peer, notice: ShareNotice): void {
    entry.told.add(peer);
    if (entry.functions.length > 0) peer.define(entry.functions);
    peer.send(Kind.Share, entry.id, 0, this.#parts.encode(notice));
  }

  /** Sends the value itself, in parts; those that are still to be written follow then. */
  #sendTo(entry: Entry, peer: Peer, mayShare: boolean): void {
    const { layout } = entry.store!;
    entry.awaited.add(peer);
    this.#announce(entry, peer, { kind: "sent", layout, mayShare });
    if (!entry.isFilled) return;
    for (const [i, bytes] of layout.sizes.entries()) {
      for (let at = 0; at < bytes; at += PART_BYTES) {
        this.#sendPart(entry, peer, i, at, Math.min(PART_BYTES, bytes - at));
      }
    }
  }

  /** Each is a message of its own. */
  #sendPart(entry: Entry, peer: Peer, segment: number, at: number, bytes: number): void {
    const buffers = [entry.store!.view(segment).subarray(at, at + bytes)];
    peer.send(Kind.SharePart, entry.id, segment, { ...this.#parts.encode(at), buffers });
    this.#parts.flush();
  }
}

/** A part of a value. */
interface Part {
  readonly segment: number;
  readonly at: number;
  readonly bytes: Uint8Array;
}

function cut(segment: number, bytes: Uint8Array): Part[] {
  const parts: Part[] = [];
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    parts.push({ segment, at, bytes: bytes.subarray(at, at + PART_BYTES) });
  }
  return parts;
}

const NOTHING: Encoded = { format: 0, body: new Uint8Array(0), buffers: [] };

/** What names the machine of a worker: of one that knows no other, itself. */
function hostOf({ space, name }: Peer): string {
  return space === "" ? name : space;
}

/** Memory for a value. */
function storeFor(encoded: Encoded): Store {
  try {
    return makeStore(layoutOf(encoded));
  } catch (cause) {
    throw noMemory(cause);
  }
}

function noMemory(cause: unknown): ValueError {
  const isFull = /^E[MN]FILE$/.test(codeOf(cause));
  const why = isFull
    ? "each takes one of the files that a process may have open; free others first, or join them"
    : "there is no memory for it";
  return new ValueError(`Cannot share a value: ${why}: ${textOf(cause)}`, { cause });
}
