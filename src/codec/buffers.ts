/**
 * The memory of a value: which bytes of which ArrayBuffer it needs, inside the body or beside it.
 *
 * Views on one ArrayBuffer keep sharing it. Unless the ArrayBuffer itself is in the value, only the
 * bytes from the first to the last that a view covers travel: a view of 10 bytes on a buffer of a
 * gigabyte arrives with a buffer of 10, and therefore with another `byteOffset`.
 */
import { ValueError } from "../errors.ts";
import { bytesPerElement } from "./nodes.ts";
import { append } from "./own.ts";
import { OUT_OF_BAND_BYTES } from "./types.ts";

/** On the wire: bytes, or the index of a buffer; in a pair with maxByteLength if resizable. */
export type Memory = Uint8Array | number | [Uint8Array | number, number];

/** A view node, `[kind, type, memory, byteOffset, length]`; the offset is moved at the end. */
type ViewNode = [number, number, number, number, number];

interface Window {
  readonly buffer: ArrayBuffer;
  /** The node in which the buffer was first met. */
  readonly node: number;
  whole: boolean;
  from: number;
  to: number;
  alignment: number;
  readonly views: ViewNode[];
}

/** Collects the memories that the writer meets. */
export class MemoryWriter {
  readonly buffers: Uint8Array[] = [];
  /** The node in which each buffer was first met; -1 for memory of the writer's own. */
  readonly nodes: number[] = [];
  readonly #windows = new Map<ArrayBuffer, number>();
  readonly #memories: (Window | Uint8Array)[] = [];

  /** Adds a memory of the writer's own; `bytes` are not copied. */
  own(bytes: Uint8Array): number {
    return append(this.#memories, bytes) - 1;
  }

  /** The whole of an ArrayBuffer, met in node `at`. */
  whole(buffer: ArrayBuffer, at: number): number {
    const index = this.#window(buffer, at);
    (this.#memories[index] as Window).whole = true;
    return index;
  }

  /**
   * Adds the memory, the offset and the length of a view of `type` to `node`, which is number `at`.
   */
  view(node: ViewNode, view: ArrayBufferView<ArrayBuffer>, type: number, at: number): void {
    const index = this.#window(view.buffer, at);
    const window = this.#memories[index] as Window;
    const size = bytesPerElement(type);
    node[2] = index;
    node[3] = view.byteOffset;
    node[4] = view.byteLength / size;
    append(window.views, node);
    if (view.byteLength === 0) return;
    window.from = Math.min(window.from, view.byteOffset);
    window.to = Math.max(window.to, view.byteOffset + view.byteLength);
    window.alignment = Math.max(window.alignment, size);
  }

  #window(buffer: ArrayBuffer, node: number): number {
    let index = this.#windows.get(buffer);
    if (index === undefined) {
      const window: Window = {
        buffer,
        node,
        whole: false,
        from: Infinity,
        to: 0,
        alignment: 1,
        views: [],
      };
      index = append<Window | Uint8Array>(this.#memories, window) - 1;
      this.#windows.set(buffer, index);
    }
    return index;
  }

  /** The memories for the wire; moves the offsets of all view nodes. */
  finish(): Memory[] {
    return this.#memories.map((memory) =>
      memory instanceof Uint8Array ? this.#place(memory, -1) : this.#cut(memory),
    );
  }

  #cut(window: Window): Memory {
    const { buffer, alignment, node } = window;
    let { from, to } = window;
    if (window.whole) {
      from = 0;
      to = buffer.byteLength;
    } else {
      from = to === 0 ? 0 : from - (from % alignment);
      // An empty view may lie outside; its offset does not matter.
      for (const view of window.views) view[3] = view[4] === 0 ? 0 : view[3] - from;
    }
    const placed = this.#place(new Uint8Array(buffer, from, to - from), node);
    return window.whole && buffer.resizable ? [placed, buffer.maxByteLength] : placed;
  }

  #place(bytes: Uint8Array, node: number): Uint8Array | number {
    if (bytes.byteLength < OUT_OF_BAND_BYTES) return bytes;
    append(this.nodes, node);
    return append(this.buffers, bytes) - 1;
  }
}

/** Hands out received memory; each memory becomes one ArrayBuffer, when first asked for. */
export class MemoryReader {
  readonly #memories: readonly unknown[];
  readonly #buffers: readonly Uint8Array[];
  readonly #made = new Map<number, ArrayBuffer>();
  readonly #taken = new Set<number>();

  constructor(memories: readonly unknown[], buffers: readonly Uint8Array[]) {
    this.#memories = memories;
    this.#buffers = buffers;
  }

  buffer(index: unknown): ArrayBuffer {
    const memory = this.#memory(index);
    const known = this.#made.get(index as number);
    if (known !== undefined) return known;
    const made = this.#make(memory);
    this.#made.set(index as number, made);
    return made;
  }

  /** For reading at once: the bytes may lie in the body. */
  bytes(index: unknown): Uint8Array {
    const memory = this.#memory(index);
    if (Array.isArray(memory)) throw damaged();
    return this.#bytes(memory);
  }

  #memory(index: unknown): unknown {
    if (typeof index !== "number" || !(index in this.#memories)) throw damaged();
    return this.#memories[index];
  }

  #bytes(memory: unknown): Uint8Array {
    const bytes = typeof memory === "number" ? this.#buffers[memory] : memory;
    if (!(bytes instanceof Uint8Array)) throw damaged();
    return bytes;
  }

  #make(memory: unknown): ArrayBuffer {
    if (Array.isArray(memory)) {
      const bytes = this.#bytes(memory[0]);
      const buffer = new ArrayBuffer(bytes.length, { maxByteLength: memory[1] });
      new Uint8Array(buffer).set(bytes);
      return buffer;
    }
    const bytes = this.#bytes(memory);
    if (typeof memory === "number") {
      if (this.#taken.has(memory)) throw damaged();
      this.#taken.add(memory);
      const { buffer } = bytes;
      if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) return buffer;
    }
    const buffer = new ArrayBuffer(bytes.length);
    new Uint8Array(buffer).set(bytes);
    return buffer;
  }
}

function damaged(): ValueError {
  return new ValueError("Cannot decode a value: its bytes are damaged");
}
