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
