/** Format 2, decoded. Nothing is trusted: every number is checked before it is used. */
import { BsyncError, ValueError } from "../errors.ts";
import { isIndex } from "./arrays.ts";
import { decodeCbor } from "./cbor.ts";
import { type Failure, symbolOf, type Told } from "./errors.ts";
import { hostFrom } from "./host.ts";
import type { Level } from "./known.ts";
import { MemoryReader } from "./buffers.ts";
import { BUFFER, FLOAT64, INT32, Kind, Pair, VIEW_TYPES } from "./nodes.ts";
import { append, define, set, setElement } from "./own.ts";
import { finishError, rebuildError } from "./rebuilt.ts";
import type { ClassReference, DecodeContext, Encoded } from "./types.ts";
import { Date } from "../os/natives.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MOST_CHARS_AT_ONCE = 8192;

export function readGraph(encoded: Encoded, context: DecodeContext): unknown {
  try {
    return new GraphReader(encoded, context).read();
  } catch (cause) {
    if (cause instanceof BsyncError) throw cause;
    throw new ValueError("Cannot decode a value: its bytes are damaged", { cause });
  }
}

/** What remains to be done for an error. */
interface Rebuilt {
  readonly failure: Failure;
  readonly told: Told[];
}

class GraphReader {
  readonly #context: DecodeContext;
  readonly #root: unknown;
  readonly #nodes: unknown[][];
  readonly #memory: MemoryReader;
  readonly #values: unknown[] = [];
  readonly #errors = new Map<Error, Rebuilt>();
  /** Nodes named so far. */
  #named = 0;

  constructor(encoded: Encoded, context: DecodeContext) {
    this.#context = context;
    const [root, nodes, memories] = list(decodeCbor(encoded.body, true));
    this.#root = root;
    this.#nodes = list(nodes) as unknown[][];
    this.#memory = new MemoryReader(list(memories), encoded.buffers);
  }

  /** First every object, still empty, then their contents: so cycles need no extra work. */
  read(): unknown {
    for (const node of this.#nodes) append(this.#values, this.#make(list(node)));
    const root = this.#cell(this.#root);
    for (let i = 0; i < this.#nodes.length; i++) this.#fill(this.#nodes[i]!, this.#values[i]);
    for (const [error, { failure, told }] of this.#errors) finishError(error, failure, told);
    return root;
  }

  #make(node: unknown[]): unknown {
    switch (node[0]) {
      case Kind.Object:
        return {};
      case Kind.Bare:
        return Object.create(null);
      case Kind.Array:
      case Kind.Sparse:
        return [];
      case Kind.Numbers:
        return this.#numbers(node);
      case Kind.Map:
        return new Map();
      case Kind.Set:
        return new Set();
      case Kind.Date:
        return new Date(number(node[1]));
      case Kind.RegExp:
        return new RegExp(this.#text(node[1]), text(node[2]));
      case Kind.Boxed:
        return this.#boxed(node[1]);
      case Kind.Memory:
        return this.#memory.buffer(node[1]);
      case Kind.View:
        return this.#view(node);
      case Kind.Error:
        return this.#error(node);
      case Kind.Blob:
        return this.#blob(node);
      case Kind.Host:
        return hostFrom(this.#memory.bytes(node[1])) ?? fail();
      default:
        throw damaged();
    }
  }

  #numbers(node: unknown[]): number[] {
    const bytes = this.#memory.bytes(node[2]);
    if (node[1] !== INT32 && node[1] !== FLOAT64) throw damaged();
    // Bytes inside the body are not aligned.
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : new Uint8Array(bytes);
    const { buffer, byteOffset, byteLength } = aligned;
    const packed =
      node[1] === INT32
        ? new Int32Array(buffer, byteOffset, byteLength / 4)
        : new Float64Array(buffer, byteOffset, byteLength / 8);
    // Five times as fast as Array.from.
    const array = new Array<number>(packed.length);
    for (let i = 0; i < packed.length; i++) setElement(array, i, packed[i]!);
    return array;
  }

  #boxed(cell: unknown): unknown {
    const value = Array.isArray(cell) && cell.length === 0 ? undefined : this.#cell(cell);
    if (value === null || value === undefined || typeof value === "object") throw damaged();
    if (typeof value === "function") throw damaged();
    return Object(value) as unknown;
  }

  #view(node: unknown[]): unknown {
    const type = number(node[1]);
    const constructor = VIEW_TYPES[type];
    if (constructor === undefined) throw damaged();
    const buffer = this.#memory.buffer(node[2]);
    const offset = number(node[3]);
    const length = number(node[4]);
    if (type === BUFFER) {
      if (offset + length > buffer.byteLength) throw damaged();
      return Buffer.from(buffer, offset, length);
    }
    return new (constructor as typeof Uint8Array)(buffer, offset, length);
  }

  #blob(node: unknown[]): Blob {
    const bytes = this.#memory.buffer(node[1]);
    const type = this.#text(node[2]);
    if (node.length === 3) return new Blob([bytes], { type });
    return new File([bytes], this.#text(node[3]), { type, lastModified: number(node[4]) });
  }

  #error(node: unknown[]): Error {
    const stack = node[6] ?? null;
    const failure: Failure = {
      base: number(node[1]),
      levels: list(node[2]).map((level) => levelOf(list(level))),
      flags: number(node[3]),
      message: this.#text(node[4]),
      name: this.#text(node[5]),
      stack: stack === null ? null : this.#text(stack),
    };
    const error = rebuildError(failure, this.#context);
    this.#errors.set(error, { failure, told: [] });
    return error;
  }

  #fill(node: unknown[], value: unknown): void {
    switch (node[0]) {
      case Kind.Object:
      case Kind.Bare:
        this.#fillObject(node, value as object);
        break;
      case Kind.Array:
        for (let i = 1; i < node.length; i++) append(value as unknown[], this.#cell(node[i]));
        break;
      case Kind.Sparse:
        this.#fillSparse(node, value as unknown[]);
        break;
      case Kind.Map:
        if (node.length % 2 === 0) throw damaged();
        for (let i = 1; i < node.length; i += 2) {
          const key = this.#cell(node[i]);
          (value as Map<unknown, unknown>).set(key, this.#cell(node[i + 1]));
        }
        break;
      case Kind.Set:
        for (let i = 1; i < node.length; i++) (value as Set<unknown>).add(this.#cell(node[i]));
        break;
      case Kind.Error:
        this.#fillError(node, value as Error);
    }
  }

  #fillObject(node: unknown[], value: object): void {
    if (node.length % 2 === 0) throw damaged();
    for (let i = 1; i < node.length; i += 2) {
      const key = this.#text(node[i]);
      const child = this.#cell(node[i + 1]);
      set(value, key, child);
    }
  }

  #fillSparse(node: unknown[], value: unknown[]): void {
    const length = number(node[1]);
    if (node.length % 2 === 1) throw damaged();
    for (let i = 2; i < node.length; i += 2) {
      const key = node[i];
      const child = this.#cell(node[i + 1]);
      if (typeof key === "number") {
        if (!Number.isInteger(key) || key < 0 || key >= length) throw damaged();
        setElement(value, key, child);
      } else {
        const name = this.#text(key);
        if (name === "length" || isIndex(name)) throw damaged();
        define(value, name, child, true);
      }
    }
    // Last: an array that gets its length at once is stored as a sparse one.
    value.length = length;
  }

  #fillError(node: unknown[], error: Error): void {
    const inheritedFrom = 9 + 2 * number(node[7]);
    const shownFrom = inheritedFrom + 2 * number(node[8]);
    if (node.length % 2 === 0) throw damaged();
    const { told } = this.#errors.get(error)!;
    for (let i = 9; i < node.length; i += 2) {
      const { key, isResult } = this.#key(node[i]);
      const value = this.#cell(node[i + 1]);
      if (key === "stack" || key === "message" || key === "name") throw damaged();
      if (i >= inheritedFrom && i < shownFrom) append(told, { key, isResult, value });
      else define(error, key, value, i >= shownFrom);
    }
  }

