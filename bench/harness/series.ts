/** Numbers of all rounds, and what the table says of them. */
import { quantile } from "../programs/report.ts";
import { QUANTITIES, type Quantity, type QuantityId } from "./lines.ts";

export interface Summary {
  readonly quantity: QuantityId;
  readonly who: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

/** What every party was found to do, in the order of the table. */
export class Series {
  /** By quantity, then by party, the numbers of each round. */
  readonly #rounds = new Map<QuantityId, Map<string, (readonly number[])[]>>();

  add(quantity: QuantityId, who: string, numbers: readonly number[]): void {
    if (numbers.length === 0) return;
    const parties = this.#rounds.get(quantity) ?? new Map<string, (readonly number[])[]>();
    this.#rounds.set(quantity, parties);
    const rounds = parties.get(who) ?? [];
    parties.set(who, rounds);
    rounds.push(numbers);
  }

  summary(id: QuantityId, who: string): Summary | null {
    const rounds = this.#rounds.get(id)?.get(who);
    if (rounds === undefined) return null;
    const { of } = QUANTITIES[id];
    // One round of many samples, as of a job that has rounds of its own, is spread by itself.
    const parts =
      rounds.length === 1 && of === "median" ? rounds.flat().map((x) => [x]) : [...rounds];
    const values = parts.map((numbers) => statistic(of, numbers));
    return {
      quantity: id,
      who,
      value: statistic(of, rounds.flat()),
      low: Math.min(...values),
      high: Math.max(...values),
      rounds: parts.length,
    };
  }

  /** All there is; within a quantity the `parties` come first, in this order. */
  summaries(parties: readonly string[]): Summary[] {
    const all: Summary[] = [];
    const place = (who: string) => (parties.includes(who) ? parties.indexOf(who) : parties.length);
    for (const id of Object.keys(QUANTITIES) as QuantityId[]) {
      const found = [...(this.#rounds.get(id)?.keys() ?? [])];
      found.sort((a, b) => place(a) - place(b));
      for (const who of found) all.push(this.summary(id, who)!);
    }
    return all;
  }
}

function statistic(of: Quantity["of"], numbers: readonly number[]): number {
  switch (of) {
    case "median":
      return quantile(numbers, 0.5);
    case "p99":
      return quantile(numbers, 0.99);
    case "max":
      return Math.max(...numbers);
    case "mean":
      return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  }
}
