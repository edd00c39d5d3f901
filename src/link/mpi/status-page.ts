import { closeSync, statSync } from "node:fs";
import { procOf } from "../../os/proc.ts";
import { createMemory, NoMemoryError, type SharedMemory } from "../local/memory.ts";
import { TaskWord } from "../task-word.ts";
import { Atomics, crypto } from "../../os/natives.ts";

const BYTES = 64;
/**
 * Where the two numbers of the task word are, the key, and the counts of readings and of messages
 * sent.
 */
const TASK_WORD = 0;
const KEY = 2;
const READ = 3;
const SENT = 4;

/**
 * What a rank that serves tells without a message: some bytes that it shares with its controller,
 * where both are processes of one machine. Their way from one to the other is the rank's
 * descriptor, which the controller finds under /proc; the key says that it has found the right one.
 */
export class StatusPage {
  readonly taskWord: TaskWord;
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
    this.taskWord = new TaskWord(words.subarray(TASK_WORD, TASK_WORD + 2));
  }

  /** The rank looks for what is missing of a message that comes in parts. */
  read(): void {
    this.#words[READ]!++;
  }

  /** The rank has sent so many messages on this link: told before it tells anything else. */
  tellSent(messages: number): void {
    Atomics.store(this.#words, SENT, messages | 0);
  }

  /**
   * How many messages are, or will be, to be found by the controller. MPI may take its time to show
   * them.
   */
  get sent(): number {
    return Atomics.load(this.#words, SENT) >>> 0;
  }

  /** While this changes, the rank takes in a message that comes in parts. */
  get reading(): number {
    return Atomics.load(this.#words, READ);
  }
}

/** How a rank tells of the memory that it has made. */
export interface StatusPageOffer {
  readonly fd: number;
  readonly key: number;
}

/**
 * Made by a rank; null where there is no such memory. The descriptor is its to close once it was
 * found.
 */
export function createStatusPage(): {
  readonly statusPage: StatusPage;
  readonly offer: StatusPageOffer;
} | null {
  let shared: SharedMemory;
  try {
    shared = createMemory(BYTES);
  } catch (error) {
    if (error instanceof NoMemoryError) return null;
    throw error;
  }
  const { fd, memory } = shared;
  const words = wordsOf(memory);
  const key = crypto.getRandomValues(new Uint32Array(1))[0]!;
  words[KEY] = key;
  return { statusPage: new StatusPage(words), offer: { fd, key } };
}

/** Found by the controller; null where it is not to be had. */
export function findStatusPage(pid: number, { fd, key }: StatusPageOffer): StatusPage | null {
  const folder = procOf(pid);
  if (folder === null) return null;
  const path = `${folder}/fd/${fd}`;
  try {
    const { nlink, size } = statSync(path);
    // A file without a name, of that size: nothing else is touched.
    if (nlink !== 0 || size !== BYTES) return null;
    const words = wordsOf(Bun.mmap(path, { shared: true }));
    return words[KEY]! >>> 0 === key ? new StatusPage(words) : null;
  } catch {
    // Another user's, or in a container of its own: then nothing can be taken back.
    return null;
  }
}

export function closeStatusPage({ fd }: StatusPageOffer): void {
  closeSync(fd);
}

function wordsOf(memory: Uint8Array): Int32Array {
  return new Int32Array(memory.buffer, memory.byteOffset, BYTES / 4);
}
