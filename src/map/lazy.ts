import { PoolClosedError } from "../errors.ts";
import { needStackToLoad } from "../os/stack.ts";
import type { MapRuns } from "./map.ts";

/** Maps are loaded with the first one: workers, and programs without any, start without them. */

type Mapping = typeof import("./map.ts");

let mapping: Mapping | null = null;

/** `pool.map` and `pool.starmap`: checks the call, and begins nothing. */
export function mapOver(...args: Parameters<Mapping["mapOver"]>): ReturnType<Mapping["mapOver"]> {
  if (mapping === null) {
    needStackToLoad();
    mapping = require("./map.ts") as Mapping;
  }
  return mapping.mapOver(...args);
}

/** The pool takes no more calls: its maps take no more items. */
export function stopMaps(runs: MapRuns): void {
  for (const run of runs) {
    run.stop(
      new PoolClosedError(
        "Cannot go on with a map: its pool was closed; read it to its end before",
      ),
    );
  }
}
