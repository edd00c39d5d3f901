/** How far a farm has come, on stderr: a bar on a terminal, elsewhere a line now and then. */
import { clock } from "./units.ts";

export interface Counts {
  readonly done: number;
  readonly failed: number;
  readonly running: number;
  /** Null: not known. */
  readonly total: number | null;
}

/** Percentages at which a line is due that goes to no terminal. */
const STEPS = [1, 2, 5, ...Array.from({ length: 10 }, (_, i) => 10 * (i + 1))];

const LEAST_MS = 10_000;
const MOST_MS = 60_000;
const REDRAW_MS = 100;
const BAR_COLUMNS = 30;

/** The line for a state, `ms` after the start. */
export function progressLine({ done, failed, running, total }: Counts, ms: number): string {
  const rate = ms > 0 ? (1_000 * done) / ms : 0;
  const failures = failed > 0 ? `, ${failed} failed` : "";
  const count = total === null ? `${done} done` : `${done} of ${total}`;
  const left = total === null || rate === 0 ? null : clock((1_000 * (total - done)) / rate);
  const time =
    left === null ? `in ${clock(ms)}` : done === total ? `in ${clock(ms)}` : `${left} left`;
  return `${count}${failures}, ${running} running, ${rateOf(rate)}/s, ${time}`;
}

function rateOf(rate: number): string {
  return rate >= 10 ? rate.toFixed(0) : rate.toPrecision(2);
}

/** The same with a bar before it. */
export function barLine(counts: Counts, ms: number): string {
  const { done, total } = counts;
  if (total === null || total === 0) return progressLine(counts, ms);
  const full = Math.round((BAR_COLUMNS * done) / total);
  return `[${"#".repeat(full).padEnd(BAR_COLUMNS)}] ${progressLine(counts, ms)}`;
}

/** Whether a line is due that goes to no terminal. */
export function isDue(counts: Counts, before: Counts, sinceMs: number): boolean {
  if (counts.total !== null && counts.done >= counts.total) return before.done < counts.done;
  if (sinceMs >= MOST_MS) return true;
  if (sinceMs < LEAST_MS || counts.total === null) return false;
  const percent = (one: Counts) => (100 * one.done) / (counts.total || 1);
  return STEPS.some((step) => percent(before) < step && percent(counts) >= step);
}

export class Progress {
  readonly #isTerminal = process.stderr.isTTY === true;
  readonly #counts: () => Counts;
  readonly #start = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #told: Counts = { done: 0, failed: 0, running: 0, total: null };
  #toldAt = performance.now();

  constructor(counts: () => Counts) {
    this.#counts = counts;
    this.#timer = setInterval(() => this.#look(), REDRAW_MS);
    this.#timer.unref();
  }

  /** The last line. */
  end(): void {
    clearInterval(this.#timer);
    const line = barLine(this.#counts(), performance.now() - this.#start);
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${line}\n` : `bsync multi: ${line}\n`);
  }

  #look(): void {
    const counts = this.#counts();
    const now = performance.now();
    if (this.#isTerminal) {
      process.stderr.write(`\r\x1b[K${barLine(counts, now - this.#start)}`);
      return;
    }
    const isLast = counts.total !== null && counts.done >= counts.total;
    if (isLast || !isDue(counts, this.#told, now - this.#toldAt)) return;
    this.#told = counts;
    this.#toldAt = now;
    process.stderr.write(`bsync multi: ${progressLine(counts, now - this.#start)}\n`);
  }
}
