import { importedModules, readText } from "./module-text.ts";
import type { FunctionReference } from "./record.ts";

/** What was found of a module and all that it imports, by its path and the word. */
const found = new Map<string, boolean>();

/**
 * Whether the modules of a function may use a name: their texts have it. True where a text cannot
 * be read, as of a compiled program. `main` is the main script.
 */
export function mayMention(reference: FunctionReference, main: string, name: string): boolean {
  return modulesOf(reference, main).some((module) => mentions(module, name));
}

function modulesOf(reference: FunctionReference, main: string): readonly string[] {
  switch (reference.kind) {
    case "export":
      return [reference.module];
    case "source":
      return reference.modules;
    case "task":
    case "text":
      return [main];
  }
}

function mentions(module: string, name: string): boolean {
  const key = `${name} ${module}`;
  let is = found.get(key);
  if (is === undefined) {
    // Modules may import each other.
    found.set(key, false);
    found.set(key, (is = search(module, name)));
  }
  return is;
}

function search(module: string, name: string): boolean {
  let text: string;
  try {
    text = readText(module);
  } catch {
    return true;
  }
  if (text.includes(name)) return true;
  // Installed packages import no program, and bsync is one of them.
  const own = importedModules(module).filter((path) => !path.includes("/node_modules/"));
  return own.some((path) => path.startsWith("/") && mentions(path, name));
}
