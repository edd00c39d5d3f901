/**
 * What processes still have to write to their standard output and error. Bun takes in what is
 * written and returns; what a pipe has no room for waits in memory that JavaScript does not see,
 * and an early end drops it. The kernel sees it: a thread that is held in a write, or a descriptor
 * that is watched for room.
 */
import { Promise, performance, setTimeout } from "./natives.ts";
import { readdirSync, writeFileSync, writeSync } from "node:fs";
import { descendantsOf, exitProcess } from "./processes.ts";
import { linkOfProc, procOf, readProc } from "./proc.ts";
import { LAST_WRITES_MS, LOOK_MS, WRITING_MS, WRITTEN_MS } from "./waits.ts";

/** The numbers of write(2), writev(2) and pwritev2(2), by the machine. */
const WRITES: Readonly<Record<string, readonly string[]>> = {
  x64: ["1", "20", "328"],
  arm64: ["64", "66", "287"],
};

const EPOLLOUT = 4;

/**
 * The name of a main thread that waits for the reader of what it writes, between two tries; then
 * follows the descriptor (15 letters at most).
 */
const HELD_NAME = "bsync: held ";

/**
 * ms between two looks at what this process has to write; and how many in a row have to find
 * nothing.
 */
const WRITTEN_LOOK_MS = 10;
const LOOKS = 2;
/**
 * The same where all that has ended by itself before needs no look: what has not may be about to
 * write.
 */
const LOOKS_AT_REST = 10;

/** After so many looks without one, the last says nothing. */
const FORGET_LOOKS = 5;

/** What a process's standard output and error are, as in "pipe:[4711]". */
function outputsOf(pid: number): Set<string> {
  return new Set([1, 2].flatMap((fd) => linkOfProc(pid, `fd/${fd}`) ?? []));
}

function namesIn(pid: number, folder: string): string[] {
  const root = procOf(pid);
  if (root === null) return [];
  try {
    return readdirSync(`${root}/${folder}`);
  } catch {
    return [];
  }
}

/** The threads of a process that are held in a write, and what they write to. */
function* heldThreads(pid: number): Iterable<{ thread: string; link: string }> {
  const writes = WRITES[process.arch] ?? [];
  for (const thread of namesIn(pid, "task")) {
    const [call = "", fd = ""] = readProc(pid, `task/${thread}/syscall`)?.split(" ") ?? [];
    const link = writes.includes(call) ? linkOfProc(pid, `fd/${Number(fd)}`) : null;
    if (link !== null) yield { thread, link };
  }
  const name = readProc(pid, "comm") ?? "";
  const fd = name.startsWith(HELD_NAME) ? name.slice(HELD_NAME.length).trimEnd() : null;
  const link = fd === null ? null : linkOfProc(pid, `fd/${fd}`);
  if (link !== null) yield { thread: String(pid), link };
}

/**
 * Says that this process waits for the reader of what it writes, for whoever looks; returns what
 * takes it back.
 */
export function sayHeld(fd: number): () => void {
  const folder = procOf(process.pid);
  const name = readProc(process.pid, "comm");
  if (folder === null || name === null) return () => {};
  const rename = (to: string) => {
    try {
      writeFileSync(`${folder}/comm`, to);
    } catch {
      // It is read-only there: then nobody sees it.
    }
  };
  rename(`${HELD_NAME}${fd}`);
  return () => rename(name.trimEnd());
}

/** What the event loops of a process wait to have room in. */
function* watchedForRoom(pid: number): Iterable<string> {
  for (const fd of namesIn(pid, "fd")) {
    if (linkOfProc(pid, `fd/${fd}`) !== "anon_inode:[eventpoll]") continue;
    const info = readProc(pid, `fdinfo/${fd}`) ?? "";
    for (const [, target, events = ""] of info.matchAll(/^tfd:\s+(\d+) events:\s+(\w+)/gm)) {
      const link = parseInt(events, 16) & EPOLLOUT ? linkOfProc(pid, `fd/${target}`) : null;
      if (link !== null) yield link;
    }
  }
}

/** To which of its outputs a process, or one that it has started, still has something to write. */
function unwritten(pid: number): Set<string> {
  const outputs = outputsOf(pid);
  const found = new Set<string>();
  for (const one of [pid, ...descendantsOf(pid)]) {
    for (const { link } of heldThreads(one)) if (outputs.has(link)) found.add(link);
    for (const link of watchedForRoom(one)) if (outputs.has(link)) found.add(link);
  }
  return found;
}

/** How many bytes a process has written, to wherever. */
function writtenBy(pid: number): string {
  return /^wchar: (\d+)/m.exec(readProc(pid, "io") ?? "")?.[1] ?? "";
}

