import { closeSync, readlinkSync, statSync } from "node:fs";
import { createMemory, mapMemory } from "./memory.ts";
import { Note } from "./note.ts";

/**
 * The `Note` of a rank that serves: some bytes that it shares with its controller, where both are
 * processes of one machine. Their way from one to the other is the rank's descriptor, which the
 * controller finds under /proc; the key says that it has found the right one.
 */

const BYTES = 64;
/** Where the note's two words are, and the key. */
const NOTE = 0;
const KEY = 2;

/** How a rank tells of the memory that it has made. */
export interface BoardOffer {
  readonly fd: number;
  readonly key: number;
}

/** Made by a rank; null where there is no such memory. The descriptor is its to close once it was found. */
export function makeBoard(): (BoardOffer & { readonly note: Note }) | null {
  const fd = createMemory(BYTES);
  if (fd === null) return null;
  const words = wordsOf(mapMemory(fd));
  const key = crypto.getRandomValues(new Uint32Array(1))[0]!;
  words[KEY] = key;
  return { fd, key, note: noteOf(words) };
}

/** Found by the controller; null where it is not to be had. */
export function findBoard(pid: number, { fd, key }: BoardOffer): Note | null {
  const path = `/proc/${pid}/fd/${fd}`;
  try {
    const isMemory = readlinkSync(path).startsWith("/dev/shm/") && statSync(path).size === BYTES;
    if (!isMemory) return null;
    const words = wordsOf(Bun.mmap(path, { shared: true }));
    return words[KEY]! >>> 0 === key ? noteOf(words) : null;
  } catch {
    // Another user's, or in a container of its own: then nothing can be taken back.
    return null;
  }
}

export function closeBoard({ fd }: BoardOffer): void {
  closeSync(fd);
}

function wordsOf(memory: Uint8Array): Int32Array {
  return new Int32Array(memory.buffer, memory.byteOffset, BYTES / 4);
}

function noteOf(words: Int32Array): Note {
  return new Note(words.subarray(NOTE, NOTE + 2));
}
