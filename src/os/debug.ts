import { hostname } from "node:os";
import { isOn } from "./settings.ts";

/** Writes to standard error what this process does, if BSYNC_DEBUG is on. */
export function debug(text: string): void {
  if (!isOn("BSYNC_DEBUG")) return;
  process.stderr.write(`bsync: ${hostname()}, pid ${process.pid}: ${text}\n`);
}
