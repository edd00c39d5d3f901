/**
 * Interrupts synchronous code whose time is over, whatever it catches. Two ways:
 *
 * - `node:vm`'s timeout, where nothing of bsync's own can be in the midst of anything. It costs
 *   next to nothing.
 * - Else a thread that strikes by a signal, and not before bsync's own code is whole
 *   (`os/whole.ts`): the engine has no way to put off a timeout of its own. It costs some 50 µs a
 *   call, most of it to listen to that signal.
 */
import { Script } from "node:vm";
import { Atomics, JSON, performance } from "../os/natives.ts";
import {
  beginTimed,
  beginWatch,
  endTimed,
  endWatch,
  isOccupied,
  type Memory,
  prepareWhole,
  State,
  stopStrikes,
  Word,
} from "../os/whole.ts";
import { listenUnseen } from "../os/unseen.ts";
import { exitProcess } from "../os/processes.ts";
import { timerDelay } from "../os/waits.ts";

/**
 * ms after which the thread strikes a second time, and twice as long after that a third. A strike
 * is lost if it hits code called by a native function that takes it for an error of its own, as a
 * listener of an `EventTarget` is.
 */
const AGAIN_MS = 20;

/** ms that a signal takes to come, at most. */
const ABSORB_MS = 100;

/** ms for the thread to start. */
const START_MS = 5_000;

// What `node:vm` runs is a text, so the call it is to make is handed over by these. Each instance
// of bsync has its own.
const SLOT = `bsync.call.${process.pid}.${performance.now()}`;
let pending: (() => void) | null = null;
let script: Script | null = null;

/** The exit code of this process, once it ends. */
let exitCode: number | null = null;

/** Undefined before it is needed; null where there can be none. */
let thread: Memory | null | undefined;

/** How a deed was interrupted: by its time, or by a SIGINT that somebody else has sent. */
export type Interruption = "time" | "signal";

/** To be called before a call's time begins: makes the thread, if it is needed. */
export function prepareWatchdog(): void {
  if (!isOccupied() || thread !== undefined) return;
  prepareWhole();
  thread = startThread();
}

/**
 * Calls `deed`, which throws nothing, and sets the `dueAt` of `clock`: before any timer counts it,
 * so that nothing is interrupted earlier. Null when it has come to its end.
 */
export function runWithin(
  timeout: number,
  clock: { dueAt: number },
  deed: () => void,
): Interruption | null {
  const outer = pending;
  const before = beginTimed();
  prepareWatchdog();
  const shared = (isOccupied() && thread) || null;
  const course = { hasBegun: false, hasEnded: false };
  pending = () => {
    course.hasBegun = true;
    if (shared !== null) beginWatch(shared, timeout);
    deed();
    if (shared !== null) endWatch();
    course.hasEnded = true;
  };
  try {
    script ??= prepare();
    clock.dueAt = performance.now() + timeout;
    script.runInThisContext(shared === null ? timeoutOf(timeout) : BREAK_ON_SIGNAL);
  } catch (error) {
    if (!course.hasBegun) {
      // On a busy machine its time may be over before it begins.
      const code = (error as { code?: unknown } | null)?.code;
      if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return "time";
      if (code === "ERR_SCRIPT_EXECUTION_INTERRUPTED") return "signal";
      // Code generation is forbidden altogether: the controller's clock alone watches this call.
      deed();
      return null;
    }
    const isOurs =
      shared === null || (Atomics.load(shared.words, Word.State) & 3) === State.Striking;
    if (shared !== null && !course.hasEnded && stopStrikes()) absorb();
    // The process was at its end, and its end was cut off: once more, where nothing is interrupted.
    if (exitCode !== null) exitProcess(exitCode);
    if (!course.hasEnded) return isOurs ? "time" : "signal";
  } finally {
    pending = outer;
    endTimed(before);
  }
  return null;
}

const BREAK_ON_SIGNAL = { breakOnSigint: true };

/** Whole ms, at least 1; beyond 24 days the controller's own clock has to do. */
function timeoutOf(ms: number): { timeout: number } {
  return { timeout: Math.max(1, timerDelay(Math.ceil(ms))) };
}

function prepare(): Script {
  listenUnseen("exit", (code: number) => (exitCode = code), true);
  Object.defineProperty(globalThis, SLOT, { value: () => pending?.() });
  return new Script(`globalThis[${JSON.stringify(SLOT)}]()`, { filename: import.meta.path });
}

/** The thread, and the memory by which it is told when to strike; null where there can be none. */
export function startThread(): Memory | null {
  const words = new Int32Array(new SharedArrayBuffer(64));
  const delay = new Float64Array(words.buffer, 32, 1);
  delay[0] = -1;
  try {
    // Few need it, and it takes a ms or two to load.
    const { Worker } = require("node:worker_threads") as typeof import("node:worker_threads");
    const worker = new Worker(STRIKER, { eval: true, workerData: words.buffer });
    worker.on("error", () => {});
    worker.unref();
  } catch {
    return null;
  }
  const isUp = Atomics.wait(words, Word.Up, 0, START_MS) !== "timed-out";
  return isUp ? { words, delay } : null;
}

/** Waits for a signal that may still be on its way, where it does no harm. */
function absorb(): void {
  pending = () => {
    for (const end = performance.now() + ABSORB_MS; performance.now() < end;);
  };
  try {
    script!.runInThisContext(BREAK_ON_SIGNAL);
  } catch {
    // That was it.
  }
}

/** A text, since a bundled program does not have this file. */
const STRIKER = `
  const { workerData } = require("node:worker_threads");
  const words = new Int32Array(workerData);
  const delay = new Float64Array(workerData, 32, 1);
  const { compareExchange, load, notify, store, wait } = Atomics;
  const signal = (turn) => {
    for (let sent = 0; load(words, ${Word.Turn}) === turn; sent++) {
      if (compareExchange(words, ${Word.Sent}, sent, sent + 1) !== sent) return;
      process.kill(process.pid, "SIGINT");
      wait(words, ${Word.Turn}, turn, ${AGAIN_MS} * 2 ** sent);
    }
  };
  const strike = (turn) => {
    while (load(words, ${Word.Turn}) === turn) {
      const open = (turn << 2) | ${State.Open};
      const striking = (turn << 2) | ${State.Striking};
      if (compareExchange(words, ${Word.State}, open, striking) === open) return signal(turn);
      store(words, ${Word.Due}, 1);
      wait(words, ${Word.State}, (turn << 2) | ${State.Closed});
    }
  };
  store(words, ${Word.Up}, 1);
  notify(words, ${Word.Up});
  for (;;) {
    const turn = load(words, ${Word.Turn});
    const ms = delay[0];
    if (wait(words, ${Word.Turn}, turn, ms < 0 ? Infinity : ms) !== "timed-out") continue;
    strike(turn);
    wait(words, ${Word.Turn}, turn);
  }
`;
