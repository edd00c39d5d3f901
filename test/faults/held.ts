/**
 * Tasks that stand still where a test wants them, until a word is said at their gate, and then do what
 * it says. Each holds its first caller only: whoever comes to the same gate later walks through.
 */
import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { taskContext, usingMpi } from "../../index.ts";
import { TASK_WORD } from "../../src/link/local/ring-buffer.ts";
import { SHARED_BYTES } from "../../src/link/local/shared.ts";

/** What each of these tasks is worth in the end. */
export const WORTH = 7;

/** ms that `holdNative` is out of reach. */
export const NATIVE_MS = 900;

export function holdSync(path: string): number {
  if (!arrive(path)) return WORTH;
  while (isHeld(path)) Bun.sleepSync(1);
  return obey(path);
}

/** Where several workers come at once: holds a local process, or a rank. */
export function holdWhere(path: string, local: boolean): number {
  return usingMpi() === local ? WORTH : holdSync(path);
}

export async function holdAsync(path: string): Promise<number> {
  if (!arrive(path)) return WORTH;
  while (isHeld(path)) await new Promise((resolve) => setTimeout(resolve, 1));
  return obey(path);
}

/** Waits for a task of its own. */
export async function haveChild(): Promise<number> {
  return await taskContext().pool.async(pidOf);
}

/** Waits for a task of its own, which is held on the same worker. */
export async function holdChild(path: string): Promise<number> {
  const { pool, worker } = taskContext();
  return await pool.with({ worker }).async(holdAsync, path);
}

/** One call of native code, which nothing interrupts and no word ends. */
export function holdNative(path: string): number {
  if (arrive(path)) Bun.sleepSync(NATIVE_MS);
  return WORTH;
}

/** Holds where its result is encoded, which may look at a property more than once. */
export function holdReply(path: string): { readonly worth: number } {
  return {
    get worth() {
      holdSync(path);
      return obey(path);
    },
  };
}

/** Goes on with the next word once its result was sent. */
export function holdAfter(path: string): number {
  if (arrive(path)) setTimeout(() => void obeyLater(path), 0);
  return WORTH;
}

/** Obeys while its answer, which is longer than any link holds at once, is on its way. */
export function holdAnswer(path: string): Uint8Array | number {
  if (!arrive(path)) return WORTH;
  setTimeout(() => obey(path), 0);
  return new Uint8Array(20_000_000);
}

/** Short, but for the one call that is given a gate. */
export function holdQuick(path: string | null): number {
  return path === null ? WORTH : holdSync(path);
}

export function pidOf(): number {
  return process.pid;
}

/** The text of a module that holds whoever loads it, but for the process that marked itself. */
export function holdingModule(path: string): string {
  return (
    `import { holdSync } from ${JSON.stringify(import.meta.path)};\n` +
    `const here = Reflect.has(globalThis, Symbol.for("faults.controller"));\n` +
    `export const worth = here ? 0 : holdSync(${JSON.stringify(path)});\n` +
    `export function loaded() { return worth; }\n`
  );
}

/** True for the first to come; it leaves its pid. */
function arrive(path: string): boolean {
  try {
    mkdirSync(join(path, "taken"));
    writeFileSync(join(path, "pid"), `${process.pid}`);
    renameSync(join(path, "pid"), join(path, "reached-0"));
    return true;
  } catch {
    return false;
  }
}

function isHeld(path: string): boolean {
  return existsSync(path) && !existsSync(join(path, "open"));
}

async function obeyLater(path: string): Promise<void> {
  writeFileSync(join(path, "waits"), "");
  while (isHeld(path)) await new Promise((resolve) => setTimeout(resolve, 1));
  obey(path);
}

function obey(path: string): number {
  let word = "";
  try {
    word = readFileSync(join(path, "open"), "utf8");
  } catch {
    // The test is over.
  }
  if (word === "throw") throw new RangeError("told to throw");
  if (word === "scribble") return scribble();
  if (word.startsWith("exit ")) process.exit(Number(word.slice(5)));
  if (word.startsWith("SIG")) {
    process.kill(process.pid, word);
    for (;;) Bun.sleepSync(10);
  }
  return WORTH;
}

/** Overwrites all that this worker shares with its parent, but for the note of what it has begun. */
function scribble(): never {
  // It has no name and no descriptor: as native code that has lost its way does, by its address.
  const line = readFileSync("/proc/self/maps", "latin1").match(/^.*\/dev\/shm\/#.*$/m)![0];
  const start = parseInt(line, 16);
  const memory = openSync("/proc/self/mem", "r+");
  const bytes = Uint8Array.from({ length: SHARED_BYTES }, (_, i) => (i * 2_654_435_761) >>> 13);
  const note = SHARED_BYTES / 2 + 4 * TASK_WORD;
  writeSync(memory, bytes, note + 4, SHARED_BYTES - note - 4, start + note + 4);
  writeSync(memory, bytes, 0, note, start);
  for (;;) Bun.sleepSync(10);
}
