import { isOwnFile, plainPath, QUERY } from "./scope.ts";

/**
 * A stack of this worker as its user should see it: files under their own names, without the frames
 * of bsync itself, which are the same below every task.
 */
export function userStack(stack: string): string {
  const lines = stack.split("\n");
  const kept = lines.filter((line) => !isOwnFrame(line));
  return kept.join("\n").replaceAll(INLINE_QUERY, "").replaceAll(QUERY, "");
}

/**
 * Behind the path of a module in the frames of a function that was evaluated there: a name of its
 * own, or the engine would take its lines for those of the module and move them.
 */
export const INLINE_QUERY = "?bsync-inline";

function isOwnFrame(line: string): boolean {
  const place = /^\s+at .*?\(?((?:file:\/\/)?\/[^()]*?):\d+:\d+\)?$/.exec(line)?.[1];
  return place !== undefined && isOwnFile(plainPath(place));
}
