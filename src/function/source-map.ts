import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { JSON } from "../os/natives.ts";

/**
 * The source maps of bundles. The runtime maps the frames of a stack by a map beside a bundle, or in it, whether the
 * bundle names it or not; the module that runs is the bundle all the same.
 */

/** The sources of each module that was looked at; none for one without a map. */
const sourcesOf = new Map<string, ReadonlySet<string>>();

/** The one of these modules that was bundled from a source; undefined if none was. */
export function bundleOf(source: string, modules: readonly string[]): string | undefined {
  return modules.find((module) => sources(module).has(source));
}

function sources(module: string): ReadonlySet<string> {
  let found = sourcesOf.get(module);
  if (found === undefined) {
    found = new Set(readSources(module));
    sourcesOf.set(module, found);
  }
  return found;
}

function readSources(module: string): string[] {
  const map = readMap(module) as { sources?: unknown; sourceRoot?: unknown } | null;
  if (map === null || !Array.isArray(map.sources)) return [];
  const root = typeof map.sourceRoot === "string" ? map.sourceRoot : "";
  return map.sources
    .filter((source) => typeof source === "string")
    .map((source) => resolve(dirname(module), root, source));
}

/** Of a comment that holds the map itself, at the end of a module. */
const INLINE_MAP = /\/\/[#@] sourceMappingURL=data:application\/json[^,]*;base64,([\w+/=]+)\s*$/;

/** A module's source map, as it stands; null where there is none. */
export function readMap(module: string): object | null {
  for (const read of [
    () => readFileSync(`${module}.map`, "utf8"),
    () => {
      const encoded = INLINE_MAP.exec(readFileSync(module, "utf8"))?.[1];
      return encoded === undefined ? "" : Buffer.from(encoded, "base64").toString();
    },
  ]) {
    try {
      return JSON.parse(read()) as object;
    } catch {
      // There is none here, or it is broken: then the runtime has not used it, either.
    }
  }
  return null;
}
