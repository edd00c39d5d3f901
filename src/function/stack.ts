import { isOriginLine } from "../codec/stacks.ts";
import { placeInFile } from "./lines.ts";
import { placeInSource } from "./maps.ts";
import { INLINE, isOwnFile, NO_LANGUAGE, plainPath, TEXT } from "./paths.ts";

/**
 * Frames of this worker as its user should see them: files by their own names, lines as in the
 * files, without bsync's own frames, which are the same below every task, nor engine frames among
 * them.
 */
export function userFrames(frames: string): string {
  const whole = frames.split("\n");
  const end = whole.findIndex((line) => BOUNDARY.test(line) || isOriginLine(line));
  const isRemote = end >= 0 && isOriginLine(whole[end]!);
  const lines = (end < 0 ? whole : whole.slice(0, end)).map(asPath);
  const own = lines.map(isOwnFrame);
  const kept = lines.filter(
    (line, i) =>
      !own[i] && !(BETWEEN.test(line) && (own[i - 1] || own[i + 1])) && !IMPLICIT.test(line),
  );
  const told = kept.map((line) => inSource(inFile(line).replaceAll(NO_LANGUAGE, "")));
  // Another worker has cleaned the part below its line: the error came through a pool of the task.
  return [...told, ...(isRemote ? whole.slice(end) : [])].join("\n");
}

const FILE_PLACE = /^(\s+at (?:.*\()?)(\/.*?):(\d+):(\d+)(\)?)$/;
/**
 * The frames in which bsync calls a task and awaits it (worker/call.ts): nothing below belongs to
 * the program.
 */
const BOUNDARY = /^\s+at (?:async )?bsync: (?:call|wait) \(/;
const PLACE = /^\s+at .*?\(?((?:file:\/\/)?\/[^()]*?):\d+:\d+\)?$/;
/** Engine frames between bsync and a task. */
const BETWEEN = /^\s+at (run \(node:async_hooks:|runInThisContext \()/;
/**
 * A constructor that a class does not write. It stands nowhere; the console would show its column
 * in the source of the next frame.
 */
const IMPLICIT = /^\s+at (?:(?:new )?[^\s()]+ \()?unknown:\d+:\d+\)?$/;
// The name of a source holds no spaces: its path is encoded.
const INLINE_PLACE = new RegExp(`(/\\S*?)${INLINE.replace("?", "\\?")}(\\d+):(\\d+):(\\d+)`);
const TEXT_PLACE = new RegExp(`[^\\s(]*${TEXT.replace("?", "\\?")}:(\\d+):(\\d+)`);

/** The engine gives paths with spaces and the like as URLs. */
function asPath(line: string): string {
  return line.replace(/(?<=^\s+at .*)file:\/\/(\/\S*?)(?=:\d+:\d+\)?$)/, (_, path: string) =>
    decoded(path.replaceAll("%3F", "?")),
  );
}

function isOwnFrame(line: string): boolean {
  const place = PLACE.exec(line)?.[1];
  return place !== undefined && isOwnFile(plainPath(place));
}

/**
 * In the file, for an inline function; in the text itself, for one that is given as such. Both were
 * evaluated in brackets, from the second line on.
 */
function inFile(line: string): string {
  const [text, at, column] = TEXT_PLACE.exec(line) ?? [];
  if (text !== undefined) {
    return line.replace(text, `text:${Number(at) - 1}:${Number(column) - (at === "2" ? 1 : 0)}`);
  }
  return line.replace(INLINE_PLACE, (_, path: string, id: string, line: string, column: string) => {
    const place = placeInFile(Number(id), { line: Number(line) - 1, column: Number(column) });
    return `${decoded(path)}:${place.line}:${place.column}`;
  });
}

/** A bundle's frame, placed in the source that the bundle was made from. */
function inSource(line: string): string {
  const [, before, path, at, column, after] = FILE_PLACE.exec(line) ?? [];
  if (path === undefined) return line;
  const place = placeInSource(path, { line: Number(at), column: Number(column) });
  return `${before}${place.path}:${place.line}:${place.column}${after}`;
}

function decoded(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}
