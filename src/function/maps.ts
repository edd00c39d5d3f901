/**
 * Places in files as the author sees them: without the text a worker puts before a module's first
 * line, and in the sources of a bundle with a source map. The runtime uses such a map by itself
 * where it runs a bundle as it is, which a worker may not do. Nothing is read until a frame is
 * shown.
 */
import { SourceMap } from "node:module";
import { dirname, resolve } from "node:path";
import { JSON } from "../os/natives.ts";
import type { Place } from "./lines.ts";
import { readMap } from "./source-map.ts";

const shifts = new Map<string, number>();

/** Records how many letters were put before the first line of a module. */
export function noteShift(path: string, letters: number): void {
  shifts.set(path, letters);
}

/** The maps that were read; null: the module has none. */
const maps = new Map<string, SourceMap | null>();

/** The source place of a frame of this process. */
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
      // A map that cannot be read counts as none.
    }
    maps.set(path, map);
  }
  return map;
}
