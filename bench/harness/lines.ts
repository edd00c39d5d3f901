/** What is measured: the groups of the table, in its order. */

export interface Quantity {
  readonly title: string;
  readonly unit: string;
  /** Of all that was found, and of what each round found, for the spread. */
  readonly of: "median" | "p99" | "mean" | "max";
}

const inUs = { unit: "µs", of: "median" } as const;
const perSecond = { unit: "calls/s", of: "median" } as const;
const percent = { unit: "%", of: "median" } as const;
const ofACore = { unit: "% of a core", of: "mean" } as const;

export const QUANTITIES = {
  trip: { title: "round trip of an empty call", ...inUs },
  trip99: { title: "round trip, 99th percentile", ...inUs },
  rate: { title: "rate, 10^6 calls submitted at once", ...perSecond },
  ratePriorities: { title: "rate, 10^6 calls of random priorities", ...perSecond },
  wake: { title: "first call after 300 ms of silence", ...inUs },
  wake99: { title: "first call after silence, 99th percentile", unit: "µs", of: "p99" },
  large: { title: "64 MiB Float64Array, round trip, each way", unit: "GB/s", of: "median" },
  nestedOne: { title: "a child awaited, in times of a call", unit: "", of: "median" },
  nestedMany: { title: "20,000 children at once, in times of a call", unit: "", of: "median" },
  share: { title: "256 MiB shared, or broadcast in C", unit: "GB/s", of: "median" },
  cost3: { title: "cost of a call, 10^3 queued", ...inUs },
  cost4: { title: "cost of a call, 10^4 queued", ...inUs },
  cost5: { title: "cost of a call, 10^5 queued", ...inUs },
  cost6: { title: "cost of a call, 10^6 queued", ...inUs },
  cost16: { title: "cost of a call, 10^5 queued, 16 workers", ...inUs },
  heap: { title: "memory of a queued call, heap", unit: "B", of: "median" },
  resident: { title: "memory of a queued call, resident", unit: "B", of: "median" },
  left: { title: "heap left over after 10^6 calls", unit: "MB", of: "median" },
  open: { title: "open: 4 local workers; 2 ranks; in C, MPI_Init", unit: "ms", of: "median" },
  size: { title: "resident size of a worker", unit: "MiB", of: "median" },
  idleController: { title: "idle pool, its controller", ...ofACore },
  idleWorker: { title: "idle pool, its worker", ...ofACore },
  waitingController: { title: "pool awaiting a long task, its controller", ...ofACore },
  waitingWorker: { title: "pool awaiting a long task, its worker", ...ofACore },
  checkpoint: { title: "checkpoint, 10^4 results a second", ...ofACore },
  checkpointKey: { title: "checkpoint with keys, 10^4 results a second", ...ofACore },
  mapRate: { title: "map of 10^6 items, awaited", unit: "items/s", of: "median" },
  mapRead: { title: "map of 10^6 items, read one by one", unit: "items/s", of: "median" },
  mapUneven: { title: "map of 2,000 items, 1 µs to 100 ms, of the least time", ...percent },
  mapFull: { title: "map of 10^5 items of 20 µs, of the workers' time", ...percent },
  crowd: { title: "16 workers, tasks of 1 ms, of busy cores' work", unit: "%", of: "median" },
  uneven: { title: "lengths from 10 µs to 25 ms, of greedy scheduling's time", ...percent },
  unevenGrowing: { title: "lengths that grow to 25 ms, of greedy scheduling's time", ...percent },
  unevenBimodal: { title: "one in ten takes 25 ms, of greedy scheduling's time", ...percent },
  unevenFirst: { title: "slow for the first time, of greedy scheduling's time", ...percent },
  late: { title: "interval of 5 ms at full rate, off by", unit: "ms", of: "median" },
  late99: { title: "interval of 5 ms, 99th percentile", unit: "ms", of: "p99" },
  lateMost: { title: "interval of 5 ms, at most", unit: "ms", of: "max" },
  commTrip: { title: "send and recv of 8 bytes, round trip", ...inUs },
  commCall: { title: "a call of C that does nothing", unit: "ns", of: "median" },
  commLarge: { title: "send and recv of 64 MiB, each way", unit: "GB/s", of: "median" },
  commReduce: { title: "allreduce of 1 MiB on 4 ranks", ...inUs },
  lateRate: { title: "calls meanwhile", ...perSecond },
} as const satisfies Readonly<Record<string, Quantity>>;

export type QuantityId = keyof typeof QUANTITIES;