/** Changes whenever somebody has taken in something of what a process writes. */
function progressOf(pid: number): string {
  const parts: string[] = [];
  for (const one of [pid, ...descendantsOf(pid)]) {
    parts.push(writtenBy(one));
    // One that is held in a long write wakes for each page that is read.
    for (const { thread } of heldThreads(one)) {
      const status = readProc(one, `task/${thread}/status`) ?? "";
      parts.push(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? "");
    }
  }
  return parts.join();
}

/** The end of what a process writes, as somebody waits for it. */
export class Writing {
  readonly #pid: number;
  /** For the process itself to come to the same judgement before, and tell. */
  readonly #spareMs: number;
  readonly #begun = performance.now();
  #progress = "";
  #movedAt = this.#begun;

  constructor(pid: number) {
    this.#pid = pid;
    this.#spareMs = pid === process.pid ? 0 : WRITING_MS / 10;
  }

  /**
   * Whether it still writes, and somebody reads: a slow reader has its time, one that takes in
   * nothing for ten minutes has stopped. In all it is an hour: what a task left behind may write
   * for ever.
   */
  get goesOn(): boolean {
    if (unwritten(this.#pid).size === 0) return false;
    const now = performance.now();
    const progress = progressOf(this.#pid);
    if (progress !== this.#progress) {
      this.#progress = progress;
      this.#movedAt = now;
    }
    const spareMs = this.#spareMs;
    return now - this.#movedAt < WRITING_MS + spareMs && now - this.#begun < WRITTEN_MS + spareMs;
  }
}

/**
 * One write that holds a process's thread, for whoever takes the process for stuck: it has time to
 * come to its end, unlike a loop that writes without one.
 */
export class HeldWrite {
  readonly #pid: number;
  #since = 0;
  #lookedAt = -Infinity;
  #written: string | null = null;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /**
   * Whether the main thread is held by a write, which is the one of the last look, if it was then.
   */
  get goesOn(): boolean {
    const outputs = outputsOf(this.#pid);
    const main = String(this.#pid);
    const isHeld = Array.from(heldThreads(this.#pid)).some(
      ({ thread, link }) => thread === main && outputs.has(link),
    );
    const written = isHeld ? writtenBy(this.#pid) : null;
    const now = performance.now();
    const isFirst = this.#written === null || now - this.#lookedAt > FORGET_LOOKS * LOOK_MS;
    const isSame = isFirst || this.#written === written;
    if (isFirst) this.#since = now;
    this.#lookedAt = now;
    this.#written = written;
    return isHeld && isSame && now - this.#since < WRITING_MS;
  }
}

/**
 * Resolves when this process has written what it was given to write, or nobody reads that. Unless
 * it `holds` the process, that may come to its end by itself meanwhile: then it has written all.
 */
export async function written(holds = true): Promise<void> {
  const writing = new Writing(process.pid);
  const looks = holds ? LOOKS : LOOKS_AT_REST;
  const settleBy = performance.now() + LAST_WRITES_MS;
  let before = writtenBy(process.pid);
  for (let quiet = 0; quiet < looks;) {
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, WRITTEN_LOOK_MS);
      if (!holds) timer.unref();
    });
    const now = writtenBy(process.pid);
    const goesOn = writing.goesOn || (now !== before && performance.now() < settleBy);
    quiet = goesOn ? 0 : quiet + 1;
    before = now;
  }
  if (unwritten(process.pid).size > 0) tellUnread();
}

/** What a reader has not taken in for too long is lost, and told where that can be. */
export function tellUnread(): void {
  const error = linkOfProc(process.pid, "fd/2");
  if (error === null || unwritten(process.pid).has(error)) return;
  const text =
    `bsync: what process ${process.pid} has written to its standard output is lost in part: ` +
    "its reader has taken in nothing for too long\n";
  try {
    writeSync(2, text);
  } catch {
    // Nobody listens.
  }
}

/** Thrown in the place of an end. */
class Leaving extends Error {
  override readonly name = "Leaving";
}

let leaving = false;

/** Whether this process ends once it has written all. */
export function isLeaving(): boolean {
  return leaving;
}

/** Whether somebody throws what `exitOnceWritten` has thrown. */
export function isLeave(error: unknown): boolean {
  return error instanceof Leaving;
}

/**
 * `process.exit` of a worker: what tasks have written before is not lost by it. Where something is
 * left to write it cannot end at once, and throws; nothing of the task is answered any more.
 * Whoever catches that, and comes here again, ends the process.
 */
export function exitOnceWritten(code: number): never {
  if (leaving || unwritten(process.pid).size === 0) exitProcess(code);
  leaving = true;
  void written().then(() => exitProcess(code));
  throw new Leaving("The process ends as soon as what it has written before has left");
}
