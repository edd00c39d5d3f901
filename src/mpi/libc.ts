import { dlopen, type FFIFunction, type Library } from "bun:ffi";

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

/** Ends this process by SIGALRM (alarm(2)) if it has not ended by itself within so many ms, in whole seconds. */
export function killAfter(ms: number): void {
  process.removeAllListeners("SIGALRM");
  openLibc({ alarm: { args: ["u32"], returns: "u32" } })?.symbols.alarm(Math.ceil(ms / 1_000));
}
