import { hostname } from "node:os";
import { isOn } from "./settings.ts";

/** Says on standard error what is being done, and by whom, when BSYNC_DEBUG asks for it. */
export function debug(text: string): void {
  if (!isOn("BSYNC_DEBUG")) return;
  process.stderr.write(`bsync: ${hostname()}, pid ${process.pid}: ${text}\n`);
}
