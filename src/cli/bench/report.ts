/** What was measured, in numbers and in words. */

/** Times in µs, rates by second, bandwidths in bytes by second. */
export interface Measured {
  /** "local", or the name of the MPI. */
  readonly mode: string;
  readonly workers: number;
  readonly openUs: number;
  readonly firstCallUs: number;
  readonly roundTripUs: number;
  /** Calls, of which many wait. */
  readonly rate: number;
  readonly mapRate: number;
  /** There and back, one direction at a time. */
  readonly bandwidth: number;
  /** The same by MPI alone; null without MPI. */
  readonly mpi: { readonly roundTripUs: number; readonly bandwidth: number } | null;
}

/** A call is worth its message where that takes no more than this share of it. */
const WORTH = 0.1;

/** What calls should take here, at least, in µs: by themselves, and in a map. */
export function worthwhile({ rate, mapRate }: Pick<Measured, "rate" | "mapRate">): {
  readonly callUs: number;
  readonly itemUs: number;
} {
  return { callUs: 1e6 / rate / WORTH, itemUs: 1e6 / mapRate / WORTH };
}

/** For people: what follows from the numbers. */
export function verdict(measured: Measured): string[] {
  const { callUs, itemUs } = worthwhile(measured);
  const lines = [
    `calls of less than ${time(callUs)} are not worth a message here: use map, which is worth ` +
      `its messages from ${time(itemUs)} an item`,
  ];
  const { mpi, roundTripUs, bandwidth } = measured;
  if (mpi !== null) {
    const times = (roundTripUs / mpi.roundTripUs).toPrecision(2);
    const share = Math.round((100 * bandwidth) / mpi.bandwidth);
    lines.push(
      `a call there and back takes ${times} times what MPI's own messages take, and large arrays ` +
        `have ${share} % of MPI's bandwidth`,
    );
  }
  return lines;
}

export function time(us: number): string {
  if (us < 1) return `${us.toFixed(2)} µs`;
  if (us < 1_000) return `${us.toPrecision(us < 100 ? 2 : 3)} µs`;
  return us < 1e6 ? `${(us / 1e3).toPrecision(3)} ms` : `${(us / 1e6).toPrecision(3)} s`;
}

function rateText(rate: number): string {
  return rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} million/s` : `${Math.round(rate / 1e3)} k/s`;
}

function bandwidthText(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB/s`;
}

/** The whole report. */
export function reportText(measured: Measured): string {
  const { mode, workers, mpi } = measured;
  const beside = (text: string | null) => (text === null ? "" : `   MPI alone: ${text}`);
  const rows: [string, string][] = [
    ["opening the pool", time(measured.openUs)],
    ["first call", time(measured.firstCallUs)],
    ["round trip", time(measured.roundTripUs) + beside(mpi && time(mpi.roundTripUs))],
    ["calls at once", rateText(measured.rate)],
    ["map", `${rateText(measured.mapRate)} items`],
    [
      "64 MiB arrays",
      bandwidthText(measured.bandwidth) + beside(mpi && bandwidthText(mpi.bandwidth)),
    ],
  ];
  const head = `bsync on ${mode}, ${workers} worker${workers === 1 ? "" : "s"}`;
  const lines = rows.map(([name, value]) => `  ${name.padEnd(18)}${value}`);
  return `${[head, ...lines, "", ...verdict(measured)].join("\n")}\n`;
}
