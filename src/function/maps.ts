/**
 * Places in files as their author sees them: without what a worker has put before a module's first
 * line, and in the sources of a bundle that has a source map. The runtime looks at such a map by
 * itself where it runs a bundle as it is, which a worker may not do. Nothing is read before a
 * frame has to be told.
 */
import { SourceMap } from "node:module";
import { dirname, resolve } from "node:path";
import { JSON } from "../os/natives.ts";
import type { Place } from "./lines.ts";
import { readMap } from "./source-map.ts";

const shifts = new Map<string, number>();

/** So many letters were put before the first line of a module. */
export function noteShift(path: string, letters: number): void {
  shifts.set(path, letters);
}

/** Of maps that were read; null: it has none. */
const maps = new Map<string, SourceMap | null>();

/** Where the place is that a frame of this process names. */
export function placeInSource(path: string, place: Place): Place & { readonly path: string } {
  const shift = place.line === 1 ? (shifts.get(path) ?? 0) : 0;
  const { line } = place;
  const column = place.column > shift ? place.column - shift : place.column;
  const entry = mapOf(path)?.findEntry(line - 1, column - 1);
  if (entry === undefined || !("originalSource" in entry)) return { path, line, column };
  return {
    path: resolve(dirname(path), entry.originalSource),
    line: entry.originalLine + 1,
    column: entry.originalColumn + 1,
  };
}

function mapOf(path: string): SourceMap | null {
  let map = maps.get(path);
  if (map === undefined) {
    map = null;
    try {
      const text = readMap(path);
      if (text !== null) map = new SourceMap(JSON.parse(text));
    } catch {
      // One that cannot be read is as good as none.
    }
    maps.set(path, map);
  }
  return map;
}
