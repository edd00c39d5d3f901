import { openLibc } from "./libc.ts";

/** Linux's values (poll(2), recv(2)), on every architecture that Bun runs on. */
const POLLIN = 1;
const MSG_DONTWAIT = 0x40;

/** 32-bit words of a `struct pollfd`: the descriptor; the wanted events, and those that came. */
const WORDS = 2;

const open = () =>
  openLibc({
    poll: { args: ["ptr", "u64", "int"], returns: "int" },
    recv: { args: ["int", "ptr", "u64", "int"], returns: "i64" },
  });

let libc: ReturnType<typeof open> | undefined;

const drained = new Uint8Array(256);

/**
 * Blocks this thread until one of these sockets can be read, or `ms` are over. The sockets that can
 * be read, or have come to their end, as places in `fds`; null where the system has no poll(2) that
 * can be called from here: then it has not waited.
 */
export function waitReadable(fds: readonly number[], ms: number): readonly number[] | null {
  libc ??= process.platform === "linux" ? open() : null;
  if (libc === null) return null;
  const words = new Int32Array(WORDS * fds.length);
  for (let i = 0; i < fds.length; i++) {
    words[WORDS * i] = fds[i]!;
    words[WORDS * i + 1] = POLLIN;
  }
  // Rounded up: a caller that waits for the rest of a millisecond would not wait at all.
  libc.symbols.poll(words, fds.length, Math.ceil(ms));
  const ready: number[] = [];
  for (let i = 0; i < fds.length; i++) if (words[WORDS * i + 1]! >>> 16 !== 0) ready.push(i);
  return ready;
}

/** Takes what a socket has that can be read. False where it has come to its end, or failed. */
export function drain(fd: number): boolean {
  if (libc === null || libc === undefined) return true;
  const { recv } = libc.symbols;
  const read = () => Number(recv(fd, drained, drained.length, MSG_DONTWAIT));
  const first = read();
  for (let length = first; length === drained.length; length = read());
  return first > 0;
}
