import { performance } from "../os/natives.ts";
import type { Batch, Batches } from "./batches.ts";
import { type Progress, Rate } from "./progress.ts";

/** Batches that are told one by one; of more only how many. */
const MOST_BATCHES = 12;

/** Ended ones that are still told. */
const MOST_ENDED = 3;

const MOST_NAME = 60;

/**
 * A batch as viewers see it: its number here, kind and name; done, failed and total; settled in a
 * second by the last minute, null where nothing is known of that yet; whether it is under way.
 */
export type BatchTold = readonly [
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
export class ViewedBatches {
  readonly #batches: Batches;
  readonly #seen = new Map<Batch, Seen>();
  /** What was last to be told of those that have ended, the latest last. */
  readonly #ended: BatchTold[] = [];
  #count = 0;

  constructor(batches: Batches) {
    this.#batches = batches;
  }

  /**
   * Those that have ended, then those under way, which all are over where the pool is; and how many
   * are not among them.
   */
  look(isOver: boolean): { readonly batches: readonly BatchTold[]; readonly moreBatches: number } {
    const now = performance.now();
    for (const [batch, seen] of this.#seen) {
      if (this.#batches.has(batch)) continue;
      this.#seen.delete(batch);
      if (this.#ended.push(told(batch, seen, now, false)) > MOST_ENDED) this.#ended.shift();
    }
    const underWay: BatchTold[] = [];
    for (const batch of this.#batches) {
      if (underWay.length === MOST_BATCHES) break;
      underWay.push(told(batch, this.#seenOf(batch, now), now, !isOver));
    }
    return {
      batches: [...this.#ended, ...underWay],
      moreBatches: this.#batches.size - underWay.length,
    };
  }

  #seenOf(batch: Batch, now: number): Seen {
    let seen = this.#seen.get(batch);
    if (seen === undefined) {
      const name = batch.name().slice(0, MOST_NAME);
      const rate = new Rate(now, batch.look().done);
      seen = { number: ++this.#count, name, rate, since: now };
      this.#seen.set(batch, seen);
    }
    return seen;
  }
}

function told(batch: Batch, seen: Seen, now: number, isUnderWay: boolean): BatchTold {
  const { done, failed, total }: Progress = batch.look(!isUnderWay);
  seen.rate.sample(now, done);
  const rate = now > seen.since ? Number(seen.rate.at(now, done).toPrecision(3)) : null;
  return [seen.number, batch.kind, seen.name, done, failed, total, rate, isUnderWay];
}
