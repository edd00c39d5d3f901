import { hostname } from "node:os";

/** Says on standard error what is being done, and by whom, when BSYNC_DEBUG asks for it. */
export function debug(text: string): void {
  const { BSYNC_DEBUG: wanted } = process.env;
  if (wanted === undefined || wanted === "" || wanted === "0") return;
  process.stderr.write(`bsync: ${hostname()}, pid ${process.pid}: ${text}\n`);
}
