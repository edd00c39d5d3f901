import { importedModules, readText } from "./module-text.ts";
import { isOwnFile } from "./paths.ts";
import type { FunctionReference } from "./record.ts";

/** What was found of a module and all that it imports, by its path. */
const found = new Map<string, boolean>();

/** Texts that ask for the pool of a task: at once, by its parts, or by a variable. */
const ASKS = [
  /\btaskContext\s*\(\s*\)\s*\.\s*pool\b/,
  /\bpool\b[^{}()]*\}\s*=\s*taskContext\b/,
  /=\s*taskContext\s*\(\s*\)[^]*\w\.pool\b|\w\.pool\b[^]*=\s*taskContext\s*\(\s*\)/,
];

/**
 * Whether a function may ask for the pool of its task, by the texts of its modules. True where one
 * cannot be read, as of a compiled program. `main` is the main script.
 */
export function mayAskForPool(reference: FunctionReference, main: string): boolean {
  return modulesOf(reference, main).some(asks);
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

function asks(module: string): boolean {
  let is = found.get(module);
  if (is === undefined) {
    // Modules may import each other.
    found.set(module, false);
    found.set(module, (is = search(module)));
  }
  return is;
}

function search(module: string): boolean {
  let text: string;
  try {
    text = readText(module);
  } catch {
    return true;
  }
  if (ASKS.some((pattern) => pattern.test(text))) return true;
  // Installed packages import no program.
  const isProgram = (path: string) =>
    path.startsWith("/") && !path.includes("/node_modules/") && !isOwnFile(path);
  return importedModules(module).filter(isProgram).some(asks);
}
