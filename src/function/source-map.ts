import { files } from "../os/files.ts";
import { dirname, resolve } from "node:path";
import { JSON } from "../os/natives.ts";

/**
 * The source maps of bundles. The runtime maps the frames of a stack by a map beside a bundle, or
 * in it, whether the bundle names it or not; the module that runs is the bundle all the same.
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
  let map: { sources?: unknown; sourceRoot?: unknown } | null;
  try {
    map = JSON.parse(readMap(module) ?? "null");
  } catch {
    return []; // There is none, or it is broken: then the runtime has not used it, either.
  }
  if (map === null || !Array.isArray(map.sources)) return [];
  const root = typeof map.sourceRoot === "string" ? map.sourceRoot : "";
  return map.sources
    .filter((source) => typeof source === "string")
    .map((source) => resolve(dirname(module), root, source));
}

const COMMENT = /^\/\/[#@] sourceMappingURL=(\S+)\s*$/gm;

/**
 * The text of a module's map, if it is a bundle of Bun's: that which it names, holds, or lies
 * beside.
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
