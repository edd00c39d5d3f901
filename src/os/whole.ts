/**
 * Keeps bsync's own code whole where a task calls it. A timeout ends a task's synchronous code
 * wherever it is: no `catch` and no `finally` runs. Within a pool that the task has opened that
 * would leave half of a change behind. So a process in which a task can reach such code has a
 * thread for its timeouts (`worker/watchdog.ts`). The thread checks a word of shared memory before
 * it strikes; the calls made here close that word.
 *
 *   open ──whole()──▶ closed ──▶ open       a strike waits until it is open
 *   open ──the time is over──▶ striking     a caller that wants to close it waits to be struck
 */
import { Atomics, performance } from "./natives.ts";

/** The memory that both threads share. */
export interface Memory {
  /** By `Word`. */
  readonly words: Int32Array;
  /** ms from the start of the turn; below 0: no limit. */
  readonly delay: Float64Array;
}

export const Word = { Turn: 0, State: 1, Due: 2, Up: 3, Sent: 4 } as const;

/** Instead of the number of signals sent in a turn: no more may be sent. */
export const NO_MORE = -1;

/** The two lowest bits of the state word; the others are its turn. */
export const State = { Open: 0, Closed: 1, Striking: 2 } as const;

/** Bits of a turn. */
const TURNS = 0x1fff_ffff;

/** ms within which a sent signal arrives. */
const LANDING_MS = 2_000;

let memory: Memory | null = null;
let turn = 0;
/** How many calls of bsync's own code are nested. */
let depth = 0;
/** When the task's time is over, on `performance.now()`. */
let dueAt = Infinity;

/** Whether a task runs here that a thread watches. */
export let isWatched = false;
/** Whether a task's synchronous code runs here under a timeout, watched by a thread or not. */
export let isTimed = false;

let occupants = 0;

/** Whether anything in this process has to be kept whole. */
export function isOccupied(): boolean {
  return occupants > 0;
}

/** Makes `isOccupied` true until the returned function is called. */
export function occupy(): () => void {
  occupants++;
  let isOver = false;
  return () => {
    if (!isOver) occupants--;
    isOver = true;
  };
}

/** Calls `action` as a whole; passes on what it throws. */
export function whole<T>(action: () => T): T {
  if (!isWatched) return action();
  // In this order: a strike in a callback of a native function, as a listener, may go unnoticed.
  if (depth === 0) close();
  depth++;
  try {
    return action();
  } finally {
    if (--depth === 0) open();
  }
}

/** Admits a waiting strike at a place where all is whole: for long work. */
export function breathe(): void {
  if (isWatched && depth > 0) aside(() => {});
}

/** Calls the task's own code from within bsync's, at a place where all is whole. */
export function aside<T>(action: () => T): T {
  if (!isWatched || depth === 0) return action();
  const before = depth;
  depth = 0;
  open();
  try {
    return action();
  } finally {
    close();
    depth = before;
  }
}

interface Kept {
  readonly targets: readonly object[];
  readonly except: readonly PropertyKey[];
}

/** Null once all are wrapped. */
let toKeep: Kept[] | null = [];

/**
 * Makes the methods and getters of classes whole: pass prototypes and, for static ones, classes.
 * That costs some ns a call, and so is done only when a task is watched for the first time.
 */
export function keepWhole(targets: readonly object[], except: readonly PropertyKey[] = []): void {
  if (toKeep === null) wrap({ targets, except });
  else toKeep.push({ targets, except });
}

function wrap({ targets, except }: Kept): void {
  for (const target of targets) {
    for (const name of Reflect.ownKeys(target)) {
      const property = Object.getOwnPropertyDescriptor(target, name)!;
      if (name === "constructor" || except.includes(name) || !property.configurable) continue;
      const { value, get } = property;
      if (typeof value === "function") property.value = kept(value as Method);
      else if (get !== undefined) property.get = kept(get);
      Object.defineProperty(target, name, property);
    }
  }
}

/** Call before a task is watched. */
export function prepareWhole(): void {
  const all = toKeep ?? [];
  toKeep = null;
  all.forEach(wrap);
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function kept(method: Method): Method {
  const made: Method = function (...args) {
    if (!isWatched) return apply(method, this, args);
    return whole(() => apply(method, this, args));
  };
  Object.defineProperty(made, "name", { value: method.name });
  return Object.defineProperty(made, "length", { value: method.length });
}

const { apply } = Reflect;

/** State to restore when a watch ends: one may begin while another is closed. */
export interface Before {
  readonly isTimed: boolean;
  readonly isWatched: boolean;
  readonly depth: number;
  readonly dueAt: number;
}

/** A task's synchronous code is about to run under a timeout. */
export function beginTimed(): Before {
  const before = { isTimed, isWatched, depth, dueAt };
  isTimed = true;
  return before;
}

/** From now on a thread that shares `shared` strikes after `timeout` ms. */
export function beginWatch(shared: Memory, timeout: number): void {
  memory = shared;
  depth = 0;
  dueAt = performance.now() + timeout;
  isWatched = true;
  arm(timeout, State.Open);
}

/** The task's code has returned. A strike already under way hits here. */
export function endWatch(): void {
  close();
}

/** The code was interrupted: true if signals may still be under way. */
export function stopStrikes(): boolean {
  return Atomics.exchange(memory!.words, Word.Sent, NO_MORE) > 1;
}

/** The code is over: it returned, or was interrupted. */
export function endTimed(before: Before): void {
  const wasWatched = isWatched;
  ({ isTimed, isWatched, depth, dueAt } = before);
  if (isWatched) arm(Math.max(0, dueAt - performance.now()), depth > 0 ? State.Closed : State.Open);
  else if (wasWatched) arm(-1, State.Closed);
}

function arm(ms: number, state: number): void {
  const { words, delay } = memory!;
  turn = (turn + 1) & TURNS;
  delay[0] = ms;
  Atomics.store(words, Word.Due, 0);
  Atomics.store(words, Word.Sent, 0);
  Atomics.store(words, Word.State, (turn << 2) | state);
  Atomics.store(words, Word.Turn, turn);
  Atomics.notify(words, Word.Turn);
  // The thread may wait for the state of the turn before to open, which ended as it was.
  Atomics.notify(words, Word.State);
}

function open(): void {
  const { words } = memory!;
  Atomics.store(words, Word.State, (turn << 2) | State.Open);
  if (Atomics.load(words, Word.Due) !== 0) Atomics.notify(words, Word.State);
}

function close(): void {
  const { words } = memory!;
  const now = turn << 2;
  const found = Atomics.compareExchange(words, Word.State, now | State.Open, now | State.Closed);
  if (found !== (now | State.Striking)) return;
  const until = performance.now() + LANDING_MS;
  while (performance.now() < until);
  // The signal was lost. The controller's clock remains.
  Atomics.store(words, Word.State, now | State.Closed);
}
