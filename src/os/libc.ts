import { dlopen, type FFIFunction, type Library, type Pointer, read, toArrayBuffer } from "bun:ffi";
import { crypto } from "./natives.ts";

const MACHINE = process.arch === "x64" ? "x86_64" : "aarch64";

/** On Debian and the like, and on Alpine. */
const NAMES = ["libc.so.6", `libc.musl-${MACHINE}.so.1`];

/** Functions of this system's C library; null if it has another name, or lacks them. */
export function openLibc<Fns extends Record<string, FFIFunction>>(fns: Fns): Library<Fns> | null {
  for (const name of NAMES) {
    try {
      return dlopen(name, fns);
    } catch {
      // another libc: try the next name
    }
  }
  return null;
}

/** mmap(2), Linux's values. */
const READ_WRITE = 3;
const PRIVATE_ANONYMOUS = 0x22;

const PAGE = 4096;
/** Bytes of a mark, before its closing zero. */
const MARK = 16;

/**
 * Memory that is lent to arrays and comes back: when an array is collected, wherever it has been
 * transferred to by then, the engine calls its deallocator, in any thread. No JavaScript may run
 * there. So the deallocator is the C library's own strcpy, which writes a mark into the memory: 16
 * random bytes, that no array has there but by copying them from memory that is not its own.
 */
export class LentMemory {
  readonly #libc: MemoryLibrary["symbols"];
  readonly #strcpy: Pointer;
  readonly #mark: Pointer;

  private constructor(libc: MemoryLibrary["symbols"], strcpy: Pointer, mark: Pointer) {
    this.#libc = libc;
    this.#strcpy = strcpy;
    this.#mark = mark;
  }

  /** null where the C library has another name, or there is no memory. */
  static open(): LentMemory | null {
    const libc = process.platform === "linux" ? openLibc(MEMORY)?.symbols : undefined;
    const strcpy = pointer(libc?.dlsym(null, text("strcpy")));
    const mark = libc === undefined ? null : map(libc, PAGE);
    if (libc === undefined || strcpy === null || mark === null) return null;
    const random = crypto.getRandomValues(new Uint8Array(MARK)).map((byte) => byte || 1);
    new Uint8Array(toArrayBuffer(mark, 0, MARK)).set(random);
    return new LentMemory(libc, strcpy, mark);
  }

  /** New memory of so many bytes, a multiple of a page; null where there is none. */
  make(bytes: number): Pointer | null {
    return map(this.#libc, bytes);
  }

  /** Lends the first `bytes` bytes; what they are is left from the last array. */
  lend(memory: Pointer, bytes: number): ArrayBuffer {
    const buffer = lend(memory, 0, bytes, this.#mark, this.#strcpy);
    new Uint8Array(buffer, 0, MARK).fill(0);
    return buffer;
  }

  /** Whether what was lent has come back. */
  isBack(memory: Pointer): boolean {
    const isEqual = (at: number): boolean => read.u64(memory, at) === read.u64(this.#mark, at);
    return isEqual(0) && isEqual(MARK / 2);
  }

  /** Gives memory that has come back to the system. */
  drop(memory: Pointer, bytes: number): void {
    this.#libc.munmap(memory, bytes);
  }
}

const MEMORY = {
  mmap: { args: ["ptr", "u64", "int", "int", "int", "i64"], returns: "ptr" },
  munmap: { args: ["ptr", "u64"], returns: "int" },
  dlsym: { args: ["ptr", "buffer"], returns: "ptr" },
} as const satisfies Record<string, FFIFunction>;

type MemoryLibrary = Library<typeof MEMORY>;

function map({ mmap }: MemoryLibrary["symbols"], bytes: number): Pointer | null {
  const memory = mmap(null, bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0);
  return pointer(memory);
}

/** Addresses of a process have 47 bits, or 48. MAP_FAILED has all there are. */
function pointer(address: Pointer | bigint | null | undefined): Pointer | null {
  const number = Number(address ?? 0);
  return number === 0 || number > Number.MAX_SAFE_INTEGER ? null : (number as Pointer);
}

/** Its types leave out the deallocator, `(bytes, context) => void`, and its context. */
const lend = toArrayBuffer as (
  memory: Pointer,
  offset: number,
  bytes: number,
  context: Pointer,
  deallocator: Pointer,
) => ArrayBuffer;

/** Linux's values, on every architecture that Bun runs on (fcntl(2)). */
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_ASYNC = 0o20000;
const SIGKILL = 9;

/**
 * The kernel ends this process and its group once the other end of a socket is closed, whatever the
 * thread does then. Nothing may ever be written to the socket. Linux only: elsewhere it does
 * nothing.
 */
export function endWith(socket: number): void {
  if (process.platform !== "linux") return;
  const fcntl = openLibc({ fcntl: { args: ["int", "int", "i64"], returns: "int" } })?.symbols.fcntl;
  if (fcntl === undefined) return;
  fcntl(socket, F_SETOWN, -process.pid);
  fcntl(socket, F_SETSIG, SIGKILL);
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL, 0) | O_ASYNC);
}

/**
 * Sets a variable of C's environment: `process.env` is Bun's own copy, whose changes reach
 * children, but no library of this process.
 */
export function setForC(name: string, value: string): void {
  const libc = openLibc({ setenv: { args: ["cstring", "cstring", "int"], returns: "int" } });
  libc?.symbols.setenv(text(name), text(value), 1);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}
