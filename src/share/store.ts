import { closeSync, readSync } from "node:fs";
import type { Encoded } from "../codec/value.ts";
import { allocate } from "../wire/reader.ts";
import { writeAll } from "../os/nameless.ts";
import {
  type FilePlace,
  foldersForMemory,
  inMiB,
  makeSharedFile,
  mapFile,
  openPlace,
  placeOf,
} from "../os/shared-file.ts";
import { bytesOfLayout, type Layout, type Segment, segmentsOf } from "./layout.ts";

/** Memory of an encoded value, which is filled once and read then. */
export interface Store {
  readonly layout: Layout;
  /** Empty for memory that is no file. */
  readonly folder: string;
  /** Where other processes of this machine find it; null for memory of this process alone. */
  readonly place: FilePlace | null;
  /** Writes into a segment, from its byte `at` on. */
  write(segment: number, at: number, bytes: Uint8Array): void;
  /**
   * The value, for a decoder, which keeps the buffers and may write to them. Once only of memory
   * that has no place.
   */
  read(): Encoded;
  /** The bytes of a segment, for reading; they stay what they are. */
  view(segment: number): Uint8Array;
  /** May be called again. */
  close(): void;
}

/** A body up to this size is read rather than mapped. */
const READ_BYTES = 64 * 1024;

/**
 * A process has some 65,000 mappings at most (vm.max_map_count), and the engine needs some: from so
 * many on arrays below a MiB are copied.
 */
const MOST_MAPPINGS = 30_000;
const LARGE_BYTES = 2 ** 20;

/** Mappings of values that were not freed. */
let mappings = 0;

/** A file that all processes of a host map. */
export class FileStore implements Store {
  readonly layout: Layout;
  readonly place: FilePlace;
  /** The folder that it was made in; empty for that of another process. */
  folder = "";
  readonly #fd: number;
  readonly #segments: readonly Segment[];
  #mapped = 0;
  readonly #views = new Map<number, Uint8Array>();
  #isClosed = false;

  private constructor(layout: Layout, fd: number) {
    this.layout = layout;
    this.#fd = fd;
    this.#segments = segmentsOf(layout);
    this.place = placeOf(fd, bytesOfLayout(layout));
  }

  /** Makes one in a folder; why not, where that has no room. */
  static make(layout: Layout, folder: string): FileStore | string {
    const fd = makeSharedFile(folder, bytesOfLayout(layout));
    return typeof fd === "string" ? fd : new FileStore(layout, fd);
  }

  /** That of another process; null where it cannot be had. */
  static open(layout: Layout, place: FilePlace): FileStore | null {
    const fd = openPlace(place);
    return fd === null ? null : new FileStore(layout, fd);
  }

  write(segment: number, at: number, bytes: Uint8Array): void {
    writeAll(this.#fd, bytes, this.#segments[segment]!.offset + at);
  }

  read(): Encoded {
    const [body, ...buffers] = this.#segments.map((segment, i) => this.#copyOf(segment, i > 0));
    return { format: this.layout.format, body: body!, buffers };
  }

  #copyOf({ offset, bytes }: Segment, isBuffer: boolean): Uint8Array {
    if (!isBuffer && bytes <= READ_BYTES) return this.#readAt(offset, bytes);
    if (bytes < LARGE_BYTES && mappings >= MOST_MAPPINGS) return this.#readAt(offset, bytes);
    mappings++;
    this.#mapped++;
    return mapFile(this.#fd, offset, bytes, "copy");
  }

  #readAt(offset: number, bytes: number): Uint8Array {
    const body = allocate(bytes);
    for (let at = 0; at < bytes;) {
      const read = readSync(this.#fd, body, at, bytes - at, offset + at);
      if (read === 0) throw new Error("the memory of a shared value is shorter than it was");
      at += read;
    }
    return body;
  }

  view(segment: number): Uint8Array {
    const known = this.#views.get(segment);
    if (known !== undefined) return known;
    const { offset, bytes } = this.#segments[segment]!;
    const view = bytes === 0 ? new Uint8Array(0) : mapFile(this.#fd, offset, bytes, "shared");
    this.#views.set(segment, view);
    return view;
  }

  close(): void {
    // By then the number of the descriptor may be another file's.
    if (this.#isClosed) return;
    this.#isClosed = true;
    mappings -= this.#mapped;
    this.#mapped = 0;
    this.#views.clear();
    closeSync(this.#fd);
  }
}

/** Memory of one process, where none can be shared. */
export class HeapStore implements Store {
  readonly layout: Layout;
  readonly folder = "";
  readonly place = null;
  #parts: Uint8Array[];

  /** Throws a RangeError where there is no memory. */
  constructor(layout: Layout) {
    const bytes = bytesOfLayout(layout);
    const free = process.availableMemory();
    if (bytes > free) {
      throw new RangeError(`${inMiB(bytes)} are needed, and the machine has ${inMiB(free)} left`);
    }
    this.layout = layout;
    this.#parts = layout.sizes.map((size) => allocate(size));
  }

  write(segment: number, at: number, bytes: Uint8Array): void {
    this.#parts[segment]!.set(bytes, at);
  }

  read(): Encoded {
    const [body, ...buffers] = this.#parts;
    return { format: this.layout.format, body: body!, buffers };
  }

  view(segment: number): Uint8Array {
    return this.#parts[segment]!;
  }

  close(): void {
    this.#parts = [];
  }
}

/** Why folders have no room for a value. */
export type Refusals = Map<string, string>;

/** Makes the memory of a value: shared, where a folder has room that has not refused it before. */
export function makeStore(layout: Layout, refusals: Refusals = new Map()): Store {
  const bytes = inMiB(bytesOfLayout(layout));
  const reasons = (): string =>
    [...refusals].map(([folder, why]) => `${folder} has none (${why})`).join("; ");
  for (const folder of foldersForMemory()) {
    if (refusals.has(folder)) continue;
    const made = FileStore.make(layout, folder);
    if (typeof made === "string") {
      refusals.set(folder, made);
      continue;
    }
    if (refusals.size > 0) warn(`no memory for ${bytes}: ${reasons()}; a file in ${folder} serves`);
    made.folder = folder;
    return made;
  }
  const store = new HeapStore(layout);
  warn(`no memory for ${bytes} to share: ${reasons()}; each worker gets a copy`);
  return store;
}

let hasWarned = false;

/** Said once in a process. */
function warn(text: string): void {
  if (hasWarned) return;
  hasWarned = true;
  process.stderr.write(`bsync: pool.share: ${text}\n`);
}
