import { INLINE_QUERY, lineInFile } from "./lines.ts";
import { isOwnFile, plainPath, QUERY } from "./scope.ts";

/**
 * A stack of this worker as its user should see it: files under their own names, lines as they are in
 * them, and without the frames of bsync itself, which are the same below every task.
 */
export function userStack(stack: string): string {
  const lines = stack.split("\n").filter((line) => !isOwnFrame(line));
  return lines.map(inFile).join("\n").replaceAll(QUERY, "");
}

const PLACE = /^\s+at .*?\(?((?:file:\/\/)?\/[^()]*?):\d+:\d+\)?$/;
const INLINE_PLACE = new RegExp(`${INLINE_QUERY.replace("?", "\\?")}(\\d+):(\\d+)`);

function isOwnFrame(line: string): boolean {
  const place = PLACE.exec(line)?.[1];
  return place !== undefined && isOwnFile(plainPath(place));
}

function inFile(line: string): string {
  return line.replace(
    INLINE_PLACE,
    (_, id: string, line: string) => `:${lineInFile(Number(id), Number(line))}`,
  );
}
