import { performance } from "../os/natives.ts";
import type { ProgressSource, ProgressSources } from "./progress-sources.ts";
import { type Progress, Rate } from "./progress.ts";

/** ProgressSources that are told one by one; of more only how many. */
const MOST_SOURCES = 12;

/** Ended ones that are still told. */
const MOST_ENDED = 3;

const MOST_NAME = 60;

/**
 * A source as viewers see it: its number here, kind and name; done, failed and total; settled in a
 * second by the last minute, null where nothing is known of that yet; whether it is under way.
 */
export type ToldProgress = readonly [
  number,
  string,
  string,
  number,
  number,
  number | null,
  number | null,
  boolean,
];

interface Seen {
  readonly number: number;
  readonly name: string;
  readonly rate: Rate;
  readonly since: number;
}

/** How far the maps of a pool are, and the lists of handles that are waited for. */
export class ViewedProgress {
  readonly #sources: ProgressSources;
  readonly #seen = new Map<ProgressSource, Seen>();
  /** What was last to be told of those that have ended, the latest last. */
  readonly #ended: ToldProgress[] = [];
  #count = 0;

  constructor(sources: ProgressSources) {
    this.#sources = sources;
  }

  /**
   * Those that have ended, then those under way, which all are over where the pool is; and how many
   * are not among them.
   */
  look(isOver: boolean): {
    readonly progress: readonly ToldProgress[];
    readonly moreProgress: number;
  } {
    const now = performance.now();
    for (const [source, seen] of this.#seen) {
      if (this.#sources.has(source)) continue;
      this.#seen.delete(source);
      if (this.#ended.push(told(source, seen, now, false)) > MOST_ENDED) this.#ended.shift();
    }
    const underWay: ToldProgress[] = [];
    for (const source of this.#sources) {
      if (underWay.length === MOST_SOURCES) break;
      underWay.push(told(source, this.#seenOf(source, now), now, !isOver));
    }
    return {
      progress: [...this.#ended, ...underWay],
      moreProgress: this.#sources.size - underWay.length,
    };
  }

  #seenOf(source: ProgressSource, now: number): Seen {
    let seen = this.#seen.get(source);
    if (seen === undefined) {
      const name = source.name().slice(0, MOST_NAME);
      const rate = new Rate(now, source.look().done);
      seen = { number: ++this.#count, name, rate, since: now };
      this.#seen.set(source, seen);
    }
    return seen;
  }
}

function told(source: ProgressSource, seen: Seen, now: number, isUnderWay: boolean): ToldProgress {
  const { done, failed, total }: Progress = source.look(!isUnderWay);
  seen.rate.sample(now, done);
  const rate = now > seen.since ? Number(seen.rate.at(now, done).toPrecision(3)) : null;
  return [seen.number, source.kind, seen.name, done, failed, total, rate, isUnderWay];
}
