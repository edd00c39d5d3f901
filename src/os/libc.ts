import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { forgetAll } from "./unseen.ts";

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

/**
 * Ends this process by SIGALRM (alarm(2)) if it has not ended by itself within so many ms, rounded
 * up to seconds.
 */
export function killAfter(ms: number): void {
  forgetAll("SIGALRM");
  openLibc({ alarm: { args: ["u32"], returns: "u32" } })?.symbols.alarm(Math.ceil(ms / 1_000));
}

/** posix_fallocate(3): the system interrupted it, and the file system cannot do it. */
const EINTR = 4;
const EOPNOTSUPP = 95;

type Allocating = Library<{ posix_fallocate: { args: ["int", "i64", "i64"]; returns: "int" } }>;

let allocating: Allocating | null | undefined;

/**
 * Reserves the first `bytes` bytes of a file, so that no write to them, nor to a mapping of them,
 * fails for lack of room. Returns 0, or the number of the system's error.
 */
export function reserve(fd: number, bytes: number): number {
  if (allocating === undefined) {
    allocating = openLibc({ posix_fallocate: { args: ["int", "i64", "i64"], returns: "int" } });
  }
  if (allocating === null) return 0;
  for (;;) {
    const error = allocating.symbols.posix_fallocate(fd, 0, bytes);
    if (error !== EINTR) return error === EOPNOTSUPP ? 0 : error;
  }
}

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
