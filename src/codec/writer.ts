/** Format 2, encoded: a graph as the table of nodes in nodes.ts. */
import types from "node:util/types";
import { BsyncError, ValueError } from "../errors.ts";
import { Elements, elementsOf, isIndex } from "./arrays.ts";
import { encodeCbor } from "./cbor.ts";
import { describeError, GIVEN, nameOfSymbol } from "./errors.ts";
import { hostBytes } from "./host.ts";
import { bytesOf, hasHole, isCarried, isError, packNumbers, unbox } from "./kinds.ts";
import type { Level } from "./known.ts";
import { MemoryWriter } from "./buffers.ts";
import { BUFFER, FLOAT64, INT32, Kind, Pair, VIEW_TYPES } from "./nodes.ts";
import { append, appendAll, lookAbove, nothingAbove } from "./own.ts";
import { pathOf } from "./paths.ts";
import { type Copies, isSound, MANY_NUMBERS } from "./plain.ts";
import { isOrdinary, refuse } from "./refusal.ts";
import { type EncodeContext, type Encoded, Format } from "./types.ts";
import { Date } from "../os/natives.ts";

export type Node = unknown[];

/** The next node that was not named yet. */
const NEXT: readonly never[] = [];
const MINUS_ZERO = [-1];

const viewName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get!;

const viewTypes: ReadonlyMap<string, number> = new Map(
  VIEW_TYPES.map((known, type) => [known.name, type]),
);

/** One graph; not used again. */
export class GraphWriter {
  readonly #root: string;
  readonly #context: EncodeContext;
  readonly #copies: Copies;
  /** Whether values that cannot travel are described in their place, except at the root. */
  readonly #lenient: boolean;
  readonly #ids = new Map<object, number>();
  /** Per node: its source, then the node and the slot where that was first met. */
  readonly #sources: object[] = [];
  readonly #parents: number[] = [];
  readonly #slots: number[] = [];
  readonly #nodes: Node[] = [];
  readonly #memory = new MemoryWriter();
  /** Nodes first met in properties that nobody sees of an error. */
  readonly #asides = new Set<number>();
  /** True while such a property is written. */
  #isAside = false;
  /** The node being written. */
  #at = -1;
  #node: Node = [];

  /** `copies` are read instead of their originals: see plain.ts. */
  constructor(root: string, context: EncodeContext, copies: Copies, lenient: boolean) {
    this.#root = root;
    this.#context = context;
    this.#copies = copies;
    this.#lenient = lenient;
  }

