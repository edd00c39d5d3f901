import { show } from "../errors.ts";
import type { TaskFunction } from "../options.ts";
import type { TaskOptions } from "../scheduler/task.ts";
import type { ProgressSources } from "../watch/progress-sources.ts";
import type { MapPool } from "./map-call.ts";
import type { MapRun } from "./map-run.ts";
import { Results } from "./results.ts";
import { type MapOptions, readMapOptions } from "./settings.ts";
import { isIterable } from "./source.ts";

/** The maps of a pool that are under way. */
export type MapRuns = Set<MapRun>;

/** The arguments of a call of `map`, or of `starmap`. */
interface Mapping {
  readonly fn: TaskFunction | string;
  readonly items: unknown;
  readonly isStar: boolean;
}

/** `pool.map` and `pool.starmap`: checks the call, and begins nothing. */
export function mapOver(
  pool: MapPool,
  runs: MapRuns,
  { fn, items, isStar }: Mapping,
  options: MapOptions,
  base: TaskOptions,
  progressSources: ProgressSources | null = null,
): Results<unknown> {
  const record = pool.recordOf(fn);
  if (!isIterable(items)) {
    throw new TypeError(`Cannot map over ${show(items)}: it is not iterable; pass a list`);
  }
  const settings = readMapOptions(options, base, pool.workers);
  const refusal = pool.refusal(record);
  if (refusal !== null) throw refusal.error;
  return new Results<unknown>(
    pool,
    { fn: record, text: textOf(fn), items, isStar, settings },
    runs,
    progressSources,
  );
}

function textOf(fn: TaskFunction | string): string {
  return typeof fn === "string" ? fn : Function.prototype.toString.call(fn);
}
