/**
 * Keeps bsync's own code whole where a task calls it. What interrupts a task's synchronous code
 * ends it wherever it is: no `catch` and no `finally` is asked. In the midst of a pool of the
 * task's own that would leave half of a change behind. So a process in which a task can reach such
 * code has its timeouts struck by a thread of its own (`worker/watchdog.ts`), which asks a word of
 * shared memory first; whatever is called here closes it.
 *
 *   open ──whole()──▶ closed ──▶ open       a strike waits until it is open
 *   open ──the time is over──▶ striking     whoever wants to close it waits there, to be struck
 */
import { Atomics, performance } from "./natives.ts";

/** What both threads share. */
export interface Memory {
  /** By `Word`. */
  readonly words: Int32Array;
  /** ms from the turn on, below 0 for none. */
  readonly delay: Float64Array;
}

export const Word = { Turn: 0, State: 1, Due: 2, Up: 3, Sent: 4 } as const;

/** In the place of the number of signals that were sent in a turn: none may be sent any more. */
export const NO_MORE = -1;

/** The two last bits of that word; the others are the turn that it is about. */
export const State = { Open: 0, Closed: 1, Striking: 2 } as const;

/** Bits of a turn. */
const TURNS = 0x1fff_ffff;

/** ms in which one of the signals that were sent has come. */
const LANDING_MS = 2_000;

let memory: Memory | null = null;
let turn = 0;
/** How many calls of bsync's own code lie in each other. */
let depth = 0;
/** When the task's time is over, on `performance.now()`. */
let dueAt = Infinity;

/** Whether a task runs here that a thread watches. */
export let isWatched = false;
/** Whether a task's synchronous code runs here under a timeout, watched by whomever. */
export let isTimed = false;

let occupants = 0;

/** Whether there is anything in this process that has to be kept whole. */
export function isOccupied(): boolean {
  return occupants > 0;
}

/** From now on there is, until what is returned is called. */
export function occupy(): () => void {
  occupants++;
  let isOver = false;
  return () => {
    if (!isOver) occupants--;
    isOver = true;
  };
}

/** Calls what is to be done as a whole. What it throws it throws. */
export function whole<T>(deed: () => T): T {
  if (!isWatched) return deed();
  // In this order: what a native function calls back, as a listener, may be struck and nobody hear
  // of it.
  if (depth === 0) close();
  depth++;
  try {
    return deed();
  } finally {
    if (--depth === 0) open();
  }
}

/** Lets a strike come that waits, at a place where all is whole: for what goes on for long. */
export function breathe(): void {
  if (isWatched && depth > 0) aside(() => {});
}

/** Calls the task's own code from within, at a place where all is whole. */
export function aside<T>(deed: () => T): T {
  if (!isWatched || depth === 0) return deed();
  const before = depth;
  depth = 0;
  open();
  try {
    return deed();
  } finally {
    close();
    depth = before;
  }
}

interface Kept {
  readonly targets: readonly object[];
  readonly except: readonly PropertyKey[];
}

/** Null once they are wrapped. */
let toKeep: Kept[] | null = [];

/**
 * Makes whole what the methods and getters of classes do: of their prototypes, and of themselves
 * for static ones. That costs them some ns a call, and so is done when a task is to be watched for
 * the first time.
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

/** A task is going to be watched. */
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

/** What is to be put back when a watch is over: one may begin while another is closed. */
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

/** A thread that shares `shared` strikes from now on, in `timeout` ms. */
export function beginWatch(shared: Memory, timeout: number): void {
  memory = shared;
  depth = 0;
  dueAt = performance.now() + timeout;
  isWatched = true;
  arm(timeout, State.Open);
}

/** The task's code has returned. A strike that is on its way hits here. */
export function endWatch(): void {
  close();
}

/** It was interrupted: true if signals may still be on their way. */
export function stopStrikes(): boolean {
  return Atomics.exchange(memory!.words, Word.Sent, NO_MORE) > 1;
}

/** It is over, be it that it has returned or was interrupted. */
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
  // The signal was lost. The controller's clock is left.
  Atomics.store(words, Word.State, now | State.Closed);
}
