import { debug } from "../os/debug.ts";
import { isOn } from "../os/settings.ts";
import type { Observer } from "../scheduler/observer.ts";
import { type Connection, describe } from "./connection.ts";

/** Reports workers and requeued tasks on standard error; null without BSYNC_DEBUG. */
export function debugObserver(connections: readonly Connection[]): Observer | null {
  if (!isOn("BSYNC_DEBUG")) return null;
  return {
    onTask({ state, label }) {
      if (state === "queued") debug(`${label} is queued again`);
    },
    onWorker({ index }, from, to) {
      const isAnswering = from === "idle" || from === "busy";
      if (isAnswering && (to === "idle" || to === "busy")) return;
      const connection = connections[index];
      if (connection === undefined) return;
      debug(`${describe(connection)} is ${from === "starting" && to === "idle" ? "ready" : to}`);
    },
  };
}
