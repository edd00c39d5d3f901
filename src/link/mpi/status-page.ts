import { closeSync, statSync } from "node:fs";
import { procOf } from "../../os/proc.ts";
import { createMemory, NoMemoryError, type SharedMemory } from "../local/memory.ts";
import { TaskWord } from "../task-word.ts";
import { Atomics, crypto } from "../../os/natives.ts";

const BYTES = 64;
/**
 * Where the two numbers of the task word are, the key, and the counts of reads and of messages
 * sent.
 */
const TASK_WORD = 0;
const KEY = 2;
const READ = 3;
const SENT = 4;

/**
 * Reports of a serving rank without a message: some bytes that it shares with its controller, where
 * both are processes of one machine. The controller finds them by the rank's descriptor under
 * /proc; the key shows that it has found the right ones.
 */
export class StatusPage {
  readonly taskWord: TaskWord;
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
    this.taskWord = new TaskWord(words.subarray(TASK_WORD, TASK_WORD + 2));
  }

  /** The rank looks for missing parts of a message. */
  read(): void {
    this.#words[READ]!++;
  }

  /** The rank has sent so many messages on this link: written before any further report. */
  reportSent(messages: number): void {
    Atomics.store(this.#words, SENT, messages | 0);
  }

  /** How many messages the controller has received or will: MPI may take its time to show them. */
  get sent(): number {
    return Atomics.load(this.#words, SENT) >>> 0;
  }

  /** While this changes, the rank receives a message that comes in parts. */
  get reading(): number {
    return Atomics.load(this.#words, READ);
  }
}

/** How a controller finds the memory that a rank has made. */
export interface StatusPageOffer {
  readonly fd: number;
  readonly key: number;
}

/**
 * Makes the page of a rank; null where there is no such memory. The descriptor is the rank's to
 * close once the controller has found the page.
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

/** Finds the page of a rank, on the controller; null where it cannot be had. */
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
    // Another user's, or in a container of its own: then no call can be reclaimed.
    return null;
  }
}

export function closeStatusPage({ fd }: StatusPageOffer): void {
  closeSync(fd);
}

function wordsOf(memory: Uint8Array): Int32Array {
  return new Int32Array(memory.buffer, memory.byteOffset, BYTES / 4);
}
