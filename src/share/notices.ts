import type { Encoded } from "../codec/value.ts";
import type { FilePlace } from "../os/shared-file.ts";
import { type Layout, readLayout } from "./layout.ts";

/**
 * What the two sides of a pool tell each other of a shared value:
 *
 *   Share ──▶ (Part ──▶ …)   Held ◀──     Unshare ──▶
 */

/** `Share`: how the worker gets the value. */
export type ShareNotice = CarriedNotice | PlacedNotice | SentNotice | ComingNotice;

/** Here it is. */
interface CarriedNotice {
  readonly kind: "carried";
  readonly content: Encoded;
}

/** Another process of its machine has it. */
interface PlacedNotice {
  readonly kind: "placed";
  readonly layout: Layout;
  readonly place: FilePlace;
}

/** It follows, in parts. */
interface SentNotice {
  readonly kind: "sent";
  readonly layout: Layout;
  /** Whether other processes of its machine are to map it: false where there is no such memory. */
  readonly mayShare: boolean;
}

/** Another process of its machine receives it: no call begins before that is done. */
interface ComingNotice {
  readonly kind: "coming";
  readonly layout: Layout;
}

/** `Held`: what became of it. */
export type HeldNotice =
  /** The worker has it, where others find it; or for itself. */
  | { readonly kind: "held"; readonly place: FilePlace | null }
  /** It cannot open the other's memory: it has to be sent. */
  | { readonly kind: "unopened" }
  /** It has no memory for it, for this reason. */
  | { readonly kind: "refused"; readonly reason: string };

/** What a controller has sent; null if it makes no sense. */
export function readShareNotice(value: unknown): ShareNotice | null {
  const notice = Object(value) as { [key: string]: unknown };
  if (notice["kind"] === "carried") {
    const { format, body, buffers } = Object(notice["content"]) as Partial<Encoded>;
    const isWhole = typeof format === "number" && body instanceof Uint8Array;
    if (!isWhole || !Array.isArray(buffers)) return null;
    return { kind: "carried", content: { format, body, buffers } };
  }
  const layout = readLayout(notice["layout"]);
  if (layout === null) return null;
  if (notice["kind"] === "sent") {
    return { kind: "sent", layout, mayShare: notice["mayShare"] === true };
  }
  if (notice["kind"] === "coming") return { kind: "coming", layout };
  const place = readPlace(notice["place"]);
  return notice["kind"] === "placed" && place !== null ? { kind: "placed", layout, place } : null;
}

/** What a worker has sent; null if it makes no sense. */
export function readHeldNotice(value: unknown): HeldNotice | null {
  const notice = Object(value) as { [key: string]: unknown };
  switch (notice["kind"]) {
    case "held":
      return { kind: "held", place: readPlace(notice["place"]) };
    case "unopened":
      return { kind: "unopened" };
    case "refused":
      return { kind: "refused", reason: String(notice["reason"]) };
    default:
      return null;
  }
}

function readPlace(value: unknown): FilePlace | null {
  const { pid, fd, ino, dev, bytes } = Object(value) as Partial<FilePlace>;
  const areNumbers = [pid, fd, ino, dev, bytes].every((x) => typeof x === "number" && x >= 0);
  return areNumbers ? { pid: pid!, fd: fd!, ino: ino!, dev: dev!, bytes: bytes! } : null;
}
