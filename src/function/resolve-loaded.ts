import { registerInline } from "./lines.ts";
import { INLINE } from "./paths.ts";
import type { FunctionReference } from "./record.ts";
import { registeredFunction } from "./registry.ts";
import { importsOf, isThere, readExport, readName, Resolved } from "./resolve.ts";
import { scopeOf } from "./scope.ts";

/**
 * Finds a function while a call holds the thread, and so without loading anything; null where it
 * has to be looked for in the usual way, be it to say why there is none.
 */
export function resolveLoaded(reference: FunctionReference): Resolved | null {
  switch (reference.kind) {
    case "task":
      return asResolved(registeredFunction(reference.name));
    case "export":
      return asResolved(readExport(reference.module, reference.name));
    case "source":
      return findSource(reference);
    case "text":
      return null;
  }
}

function findSource(source: Extract<FunctionReference, { kind: "source" }>): Resolved | null {
  const { modules, name, text, expression, line } = source;
  const home = modules[0]!;
  const scope = scopeOf(home);
  if (scope === undefined) return null;
  if (name !== "") {
    const value = readExport(home, name) ?? readName(home, name);
    if (typeof value === "function" && String(value) === text) return asResolved(value);
    return null;
  }
  // An import that nothing else uses is not among the names of the module.
  if (scope.reach !== "names") return null;
  const uses = importsOf(home).filter(({ local }) => text.includes(local));
  if (!uses.every(({ local }) => isThere(scope.evaluate, local))) return null;
  const id = registerInline({ module: home, text, line });
  const evaluated = `\n${expression}\n//# sourceURL=${encodeURI(home)}${INLINE}${id}`;
  try {
    return new Resolved(scope.evaluate(evaluated) as Resolved["fn"], { text, id });
  } catch {
    return null;
  }
}

function asResolved(value: unknown): Resolved | null {
  return typeof value === "function" ? new Resolved(value as Resolved["fn"]) : null;
}
