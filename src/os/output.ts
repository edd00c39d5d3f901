/**
 * The unwritten standard output and error of processes. Bun takes in written bytes and returns; if
 * a pipe has no room, they wait in memory that JavaScript does not see, and an early end drops
 * them. The kernel shows it: a thread that is held in a write, or a descriptor that is watched for
 * room.
 */
import { Promise, performance, setTimeout } from "./natives.ts";
import { readdirSync, writeFileSync, writeSync } from "node:fs";
import { descendantsOf, exitProcess } from "./processes.ts";
import { linkOfProc, procOf, readProc } from "./proc.ts";
import { LAST_WRITES_MS, LOOK_MS, WRITING_MS, WRITTEN_MS } from "./waits.ts";

/** The numbers of write(2), writev(2) and pwritev2(2), by architecture. */
const WRITES: Readonly<Record<string, readonly string[]>> = {
  x64: ["1", "20", "328"],
  arm64: ["64", "66", "287"],
};

const EPOLLOUT = 4;

/**
 * The name of a main thread that waits between two tries for the reader of its output; the
 * descriptor follows (15 letters at most).
 */
const HELD_NAME = "bsync: held ";

/**
 * ms between two checks of this process's unwritten output; and how many in a row have to find
 * none.
 */
const WRITTEN_LOOK_MS = 10;
const LOOKS = 2;
/**
 * The number of checks if the process may end by itself before: one that has not may be about to
 * write.
 */
const LOOKS_AT_REST = 10;

/** After so many missed checks the last one no longer counts. */
const FORGET_LOOKS = 5;

/** The targets of a process's standard output and error, as "pipe:[4711]". */
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

/** The threads of a process that are held in a write, and the write's target. */
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
 * Shows other processes that this one waits for the reader of its output; returns a function that
 * ends this.
 */
export function sayHeld(fd: number): () => void {
  const folder = procOf(process.pid);
  const name = readProc(process.pid, "comm");
  if (folder === null || name === null) return () => {};
  const rename = (to: string) => {
    try {
      writeFileSync(`${folder}/comm`, to);
    } catch {
      // Read-only there: then nobody sees it.
    }
  };
  rename(`${HELD_NAME}${fd}`);
  return () => rename(name.trimEnd());
}

/** The targets in which the event loops of a process wait for room. */
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

/** The outputs to which a process, or one that it started, still has something to write. */
function unwritten(pid: number): Set<string> {
  const outputs = outputsOf(pid);
  const found = new Set<string>();
  for (const one of [pid, ...descendantsOf(pid)]) {
    for (const { link } of heldThreads(one)) if (outputs.has(link)) found.add(link);
    for (const link of watchedForRoom(one)) if (outputs.has(link)) found.add(link);
  }
  return found;
}

/** How many bytes a process has written, to any target. */
function writtenBy(pid: number): string {
  return /^wchar: (\d+)/m.exec(readProc(pid, "io") ?? "")?.[1] ?? "";
}

/** Changes whenever a reader has taken in some of a process's output. */
function progressOf(pid: number): string {
  const parts: string[] = [];
  for (const one of [pid, ...descendantsOf(pid)]) {
    parts.push(writtenBy(one));
    // A thread held in a long write wakes for each page that is read.
    for (const { thread } of heldThreads(one)) {
      const status = readProc(one, `task/${thread}/status`) ?? "";
      parts.push(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? "");
    }
  }
  return parts.join();
}

/** Watches whether a process is done with its output. */
export class Writing {
  readonly #pid: number;
  /** Extra time for the process itself to decide first, and tell. */
  readonly #spareMs: number;
  readonly #begun = performance.now();
  #progress = "";
  #movedAt = this.#begun;

  constructor(pid: number) {
    this.#pid = pid;
    this.#spareMs = pid === process.pid ? 0 : WRITING_MS / 10;
  }

  /**
   * Whether it still writes, and its reader reads. A slow reader gets its time; a reader that takes
   * in nothing for ten minutes has stopped. The total limit is an hour: code that a task left
   * behind may write for ever.
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
 * One write that holds a process's thread, for the check whether the process is stuck: such a write
 * gets time to finish, unlike a loop that writes without end.
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
   * Whether the main thread is held by a write: the same one as at the last check, if one held it
   * then.
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
 * Resolves when this process has written its output, or nobody reads it. Unless it `holds` the
 * process, that may end by itself meanwhile: then it has written all.
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
  if (unwritten(process.pid).size > 0) reportUnread();
}

/**
 * Reports, where possible, output that is lost because its reader has taken in nothing for too
 * long.
 */
export function reportUnread(): void {
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

/** Thrown instead of ending the process. */
class Leaving extends Error {
  override readonly name = "Leaving";
}

let leaving = false;

/** Whether this process ends as soon as it has written all. */
export function isLeaving(): boolean {
  return leaving;
}

/** Whether an error is the one that `exitOnceWritten` throws. */
export function isLeave(error: unknown): boolean {
  return error instanceof Leaving;
}

/**
 * `process.exit` of a worker: output that tasks have written before is not lost. If some is
 * unwritten the process cannot end at once, and this throws; the task is not answered any more. A
 * second call, after the error was caught, ends the process.
 */
export function exitOnceWritten(code: number): never {
  if (leaving || unwritten(process.pid).size === 0) exitProcess(code);
  leaving = true;
  void written().then(() => exitProcess(code));
  throw new Leaving("The process ends as soon as what it has written before has left");
}
