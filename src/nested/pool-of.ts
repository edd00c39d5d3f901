import type { RunningCall } from "../context.ts";
import { mapOver } from "../map/lazy.ts";
import type { MapRuns } from "../map/map.ts";
import { isWatched, whole } from "../os/whole.ts";
import { TaskPool } from "../task-pool.ts";
import { Children, INHERITED } from "./children.ts";
import { MapCalls } from "./map-calls.ts";

export { Children };

/** The pool of `size` workers as a call sees it. */
export function poolOf(children: Children, size: number, call: RunningCall): TaskPool {
  const parent = children.parentOf(call);
  const runs: MapRuns = new Set();
  parent.runs = runs;
  return new TaskPool(
    {
      size,
      submit: (fn, args, options) =>
        isWatched
          ? whole(() => children.submit(parent, fn, args, options))
          : children.submit(parent, fn, args, options),
      map: (fn, items, isStar, options, base) =>
        mapOver(new MapCalls(children, parent, size), runs, { fn, items, isStar }, options, base),
      expect: (handles) => handles.forEach((handle) => void children.expect(handle)),
    },
    INHERITED,
  );
}
