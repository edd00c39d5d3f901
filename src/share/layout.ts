import { bytesOf, type Encoded } from "../codec/value.ts";
import { PAGE_BYTES } from "../os/shared-file.ts";

/**
 * How a shared value lies in memory: its body, then its buffers, each from a page on, so that each
 * can be mapped by itself.
 */
export interface Layout {
  readonly format: number;
  /** Bytes of the body, and of each buffer. */
  readonly sizes: readonly number[];
}

/** The body, or a buffer. */
export interface Segment {
  readonly offset: number;
  readonly bytes: number;
}

export function layoutOf({ format, body, buffers }: Encoded): Layout {
  return { format, sizes: [body.length, ...buffers.map(({ length }) => length)] };
}

export function segmentsOf({ sizes }: Layout): Segment[] {
  let offset = 0;
  return sizes.map((bytes) => {
    const segment = { offset, bytes };
    offset += Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
    return segment;
  });
}

/** Bytes of the memory. */
export function bytesOfLayout(layout: Layout): number {
  const last = segmentsOf(layout).at(-1)!;
  return Math.max(PAGE_BYTES, last.offset + last.bytes);
}

/** The body and the buffers. */
export function partsOf({ body, buffers }: Encoded): readonly Uint8Array[] {
  return [body, ...buffers];
}

/** A value below this size travels in the frame that announces it, to each worker. */
const SMALL_BYTES = 64 * 1024;

export function isSmall(encoded: Encoded): boolean {
  return encoded.buffers.length === 0 && bytesOf(encoded) < SMALL_BYTES;
}

/** A layout that another process has sent: null if it makes no sense. */
export function readLayout(value: unknown): Layout | null {
  const { format, sizes } = Object(value) as Partial<Layout>;
  const isSize = (size: unknown): boolean => Number.isSafeInteger(size) && (size as number) >= 0;
  if (!isSize(format) || !Array.isArray(sizes) || sizes.length === 0) return null;
  return sizes.every(isSize) ? { format: format!, sizes } : null;
}
