import { needStackToLoad } from "../os/stack.ts";

/** What waits for several handles is loaded with the first call: workers start without it. */

type Gather = Pick<typeof import("./all.ts"), "allOf"> &
  Pick<typeof import("./as-completed.ts"), "asCompleted">;

let loaded: Gather | null = null;

export function gather(): Gather {
  if (loaded === null) {
    needStackToLoad();
    const { allOf } = require("./all.ts") as typeof import("./all.ts");
    const { asCompleted } = require("./as-completed.ts") as typeof import("./as-completed.ts");
    loaded = { allOf, asCompleted };
  }
  return loaded;
}
