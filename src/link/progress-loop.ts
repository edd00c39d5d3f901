import { hasFailed } from "../os/failure.ts";
import {
  clearInterval,
  clearTimeout,
  performance,
  setImmediate,
  setInterval,
  setTimeout,
} from "../os/natives.ts";
import { stackIsFresh } from "../os/stack.ts";
import { LONGEST_MS } from "../os/waits.ts";

/** The source of the messages that a progress loop looks for. */
export interface ProgressSource {
  /** Receives what has come; true if anything has, or moved. */
  poll(): boolean;
  /** Whether anything more is expected. */
  isExpecting(): boolean;
  /** Yields this core to another process that wants it: it may be the one that is waited for. */
  yieldCore(): void;
  /**
   * `arm` lets the other side know; else that counts on this side being awake for all of its spin.
   */
  readonly peerSeesSleep: boolean;
  /** This side is about to sleep; false if there is something to do after all. */
  arm(): boolean;
  /** It does not sleep any more. */
  disarm(): void;
  /**
   * ms after which to look again although no doorbell has rung, given how long nothing came;
   * Infinity for never.
   */
  sleepMs(quietMs: number): number;
}

/** Looks at one turn: a turn of the event loop takes 0.8 µs, a look 0.02 (MPI: 0.2). */
const LOOKS = 10;

/** µs of a spin after which the core is yielded: by then a short call between two sides is over. */
export const YIELD_US = 20;

/** A sleep of no more than so many spins was short: a spin might have found what ended it. */
const SHORT = 2;

/** Sleeps have to be short for so many times the length of a spin before one is tried. */
const SHORT_SLEEPS = 2;

/** A spin grows up to so many times its length while it is fruitless. */
const GROWTH = 16;

/** ms of sleep after which nothing is known of how long the next wait will be. */
const FORGET_MS = 1;

/**
 * When to look for messages in a process whose thread belongs to somebody else's program: nothing
 * here blocks. While something is likely to come it looks at each turn of the event loop; when
 * nothing has come for the time of a spin it sleeps, to be woken by a doorbell, or by a timer where
 * there are none.
 *
 * A fruitless spin is worse than sleeping at once. The kernel likes to wake a process on the core
 * of the one that woke it: there the sleeper answers within 13 µs, and a spin only keeps it from
 * answering. A spin is worth its while with two cores, and two that spin for long enough are given
 * two. So where the other side can see that it sleeps (`peerSeesSleep`):
 *
 * - after a fruitless spin it sleeps at once, and so it does after a silence;
 * - once its sleeps have been short for a while, it spins again; each fruitless time for twice as
 *   long, up to a few ticks of the kernel's clock, as that is when processes are moved to other
 *   cores.
 *
 * Where it can't see that, it spins always, and yields the core after the first microseconds.
 */
export class ProgressLoop {
  readonly #source: ProgressSource;
  readonly #spinMs: number;
  /** Whether it spins before it sleeps. */
  #spins = true;
  /** ms that the next spin takes at most. */
  #limitMs: number;
  /** ms of short sleeps in a row. */
  #shortMs = 0;
  #asleepSince = 0;
  /** How often to look before it sleeps, however long nothing has come. */
  #looks = 0;
  #lastMoved = 0;
  #immediate: object | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #keepAlive: ReturnType<typeof setInterval> | null = null;
  #asleep = false;

  constructor(source: ProgressSource, spinUs: number) {
    this.#source = source;
    this.#spinMs = spinUs / 1000;
    this.#limitMs = this.#spinMs;
  }

  /** Something was sent: look at the next turn, at least `looks` times, and for a while. */
  wake(looks = 1): void {
    this.#looks = looks;
    if (this.#immediate !== null) return;
    this.#lastMoved = performance.now();
    this.#immediate = soon(this.#turn);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Nothing is expected any more: the process may end. */
  unref(): void {
    if (this.#keepAlive === null) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  /** A doorbell has rung: looks at once. */
  readonly onDoorbell = (): void => {
    if (!this.#asleep || this.#immediate !== null) return this.wake();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#lastMoved = performance.now();
    this.#turn();
  };

  readonly #turn = (): void => {
    this.#immediate = null;
    this.#timer = null;
    const wasAsleep = this.#asleep;
    if (wasAsleep) {
      this.#asleep = false;
      this.#source.disarm();
      this.#learn(performance.now() - this.#asleepSince);
    }
    let moved = this.#source.poll();
    if (this.#spins) for (let i = 1; !moved && i < LOOKS; i++) moved = this.#source.poll();
    // What came may have led to a call, and that to `wake`.
    if (this.#immediate !== null) return;
    const now = performance.now();
    stackIsFresh(now);
    if (moved) this.#lastMoved = now;
    if (moved && !wasAsleep) this.#limitMs = this.#spinMs;
    const quiet = now - this.#lastMoved;
    if (moved || this.#mayStay(quiet) || --this.#looks > 0) {
      if (quiet * 1000 > YIELD_US) this.#source.yieldCore();
      this.#immediate = soon(this.#turn);
    } else {
      this.#fallAsleep(quiet);
    }
  };

  /** Whether to go on looking, although nothing has come for so many ms. */
  #mayStay(quiet: number): boolean {
    if (!this.#spins || !this.#source.isExpecting()) return false;
    if (quiet <= this.#limitMs) return true;
    if (this.#source.peerSeesSleep) {
      this.#spins = false;
      this.#shortMs = 0;
      this.#limitMs = Math.min(2 * this.#limitMs, GROWTH * this.#spinMs);
    }
    return false;
  }

  /** Adapts the spin to a sleep of `ms`. */
  #learn(ms: number): void {
    if (!this.#source.peerSeesSleep) return;
    if (ms > FORGET_MS) {
      this.#spins = false;
      this.#limitMs = this.#spinMs;
    }
    this.#shortMs = ms > SHORT * this.#spinMs ? 0 : this.#shortMs + ms;
    if (this.#shortMs >= SHORT_SLEEPS * this.#limitMs) this.#spins = true;
  }

  #fallAsleep(quiet: number): void {
    if (!this.#source.arm()) {
      this.#immediate = soon(this.#turn);
      return;
    }
    this.#asleep = true;
    this.#asleepSince = performance.now();
    if (!this.#source.isExpecting()) return this.unref();
    const nap = this.#source.sleepMs(quiet);
    if (nap !== Infinity) this.#timer = setTimeout(this.#turn, nap);
    // Timers hold 31 bits of ms; this one only keeps the process alive.
    else this.#keepAlive ??= setInterval(() => {}, LONGEST_MS);
  }
}

/**
 * At the next turn. A program that has failed ends where none is due at once: there it is a timer
 * that does it.
 */
function soon(turn: () => void): object {
  return hasFailed ? setTimeout(turn, 0) : setImmediate(turn);
}
