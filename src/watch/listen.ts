import { show } from "../errors.ts";
import type { TaskEvent, WorkerEvent } from "./events.ts";
import type { Watch } from "./watch.ts";

/** What `pool.on` does. The listeners' part is loaded with the first of them. */
export function listen(
  watch: Watch,
  event: "task" | "worker",
  listener: (event: never) => void,
): Disposable {
  if (event !== "task" && event !== "worker") {
    throw new TypeError(
      `Cannot listen to a pool: there is no event ${show(event)}; there are "task" and "worker"`,
    );
  }
  if (typeof listener !== "function") {
    throw new TypeError(
      `Cannot listen to a pool: the listener must be a function, got ${show(listener)}`,
    );
  }
  const { TaskEvents, WorkerEvents } = require("./events.ts") as typeof import("./events.ts");
  const { callbacks } = watch;
  return watch.add(
    event === "task"
      ? new TaskEvents(listener as (event: TaskEvent) => void, callbacks)
      : new WorkerEvents(listener as (event: WorkerEvent) => void, callbacks),
  );
}
