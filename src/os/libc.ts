import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { forgetAll } from "./unseen.ts";

const MACHINE = process.arch === "x64" ? "x86_64" : "aarch64";

/** Debian's and its like, and Alpine's. */
const NAMES = ["libc.so.6", `libc.musl-${MACHINE}.so.1`];

/** Functions of the C library of this system; null where it has another name, or lacks them. */
export function openLibc<Fns extends Record<string, FFIFunction>>(fns: Fns): Library<Fns> | null {
  for (const name of NAMES) {
    try {
      return dlopen(name, fns);
    } catch {
      // Another libc; the next name.
    }
  }
  return null;
}

/**
 * Ends this process by SIGALRM (alarm(2)) if it has not ended by itself within so many ms, in whole
 * seconds.
 */
export function killAfter(ms: number): void {
  forgetAll("SIGALRM");
  openLibc({ alarm: { args: ["u32"], returns: "u32" } })?.symbols.alarm(Math.ceil(ms / 1_000));
}

/** Of Linux, on every architecture that Bun runs on (fcntl(2)). */
const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const F_SETSIG = 10;
const O_ASYNC = 0o20000;
const SIGKILL = 9;

/**
 * The kernel ends this process, and its group, once the other end of a socket is closed, whatever
 * holds its thread then. Nothing may ever be written to it. Does nothing on other systems than
 * Linux.
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
 * Sets a variable of the environment that C sees: `process.env` is Bun's own copy of it, and what
 * is set there reaches children, but no library of this process.
 */
export function setForC(name: string, value: string): void {
  const libc = openLibc({ setenv: { args: ["cstring", "cstring", "int"], returns: "int" } });
  libc?.symbols.setenv(text(name), text(value), 1);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}
