import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { startFolder } from "../os/runtime.ts";
import { resolved } from "./module-text.ts";

/**
 * The modules that this process loaded before its main script: from flags and its config file. Each
 * is a path or, if it is no file, as the program wrote it.
 */
export function preloads(): string[] {
  const folder = startFolder();
  if (folder === undefined) return [];
  const specifiers = [
    ...preloadsOfConfig(folder),
    ...valuesOf(/^(?:--preload|--require|--import|-r)$/),
  ];
  return specifiers.map((specifier) => {
    const path = resolve(folder, specifier);
    return existsSync(path) ? path : (resolved(specifier, resolve(folder, "main")) ?? specifier);
  });
}

/** The values of a flag, which may be written in two ways. */
function valuesOf(flag: RegExp): string[] {
  const { execArgv } = process;
  return execArgv.flatMap((word, i) => {
    if (flag.test(word)) return execArgv[i + 1] ?? [];
    const at = word.indexOf("=");
    return at > 0 && flag.test(word.slice(0, at)) ? word.slice(at + 1) : [];
  });
}

function preloadsOfConfig(folder: string): string[] {
  const path = resolve(folder, valuesOf(/^(?:--config|-c)$/).at(-1) ?? "bunfig.toml");
  if (!existsSync(path)) return [];
  try {
    const { preload = [] } = Bun.TOML.parse(readFileSync(path, "utf8")) as { preload?: unknown };
    return [preload].flat().filter((specifier) => typeof specifier === "string");
  } catch {
    return []; // The runtime has read it otherwise.
  }
}
