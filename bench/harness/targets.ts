/** What was set out to be reached, each target beside its reference of the same run. */
import type { QuantityId } from "./lines.ts";
import type { Series } from "./series.ts";

export interface Verdict {
  readonly quantity: QuantityId;
  readonly who: string;
  /** The target, and what it was held against. */
  readonly text: string;
  /** null where what it is held against is missing. */
  readonly met: boolean | null;
}

const LOCAL = "bsync, local";

export function judge(series: Series, families: readonly string[]): Verdict[] {
  const verdicts: Verdict[] = [];
  const read = (id: QuantityId, who: string) => series.summary(id, who)?.value;

  /** `value` is what the bound is on, from the number of `who` and those of its references. */
  const add = (
    quantity: QuantityId,
    who: string,
    bound: string,
    met: (value: number) => boolean,
    value: (own: number) => number | undefined = (own) => own,
    unit = "",
  ) => {
    const own = read(quantity, who);
    if (own === undefined) return;
    const held = value(own);
    verdicts.push(
      held === undefined || Number.isNaN(held)
        ? { quantity, who, text: `${bound}: no reference`, met: null }
        : { quantity, who, text: `${bound}${shown(held, unit)}`, met: met(held) },
    );
  };
  /** With what it is held against in words, unless that is the number of the line itself. */
  const shown = (held: number, unit: string) =>
    unit === "" ? "" : `: ${Number(held.toPrecision(3))}${unit}`;

  const over = (other: number | undefined) => (own: number) =>
    other === undefined ? undefined : other / own;
  const under = (other: number | undefined) => (own: number) =>
    other === undefined ? undefined : own / other;

  const everywhere = [LOCAL, ...families.map((name) => `bsync, ${name}`)];
  // mpi4py is built for one of the two: that one is the reference for both.
  const futures = families
    .map((name) => read("trip", `mpi4py.futures, ${name}`))
    .find((us) => us !== undefined);

  for (const name of families) {
    const mpi = `bsync/mpi, ${name}`;
    const inC = (id: QuantityId) => read(id, `C, ${name}`) ?? NaN;
    const calls = (2 * (read("commCall", mpi) ?? NaN)) / 1e3;
    const more = (own: number) => own - inC("commTrip") - calls;
    add("commTrip", mpi, "at most 0.5 µs more than C and two calls", (x) => x <= 0.5, more, " µs");
    const share = under(inC("commLarge") / 100);
    add("commLarge", mpi, "at least 95 % of C", (x) => x >= 95, share, " %");
    const times = under(inC("commReduce"));
    add("commReduce", mpi, "at most 1.1 times that of C", (x) => x <= 1.1, times, " times");
  }
  for (const name of families) {
    const who = `bsync, ${name}`;
    const c = (id: QuantityId) => read(id, `C ping-pong, ${name}`);
    const more = (id: QuantityId) => (own: number) => {
      const other = c(id);
      return other === undefined ? undefined : own - other;
    };
    add("trip", who, "at most 2.5 µs more than C", (x) => x <= 2.5, more("trip"), " µs");
    add("trip", who, "100 times faster than mpi4py", (x) => x >= 100, over(futures), " times");
    add("wake", who, "at most 150 µs", (x) => x <= 150);
    const share = under((c("large") ?? NaN) / 100);
    add("large", who, "at least 80 % of C", (x) => x >= 80, share, " %");
    const broadcast = under((read("share", `C broadcast, ${name}`) ?? NaN) / 100);
    add("share", who, "at least 80 % of a broadcast in C", (x) => x >= 80, broadcast, " %");
    add("open", who, "at most 50 ms more than MPI_Init", (x) => x <= 50, more("open"), " ms");
  }
  const ipc = read("trip", "Bun's IPC");
  add("trip", LOCAL, "at most 3 µs", (x) => x <= 3);
  add("trip", LOCAL, "30 times faster than Bun's IPC", (x) => x >= 30, over(ipc), " times");
  add("wake", LOCAL, "at most 100 µs", (x) => x <= 100);
  add("wake99", LOCAL, "at most 400 µs", (x) => x <= 400);
  add("large", LOCAL, "at least 3 GB/s", (x) => x >= 3);
  add("open", LOCAL, "at most 100 ms", (x) => x <= 100);
  add("checkpoint", LOCAL, "under 5 %", (x) => x < 5);
  add("checkpointKey", LOCAL, "under 6 %", (x) => x < 6);
  for (const who of everywhere) {
    add("rate", who, "at least 2 M/s", (x) => x >= 2e6);
    add("nestedOne", who, "at most 3 times", (x) => x <= 3);
    add("nestedMany", who, "at most 3 times", (x) => x <= 3);
    add("ratePriorities", who, "at least 1 M/s", (x) => x >= 1e6);
    const grown = under(read("cost3", who));
    for (const id of ["cost4", "cost5", "cost6"] as const) {
      add(id, who, "at most 1.5 times that of 10^3", (x) => x <= 1.5, grown, " times");
    }
    const one = under(read("cost5", who));
    add("cost16", who, "at most twice that of one worker", (x) => x <= 2, one, " times");
    add("heap", who, "at most 250 B", (x) => x <= 250);
    add("resident", who, "at most 250 B", (x) => x <= 250);
    add("left", who, "under 5 MB", (x) => x < 5);
    add("size", who, "under 70 MiB", (x) => x < 70);
    for (const id of [
      "idleController",
      "idleWorker",
      "waitingController",
      "waitingWorker",
    ] as const) {
      add(id, who, "under 1 %", (x) => x < 1);
    }
    add("mapRate", who, "at least 10 M/s", (x) => x >= 1e7);
    add("mapRead", who, "at least 5 M/s", (x) => x >= 5e6);
    add("mapUneven", who, "at most 105 %", (x) => x <= 105);
    add("mapFull", who, "at least 95 %", (x) => x >= 95);
    add("crowd", who, "at least 90 %", (x) => x >= 90);
    for (const id of ["uneven", "unevenGrowing", "unevenBimodal", "unevenFirst"] as const) {
      add(id, who, "at most 110 %", (x) => x <= 110);
    }
    add("late99", who, "under 2 ms", (x) => x < 2);
  }
  return verdicts;
}
