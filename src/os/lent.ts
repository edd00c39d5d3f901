import { performance, setTimeout } from "./natives.ts";

/**
 * Memory of large arrays, which is used again for the next ones when they are collected: its pages
 * are there, while the kernel has to make those of new memory, which takes four times as long as to
 * fill them. A program that keeps its arrays gains nothing by it, and loses nothing.
 */

/** Smaller arrays are the engine's affair. */
export const LENT_BYTES = 2 ** 20;

/** Before so many bytes have been received it is not worth its while. */
const WORTH_BYTES = 128 * 2 ** 20;

const PAGE = 4096;

/** ms without a large array after which memory that has come back is given to the system. */
const IDLE_MS = 1_000;
const MOST_IDLE_MS = 60_000;

interface Piece {
  readonly memory: ReturnType<Libc["make"]> & {};
  readonly bytes: number;
}

type Libc = import("./libc.ts").LentMemory;

let libc: Libc | null | undefined;
let received = 0;
/** All memory that was made, the one that was lent last at the end. */
const pieces: Piece[] = [];
let lentAt = 0;
let isWatched = false;

/** Memory for an array of so many bytes; null where that is the engine's affair. */
export function takeBack(bytes: number): ArrayBuffer | null {
  if (libc === null) return null;
  received += bytes;
  if (libc === undefined) {
    if (received < WORTH_BYTES) return null;
    const { LentMemory } = require("./libc.ts") as typeof import("./libc.ts");
    libc = LentMemory.open();
    if (libc === null) return null;
  }
  const piece = find(libc, bytes) ?? make(libc, bytes);
  if (piece === null) return null;
  pieces.push(piece);
  lentAt = performance.now();
  watch(IDLE_MS);
  return libc.lend(piece.memory, bytes);
}

/** Gives all that has come back to the system. */
export function giveBack(): void {
  if (libc) dropBack(libc, 0);
}

/** Memory that has come back, and is not much larger. */
function find(libc: Libc, bytes: number): Piece | null {
  const fits = (piece: Piece) => piece.bytes >= bytes && piece.bytes <= bytes + bytes / 4 + PAGE;
  const at = pieces.findIndex((piece) => fits(piece) && libc.isBack(piece.memory));
  return at < 0 ? null : pieces.splice(at, 1)[0]!;
}

function make(libc: Libc, bytes: number): Piece | null {
  // What is held for nothing is no more than what is in use.
  const inUse = pieces.reduce(
    (sum, { memory, bytes }) => sum + (libc.isBack(memory) ? 0 : bytes),
    0,
  );
  dropBack(libc, inUse);
  const whole = Math.ceil(bytes / PAGE) * PAGE;
  const memory = libc.make(whole);
  return memory === null ? null : { memory, bytes: whole };
}

/** Drops what has come back, the oldest first, until no more than `most` bytes of it are left. */
function dropBack(libc: Libc, most: number): void {
  const back = pieces.filter(({ memory }) => libc.isBack(memory));
  let left = back.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const piece of back) {
    if (left <= most) break;
    left -= piece.bytes;
    pieces.splice(pieces.indexOf(piece), 1);
    libc.drop(piece.memory, piece.bytes);
  }
}

/** After a silence memory is given back; arrays that are collected later are looked for seldom. */
function watch(ms: number): void {
  if (isWatched) return;
  isWatched = true;
  setTimeout(() => {
    isWatched = false;
    const isIdle = performance.now() - lentAt >= IDLE_MS;
    if (isIdle) giveBack();
    if (pieces.length > 0) watch(isIdle ? Math.min(2 * ms, MOST_IDLE_MS) : IDLE_MS);
  }, ms).unref();
}