  write(value: unknown): Encoded {
    lookAbove();
    const root = this.#cell(value);
    for (this.#at = 0; this.#at < this.#sources.length; this.#at++) {
      this.#node = [];
      this.#isAside = this.#asides.has(this.#at);
      append(this.#nodes, this.#node);
      try {
        this.#fill(this.#sources[this.#at]!);
      } catch (cause) {
        this.#fillFailed(cause);
      }
    }
    const body = encodeCbor([root, this.#nodes, this.#memory.finish()]);
    const { buffers, nodes } = this.#memory;
    if (buffers.length === 0) return { format: Format.Graph, body, buffers };
    const paths = nodes.map((at) =>
      at < 0 ? "" : this.#pathTo(this.#parents[at]!, this.#slots[at]!),
    );
    return { format: Format.Graph, body, buffers, paths };
  }

  /** Whether a value that cannot travel is described here. */
  get #isLenient(): boolean {
    return (this.#lenient && this.#at >= 0) || this.#isAside;
  }

  /** The cell of `value` in the current node. */
  #cell(value: unknown): unknown {
    switch (typeof value) {
      case "number":
        return value === 0 && 1 / value < 0 ? MINUS_ZERO : value;
      case "string":
        return this.#text(value);
      case "object":
        return value === null ? null : this.#reference(value);
      case "bigint":
        return [Pair.BigInt, value < 0n ? `-${(-value).toString(16)}` : value.toString(16)];
      case "function":
        return this.#function(value);
      case "symbol":
        return this.#refused(value);
      default:
        return value;
    }
  }

  #text(text: string): unknown {
    if (isSound(text)) return text;
    if (text.isWellFormed() && text.charCodeAt(0) !== 0xfeff) {
      return [Pair.Utf8, this.#memory.own(Buffer.from(text, "utf8"))];
    }
    return [Pair.Utf16, this.#memory.own(Buffer.from(text, "utf16le"))];
  }

  #function(fn: Function): unknown {
    try {
      return [Pair.Function, this.#context.functionId(fn, this.#path())];
    } catch (error) {
      if (this.#isLenient) return `[function ${fn.name || "(anonymous)"}]`;
      throw error;
    }
  }

  #reference(original: object): unknown {
    const value = this.#copies.get(original) ?? original;
    const known = this.#ids.get(value);
    if (known !== undefined) return [known];
    if (!isCarried(value)) return this.#shared(value) ?? this.#refused(value);
    const id = append(this.#sources, value) - 1;
    this.#ids.set(value, id);
    if (this.#isAside) this.#asides.add(id);
    append(this.#parents, this.#at);
    append(this.#slots, this.#node.length);
    return NEXT;
  }

  /** Of an object that the other side knows. */
  #shared(value: object): unknown[] | null {
    const id = this.#context.sharedId?.(value) ?? null;
    return id === null ? null : [Pair.Shared, id];
  }

  #refused(value: unknown): string {
    const why = refuse(value);
    if (this.#isLenient) return `[${why.slice(0, why.indexOf(";"))}]`;
    throw new ValueError(`Cannot send ${this.#path()}: ${why}`);
  }

  /** The path of the next value in the current node. */
  #path(): string {
    return this.#pathTo(this.#at, this.#node.length);
  }

  #pathTo(at: number, slot: number): string {
    return pathOf(this.#root, at, slot, {
      nodes: this.#nodes,
      parents: this.#parents,
      slots: this.#slots,
    });
  }

  /** A getter or a proxy threw. */
  #fillFailed(cause: unknown): void {
    if (this.#lenient || this.#isAside) {
      const node = this.#node;
      if (node.length === 0) append(node, Kind.Object);
      // Nodes named so far stay, for names are counted; a key must have a value.
      if (isValueDue(node)) append(node, `[reading it threw ${told(cause)}]`);
      return;
    }
    // A refusal already has its path.
    if (cause instanceof BsyncError) throw cause;
    const message = `Cannot send ${this.#path()}: reading it threw ${told(cause)}`;
    throw new ValueError(message, { cause });
  }

  #fill(value: object): void {
    if (ArrayBuffer.isView(value)) return this.#fillView(value as ArrayBufferView<ArrayBuffer>);
    if (Array.isArray(value)) return this.#fillArray(value);
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Object.prototype && !types.isNativeError(value)) {
      return this.#fillObject(Kind.Object, value);
    }
    if (isError(value)) return this.#fillError(value);
    if (types.isMap(value)) return this.#fillMap(value);
    if (types.isSet(value)) return this.#fillSet(value);
    if (types.isDate(value)) {
      appendAll(this.#node, Kind.Date, Date.prototype.getTime.call(value));
    } else if (types.isRegExp(value)) {
      appendAll(this.#node, Kind.RegExp, this.#text(value.source), value.flags);
    } else if (types.isArrayBuffer(value)) {
      appendAll(this.#node, Kind.Memory, this.#memory.whole(value, this.#at));
    } else if (value instanceof Blob) {
      this.#fillBlob(value);
    } else if (types.isBoxedPrimitive(value)) {
      appendAll(this.#node, Kind.Boxed, this.#cell(unbox(value)));
    } else if (prototype === null) {
      this.#fillObject(Kind.Bare, value);
    } else {
      const bytes = isOrdinary(prototype) ? null : hostBytes(value);
      if (bytes === null) this.#fillObject(Kind.Object, value);
      else appendAll(this.#node, Kind.Host, this.#memory.own(bytes));
    }
  }

  #fillObject(kind: number, value: object): void {
    const node = this.#node;
    append(node, kind);
    const keys = Object.keys(value);
    for (let i = 0; i < keys.length; i++) this.#property(value, keys[i]!);
  }

  #key(key: PropertyKey): unknown {
    return typeof key === "symbol" ? [Pair.Symbol, nameOfSymbol(key)] : this.#text(String(key));
  }

  #property(value: object, key: PropertyKey): void {
    append(this.#node, this.#key(key));
    let child: unknown;
    try {
      child = (value as Record<PropertyKey, unknown>)[key];
    } catch (cause) {
      if (!this.#isLenient) throw cause;
      child = `[reading it threw ${told(cause)}]`;
    }
    append(this.#node, this.#cell(child));
  }

  #fillArray(value: readonly unknown[]): void {
    const node = this.#node;
    const elements = elementsOf(value);
    const isStored = elements === Elements.Stored && nothingAbove();
    const many = isStored && value.length >= MANY_NUMBERS;
    const numbers = many ? packNumbers(value) : null;
    if (numbers !== null) {
      const type = numbers instanceof Int32Array ? INT32 : FLOAT64;
      appendAll(node, Kind.Numbers, type, this.#memory.own(new Uint8Array(numbers.buffer)));
      return;
    }
    if (elements !== Elements.AndMore && !hasHole(value, many)) {
      append(node, Kind.Array);
      for (let i = 0; i < value.length; i++) append(node, this.#cell(value[i]));
      return;
    }
    appendAll(node, Kind.Sparse, value.length);
    for (const key of Object.keys(value)) {
      if (isIndex(key)) {
        append(node, Number(key));
        append(node, this.#cell(value[Number(key)]));
      } else {
        this.#property(value, key);
      }
    }
  }

  #fillMap(value: Map<unknown, unknown>): void {
    append(this.#node, Kind.Map);
    Map.prototype.forEach.call(value, (item, key) => {
      append(this.#node, this.#cell(key));
      append(this.#node, this.#cell(item));
    });
  }

  #fillSet(value: Set<unknown>): void {
    append(this.#node, Kind.Set);
    Set.prototype.forEach.call(value, (item) => {
      append(this.#node, this.#cell(item));
    });
  }

  #fillView(view: ArrayBufferView<ArrayBuffer>): void {
    const name = viewName.call(view) as string | undefined;
    const type = Buffer.isBuffer(view) ? BUFFER : viewTypes.get(name ?? "DataView")!;
    const node: [number, number, number, number, number] = [Kind.View, type, 0, 0, 0];
    this.#memory.view(node, view, type, this.#at);
    this.#node = node;
    this.#nodes[this.#at] = node;
  }

  #fillBlob(blob: Blob): void {
    const bytes = bytesOf(blob);
    if (bytes === null) {
      appendAll(this.#node, Kind.Host, this.#memory.own(hostBytes(blob)!));
      return;
    }
    appendAll(this.#node, Kind.Blob, this.#memory.own(bytes), this.#text(blob.type));
    if (blob instanceof File) appendAll(this.#node, this.#text(blob.name), blob.lastModified);
  }

  #fillError(error: object): void {
    const { failure, hidden, inherited, shown } = describeError(error, this.#context);
    const { base, levels, flags, message, name, stack } = failure;
    const node = this.#node;
    appendAll(node, Kind.Error, base, levels.map(listed), flags);
    appendAll(node, this.#text(message), this.#text(name));
    append(node, stack === null ? null : this.#text(stack));
    appendAll(node, hidden.length, inherited.length);
    const outer = this.#isAside;
    for (const key of hidden) {
      // A hidden property is no reason to refuse an error.
      this.#isAside = outer || !GIVEN.includes(key);
      this.#property(error, key);
    }
    this.#isAside = true;
    for (const { key, isResult, value } of inherited) {
      append(node, isResult ? [Pair.Result, String(key)] : this.#key(key));
      append(node, this.#cell(value));
    }
    this.#isAside = outer;
    for (const key of shown) this.#property(error, key);
  }
}

/** A class as written. */
function listed({ name, references }: Level): unknown[] {
  const places = references.flatMap(({ module, name }) => [module, name]);
  return [name, ...places].map((text) => text?.toWellFormed() ?? null);
}

/** Whether a node ends with a key. */
function isValueDue(node: Node): boolean {
  const odd = node.length % 2 === 1;
  if (node[0] === Kind.Sparse) return odd;
  return (node[0] === Kind.Object || node[0] === Kind.Bare || node[0] === Kind.Error) && !odd;
}

function told(thrown: unknown): string {
  try {
    return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : Bun.inspect(thrown);
  } catch {
    return "something that cannot be shown";
  }
}
