import {
  type CheckedCheckpoint,
  checkCheckpoint,
  type CheckpointOptions,
} from "../checkpoint/options.ts";
import { show } from "../errors.ts";
import { CALL_OPTIONS, type CallOptions, readCallOptions } from "../options.ts";
import { progressProblem, type ProgressOptions, readProgress } from "../watch/progress-options.ts";
import type { TaskOptions } from "../scheduler/task.ts";

/**
 * Options of `pool.map` and `pool.starmap`. Those of a call count for each item, however items are
 * put together.
 *
 * @example
 * const options: MapOptions = { ordered: false, timeout: 2_000, inFlight: 100 };
 */
export interface MapOptions<I = never> extends CallOptions {
  /** `false`: each result as soon as it is there. True by default. */
  readonly ordered?: boolean;
  /** `true`: yields the outcome of each item, and a failure ends nothing. False by default. */
  readonly settled?: boolean;
  /**
   * Items taken from the source and not yet yielded, at most; by default as many as keep all
   * workers busy.
   */
  readonly inFlight?: number;
  /** Items to a message; by default as many as suit their length. Never seen in the results. */
  readonly chunk?: number;
  /**
   * The path of a file, or more: finished results are kept there, and the same map, run again after
   * whatever has ended it, computes only what is missing.
   */
  readonly checkpoint?: string | CheckpointOptions<I>;
  /**
   * Shows on stderr how many items are done: a bar on a terminal, elsewhere a line now and then, at
   * most one in ten seconds, and a last one. False by default.
   */
  readonly progress?: boolean | ProgressOptions;
}

/** The outcome of an item, where `settled` is true. */
export type Settled<T, I = unknown> =
  | {
      readonly status: "fulfilled";
      readonly value: T;
      readonly index: number;
      readonly item: I;
    }
  | {
      readonly status: "rejected";
      readonly reason: unknown;
      readonly index: number;
      readonly item: I;
    };

/** `MapOptions` with every default filled in; null where the map decides. */
export interface MapSettings {
  readonly ordered: boolean;
  readonly settled: boolean;
  readonly inFlight: number | null;
  readonly chunk: number | null;
  readonly checkpoint: CheckedCheckpoint | null;
  readonly progress: ProgressOptions | null;
  readonly signal: AbortSignal | null;
  /** Of each item, without the signal: it is listened to once for all. */
  readonly task: TaskOptions;
}

const MAP_OPTIONS = [
  ...["ordered", "settled", "inFlight", "chunk", "checkpoint", "progress"],
  ...CALL_OPTIONS,
];

/** The options of a map on top of those of its pool; `TypeError` or `RangeError` for wrong ones. */
export function readMapOptions(
  options: MapOptions,
  base: TaskOptions,
  workers: number,
): MapSettings {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot map: expected an object of options, got ${show(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !MAP_OPTIONS.includes(name));
  if (unknown !== undefined) {
    const known = MAP_OPTIONS.join(", ");
    throw new TypeError(`Cannot map: unknown option "${unknown}"; there are ${known}`);
  }
  const { ordered, settled, inFlight, chunk, checkpoint, progress, ...call } = { ...options };
  const task = readCallOptions(call, base, workers);
  return {
    ordered: flag("ordered", ordered) ?? true,
    settled: flag("settled", settled) ?? false,
    inFlight: count("inFlight", inFlight),
    chunk: count("chunk", chunk),
    checkpoint: checkpoint === undefined ? null : checkCheckpoint(checkpoint),
    progress: progressOf(progress),
    signal: task.signal,
    task: task.signal === null ? task : { ...task, signal: null },
  };
}

function progressOf(value: MapOptions["progress"]): ProgressOptions | null {
  const problem = value === undefined ? null : progressProblem(value);
  if (problem === null) return readProgress(value);
  throw new TypeError(`Cannot map: progress must be ${problem}, got ${show(value)}`);
}

function flag(name: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === "boolean") return value;
  throw new TypeError(`Cannot map: ${name} must be true or false, got ${show(value)}`);
}

function count(name: string, value: unknown): number | null {
  if (value === undefined || value === Infinity) return null;
  const problem = `Cannot map: ${name} must be a whole number from 1, got ${show(value)}`;
  if (typeof value !== "number") throw new TypeError(problem);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(problem);
  return value;
}
