/**
 * A sign of life in a file that other hosts may have open as well. On some network file systems a
 * lock reaches no other host; there a holder changes the file's time, and the next one, which got
 * the lock all the same, looks whether that goes on. A holder whose event loop is held gives no
 * sign meanwhile: this is a second guard, not a lock.
 */
import { statSync, utimesSync } from "node:fs";
import { clearInterval, Date, performance, setInterval } from "../os/natives.ts";
import { BEAT_MS } from "../os/waits.ts";

/** Beats that a live holder may miss. */
const MISSED = 3;
/** ms between two looks. */
const LOOK_MS = 20;

/** Gives the sign until the returned function is called; the process need not stay for it. */
export function beat(path: string): () => void {
  const timer = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(path, now, now);
    } catch {
      // It was removed: the next commit says so.
    }
  }, BEAT_MS).unref();
  return () => clearInterval(timer);
}

/** Whether a holder gives the sign. Blocks for as long as it takes to be sure. */
export function isBeating(path: string): boolean {
  const before = timeOf(path);
  const until = performance.now() + MISSED * BEAT_MS;
  while (performance.now() < until) {
    Bun.sleepSync(LOOK_MS);
    if (timeOf(path) !== before) return true;
  }
  return false;
}

function timeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
