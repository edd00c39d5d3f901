import { isListed } from "../codec/lists.ts";
import { show, ValueError } from "../errors.ts";
import type { Items } from "../scheduler/chunk.ts";
import { bytesOfPayload } from "../scheduler/costs.ts";
import type { Payload } from "../scheduler/task.ts";

/** Encodes the arguments of a call, as they are at this moment. */
interface ArgumentsKeeper {
  keep(args: unknown[]): Payload;
}

/** Bytes of the items of one chunk. */
const CHUNK_BYTES = 32 * 1024;

/** An item that a chunk takes: a value that lists may hold, or the payload of its call. */
export interface AddedItem {
  readonly value: unknown;
  readonly payload: Payload | null;
}

/** The items that are being put into a chunk: all are values of lists, or all are payloads. */
export class GatheredItems {
  readonly #pool: ArgumentsKeeper;
  readonly #isStar: boolean;
  #values: unknown[] = [];
  #payloads: Payload[] = [];
  #bytes = 0;
  #size = 1;
  /** The place of the first. */
  index = 0;

  constructor(pool: ArgumentsKeeper, isStar: boolean) {
    this.#pool = pool;
    this.#isStar = isStar;
  }

  get count(): number {
    return this.#values.length + this.#payloads.length;
  }

  /** Whether they are as many as they were to be, or as many bytes. */
  get isFull(): boolean {
    return this.count >= this.#size || this.isLarge;
  }

  /** Whether they are as many bytes as a chunk may have. */
  get isLarge(): boolean {
    return this.#bytes > CHUNK_BYTES;
  }

  /** Throws for an item that cannot travel. */
  prepare(item: unknown, index: number): AddedItem {
    if (!this.#isStar && isListed(item)) return { value: item, payload: null };
    try {
      const args = this.#isStar ? [...argumentsOf(item), index] : [item, index];
      return { value: item, payload: this.#pool.keep(args) };
    } catch (error) {
      throw this.#refusal(error, index);
    }
  }

  /** Whether an item can travel with those that are there. A large one travels alone. */
  takes({ payload }: AddedItem): boolean {
    if (payload === null) return this.#payloads.length === 0;
    return this.#values.length === 0 && bytesIn(payload) <= CHUNK_BYTES;
  }

  /** Begins a chunk of `size` items with the one of that place. */
  begin(index: number, size: number): void {
    this.index = index;
    this.#size = size;
  }

  add({ value, payload }: AddedItem): void {
    if (payload !== null) {
      this.#payloads.push(payload);
      this.#bytes += bytesIn(payload);
    } else {
      this.#values.push(value);
      if (typeof value === "string") this.#bytes += 2 * value.length;
    }
  }

  takeAll(): Items {
    const values = this.#values;
    const payloads = this.#payloads;
    this.#values = [];
    this.#payloads = [];
    this.#bytes = 0;
    return payloads.length > 0 ? { payloads, values: null } : { payloads: null, values };
  }

  /** Names the item in the path of what cannot travel. */
  #refusal(error: unknown, index: number): unknown {
    if (!(error instanceof ValueError)) return error;
    const path = this.#isStar ? `items[${index}][` : `items[${index}]`;
    const message = error.message.replaceAll(this.#isStar ? "args[" : "args[0]", path);
    return new ValueError(message, { cause: error.cause });
  }
}

/** Bytes of a payload; of arguments that are not encoded yet those of their texts. */
function bytesIn(payload: Payload): number {
  if (!Array.isArray(payload)) return bytesOfPayload(payload);
  let bytes = 0;
  for (const value of payload) if (typeof value === "string") bytes += 2 * value.length;
  return bytes;
}

function argumentsOf(tuple: unknown): Iterable<unknown> {
  if (Array.isArray(tuple)) return tuple;
  if (typeof tuple === "object" && tuple !== null && Symbol.iterator in tuple) {
    return tuple as Iterable<unknown>;
  }
  throw new TypeError(`Cannot call with ${show(tuple)}: starmap takes a list of arguments each`);
}