  /** The key of an error's property. */
  #key(cell: unknown): Pick<Told, "key" | "isResult"> {
    if (!Array.isArray(cell)) return { key: text(cell), isResult: false };
    if (cell[0] === Pair.Result) return { key: text(cell[1]), isResult: true };
    if (cell[0] !== Pair.Symbol) return { key: this.#text(cell), isResult: false };
    return { key: symbolOf(text(cell[1])) ?? fail(), isResult: false };
  }

  /** The value of a cell. */
  #cell(cell: unknown): unknown {
    if (typeof cell !== "object" || cell === null) return cell;
    if (!Array.isArray(cell)) throw damaged();
    if (cell.length === 0) return this.#value(this.#named++);
    if (cell.length === 1) return cell[0] === -1 ? -0 : this.#value(cell[0]);
    if (cell[0] === Pair.BigInt) return bigint(text(cell[1]));
    if (cell[0] === Pair.Function) return this.#context.functionOf(number(cell[1]));
    if (cell[0] === Pair.Shared) return this.#context.sharedOf?.(number(cell[1])) ?? fail();
    return this.#text(cell);
  }

  #value(id: unknown): unknown {
    if (typeof id !== "number" || !(id in this.#values)) throw damaged();
    return this.#values[id];
  }

  /** A cell that must be a string. */
  #text(cell: unknown): string {
    if (typeof cell === "string") return cell;
    const [pair, memory] = list(cell);
    const bytes = this.#memory.bytes(memory);
    if (pair === Pair.Utf8) return utf8.decode(bytes);
    if (pair !== Pair.Utf16 || bytes.length % 2 !== 0) throw damaged();
    return utf16(bytes);
  }
}

function utf16(bytes: Uint8Array): string {
  const units = new Uint16Array(bytes.length / 2);
  new Uint8Array(units.buffer).set(bytes);
  let result = "";
  for (let i = 0; i < units.length; i += MOST_CHARS_AT_ONCE) {
    result += String.fromCharCode(...units.subarray(i, i + MOST_CHARS_AT_ONCE));
  }
  return result;
}

function bigint(digits: string): bigint {
  return digits.startsWith("-") ? -BigInt(`0x${digits.slice(1)}`) : BigInt(`0x${digits}`);
}

function levelOf([name, ...places]: unknown[]): Level {
  const references: ClassReference[] = [];
  for (let i = 0; i < places.length; i += 2) {
    const module = places[i] === null ? null : text(places[i]);
    append(references, { module, name: text(places[i + 1]) });
  }
  return { name: text(name), references };
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw damaged();
  return value;
}

function number(value: unknown): number {
  if (typeof value !== "number") throw damaged();
  return value;
}

function text(value: unknown): string {
  if (typeof value !== "string") throw damaged();
  return value;
}

function fail(): never {
  throw damaged();
}

function damaged(): ValueError {
  return new ValueError("Cannot decode a value: its bytes are damaged");
}
