import { files } from "../os/files.ts";
import { dirname, resolve } from "node:path";
import { JSON } from "../os/natives.ts";

/**
 * The source maps of bundles. The runtime maps stack frames by a map beside a bundle, or in it,
 * even if the bundle does not name it; the module that runs is still the bundle.
 */

/** The sources of each module that was read; none if it has no map. */
const sourcesOf = new Map<string, ReadonlySet<string>>();

/** The module that was bundled from a source; undefined if there is none. */
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
  let map: { sources?: unknown; sourceRoot?: unknown } | null;
  try {
    map = JSON.parse(readMap(module) ?? "null");
  } catch {
    return []; // no map, or a broken one, which the runtime did not use either
  }
  if (map === null || !Array.isArray(map.sources)) return [];
  const root = typeof map.sourceRoot === "string" ? map.sourceRoot : "";
  return map.sources
    .filter((source) => typeof source === "string")
    .map((source) => resolve(dirname(module), root, source));
}

const COMMENT = /^\/\/[#@] sourceMappingURL=(\S+)\s*$/gm;

/**
 * The text of the map of a bundle made by Bun: a map that it names or holds, or the file beside it.
 */
export function readMap(path: string): string | null {
  if (!/\.[cm]?js$/.test(path)) return null;
  const text = files().readFileSync(path, "utf8");
  if (!/^(#!.*\n)?\/\/ @bun\b/.test(text)) return null;
  const named = [...text.matchAll(COMMENT)].at(-1)?.[1];
  const inline = named === undefined ? null : /^data:[^,]*;base64,(.*)$/.exec(named);
  if (inline !== null) return Buffer.from(inline[1]!, "base64").toString();
  const beside = [named === undefined ? null : resolve(dirname(path), named), `${path}.map`];
  const found = beside.find((file) => file !== null && files().existsSync(file)) ?? null;
  return found === null ? null : files().readFileSync(found, "utf8");
}
