/** The output of a job on its worker: in files without a name, of which no end leaves anything. */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Linux's value on most architectures: a file that never has a name (open(2)). */
const O_TMPFILE = process.arch === "x64" ? 0o20200000 : 0o20040000;

const READ_WRITE = constants.O_RDWR;
const OWN = 0o600;

let canBeNameless = process.platform === "linux";
let count = 0;

/** `flags`: beside those for reading and writing. */
export function openNameless(flags = 0): number {
  const folder = tmpdir();
  if (canBeNameless) {
    try {
      return openSync(folder, O_TMPFILE | READ_WRITE | flags, OWN);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // Network file systems know no such files.
      if (code !== "EOPNOTSUPP" && code !== "EISDIR" && code !== "EINVAL") throw error;
      canBeNameless = false;
    }
  }
  const path = join(folder, `bsync-multi-${process.pid}-${++count}`);
  const made = constants.O_CREAT | constants.O_EXCL;
  const fd = openSync(path, READ_WRITE | made | flags, OWN);
  unlinkSync(path);
  return fd;
}

/** More than what may be left of a block that a file has already. */
const PROBE = new Uint8Array(8_193);

/** How often it is written before it is given back. */
const PROBES = 8;

let probe: number | null = null;
let probed = 0;

/**
 * Whether there is room where outputs are: without it what was being written is cut off, and not
 * every program notices. To try it sees quotas, too; where nothing `isWritten` it costs too much.
 */
export function hasRoom(isWritten: boolean): boolean {
  try {
    if (!isWritten) return statfsSync(tmpdir()).bavail > 0;
    probe ??= openNameless();
    const written = writeSync(probe, PROBE, 0, PROBE.length, probed * PROBE.length);
    // To give room back takes longer than to take it.
    if (++probed === PROBES) forgetProbes(probe);
    return written === PROBE.length;
  } catch (error) {
    if (probe !== null) forgetProbes(probe);
    const code = (error as NodeJS.ErrnoException).code;
    return code !== "ENOSPC" && code !== "EDQUOT";
  }
}

function forgetProbes(fd: number): void {
  ftruncateSync(fd);
  probed = 0;
}

const NEWLINE = 10;

/** Bytes that are looked through at once for the end of a line. */
const LOOK_BYTES = 1 << 20;

export class Spool {
  /** How far each output was looked through for ends of lines. */
  readonly #looked: [number, number] = [0, 0];
  /** For the job's standard output and error. */
  readonly descriptors: readonly [number, number];
  #isOpen = true;

  constructor() {
    const out = openNameless(constants.O_APPEND);
    try {
      this.descriptors = [out, openNameless(constants.O_APPEND)];
    } catch (error) {
      closeSync(out);
      throw error;
    }
  }

  size(stream: 0 | 1): number {
    return this.#isOpen ? fstatSync(this.descriptors[stream]).size : 0;
  }

  /** How far the whole lines go that there are, from a place that one begins at. */
  endOfLines(stream: 0 | 1, from: number): number {
    const size = this.size(stream);
    // What was looked through before is not looked through again.
    const looked = Math.max(from, this.#looked[stream]);
    let end = from;
    for (let at = looked; at < size; at += LOOK_BYTES) {
      const bytes = this.read(stream, at, Math.min(LOOK_BYTES, size - at));
      const newline = bytes.lastIndexOf(NEWLINE);
      if (newline >= 0) end = at + newline + 1;
    }
    this.#looked[stream] = Math.max(end, size);
    return end;
  }

  /** Up to `length` bytes. */
  read(stream: 0 | 1, from: number, length: number): Uint8Array {
    if (!this.#isOpen || length === 0) return new Uint8Array(0);
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const fd = this.descriptors[stream];
      const count = readSync(fd, bytes, filled, length - filled, from + filled);
      if (count === 0) break;
      filled += count;
    }
    return filled === length ? bytes : bytes.slice(0, filled);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const fd of this.descriptors) closeSync(fd);
  }
}
