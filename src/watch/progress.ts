import { clearInterval, performance, setInterval } from "../os/natives.ts";
import { Bars, type Bar } from "./progress-bars.ts";
import { clockOf, countOf, lengthOf } from "./lengths.ts";
import { type ProgressOptions, type ProgressStream, say } from "./progress-options.ts";

/** How far something is. */
export interface Progress {
  /** What is settled, failures included, and how many of it have failed. */
  readonly done: number;
  readonly failed: number;
  /** Null where nobody knows. */
  readonly total: number | null;
}

/** ms between two looks. */
const BAR_MS = 100;
const LINE_MS = 1_000;

/** ms between two lines, at least and at most. */
const LEAST_MS = 10_000;
const MOST_MS = 60_000;

/** ms that the rate, and with it the time left, is taken from. */
const RATE_MS = 60_000;

/** Percent at which there is a line. */
const MARKS: readonly number[] = [1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];

const DEFAULT_WIDTH = 24;

/** Variables that launchers set: what a rank writes to is a pipe, whatever it looks like. */
const LAUNCHED = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"];

/**
 * Shows how far something is: on a terminal a bar, elsewhere whole lines, few enough for a log. It
 * keeps no process alive, and an exit needs no cleaning up.
 */
export class ProgressShow {
  readonly #look: () => Progress;
  readonly #label: string;
  readonly #stream: ProgressStream;
  readonly #bar: Bar | null;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #start = performance.now();
  readonly #rate: Rate;
  readonly #lines = new Lines(this.#start);
  #isOver = false;

  constructor({ label, stream, width }: ProgressOptions, name: string, look: () => Progress) {
    this.#look = look;
    this.#label = label ?? name;
    this.#stream = stream ?? process.stderr;
    this.#rate = new Rate(this.#start, look().done);
    const isTerminal = this.#stream.isTTY === true && !isLaunched() && process.env.TERM !== "dumb";
    const columns = width ?? DEFAULT_WIDTH;
    this.#bar = isTerminal
      ? Bars.on(this.#stream).add((room) => this.#barText(columns, room))
      : null;
    this.#timer = setInterval(() => this.#tick(), isTerminal ? BAR_MS : LINE_MS);
    this.#timer.unref();
  }

  /** It has come to its end, or goes no further: the last line. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#timer);
    const { done, failed, total } = this.#look();
    const ms = performance.now() - this.#start;
    const rate = ms > 0 ? `, ${rateOf((1000 * done) / ms)}` : "";
    const stopped = total !== null && done < total ? ", ended there" : "";
    const text =
      `${this.#label}: ${portionOf(done, total)} in ${lengthOf(ms)}${rate}` +
      `${failuresOf(failed)}${stopped}`;
    if (this.#bar === null) say(this.#stream, `${text}\n`);
    else this.#bar.end(text);
  }

  #tick(): void {
    const now = performance.now();
    const progress = this.#look();
    this.#rate.sample(now, progress.done);
    if (this.#bar !== null) return this.#bar.draw();
    if (this.#lines.isDue(progress, now))
      say(this.#stream, `${this.#label}: ${this.#text(progress, now)}\n`);
  }

  #text(progress: Progress, now: number): string {
    const { done, failed, total } = progress;
    const rate = this.#rate.at(now, done);
    const left =
      total === null || rate <= 0 ? "" : `, ${clockOf((1000 * (total - done)) / rate)} left`;
    return `${portionOf(done, total)}, ${rateOf(rate)}${left}${failuresOf(failed)}`;
  }

  /** In at most `room` columns: the label and the bar give way to the numbers. */
  #barText(width: number, room: number): string {
    const progress = this.#look();
    const { done, total } = progress;
    const text = this.#text(progress, performance.now());
    const full = total === null || total === 0 ? 0 : Math.min(1, done / total) * width;
    const bar = total === null ? "" : `${"█".repeat(full)}${"░".repeat(width - Math.floor(full))} `;
    for (const line of [`${this.#label} ${bar}${text}`, `${this.#label} ${text}`]) {
      if ([...line].length <= room) return line;
    }
    return [...text].slice(0, room).join("");
  }
}

/** How fast things get done, by the last minute. */
export class Rate {
  /** One a second, the oldest first. */
  readonly #samples: { readonly at: number; readonly done: number }[];

  constructor(at: number, done: number) {
    this.#samples = [{ at, done }];
  }

  sample(at: number, done: number): void {
    const samples = this.#samples;
    if (at - samples.at(-1)!.at >= LINE_MS) samples.push({ at, done });
    while (samples.length > 1 && samples[1]!.at <= at - RATE_MS) samples.shift();
  }

  /** In a second. */
  at(now: number, done: number): number {
    const first = this.#samples[0]!;
    return now > first.at ? (1000 * (done - first.done)) / (now - first.at) : 0;
  }
}

/** When there is a line: at 1, 2, 5, 10 % …, once a minute at least, once in 10 s at most. */
export class Lines {
  #saidAt: number;
  #saidMark = 0;

  constructor(start: number) {
    this.#saidAt = start;
  }

  isDue(progress: Progress, now: number): boolean {
    const silent = now - this.#saidAt;
    const mark = markOf(progress);
    if (silent < LEAST_MS || (mark <= this.#saidMark && silent < MOST_MS)) return false;
    this.#saidAt = now;
    this.#saidMark = mark;
    return true;
  }
}

function isLaunched(): boolean {
  return LAUNCHED.some((name) => Object.hasOwn(process.env, name));
}

/** The last percentage at which there is a line. */
function markOf({ done, total }: Progress): number {
  if (total === null || total === 0) return 0;
  const percent = (100 * done) / total;
  return MARKS.findLast((mark) => percent >= mark) ?? 0;
}

function portionOf(done: number, total: number | null): string {
  if (total === null) return `${countOf(done)} done`;
  const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
  return `${countOf(done)} of ${countOf(total)} (${percent} %)`;
}

function rateOf(perSecond: number): string {
  if (perSecond >= 9.95 || perSecond === 0) return `${countOf(perSecond)}/s`;
  if (perSecond >= 0.1) return `${perSecond.toFixed(1)}/s`;
  return `${(60 * perSecond).toFixed(2)}/min`;
}

function failuresOf(failed: number): string {
  return failed === 0 ? "" : `, ${countOf(failed)} failed`;
}
