import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { codeOf } from "./text.ts";

/** The texts of modules: their language, their kind, their imports. Nothing here loads a module. */

export type Language = "js" | "jsx" | "ts" | "tsx";

/** As the runtime reads them: JSX may stand in a `.js` file, too. */
const LANGUAGES: Readonly<Record<string, Language>> = {
  ".js": "jsx",
  ".mjs": "jsx",
  ".cjs": "jsx",
  ".jsx": "jsx",
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
};

/** The language of a file by its name; undefined for a file that is no program text. */
export function languageOf(path: string): Language | undefined {
  return LANGUAGES[extname(path)];
}

export function readText(path: string): string {
  const text = readFileSync(path, "utf8");
  // A comment keeps the number of lines, and lets statements stand before it.
  return text.startsWith("#!") ? `//${text}` : text;
}

/**
 * An import or export statement anywhere in a text; white space in between, or none in minified
 * texts.
 */
const MODULE_SYNTAX =
  /(?<![.\w$])(?:import(?:\s*[{*"']|\s+[\w$]|\s*\.\s*meta\b)|export(?:\s*[{*]|\s+[\w$]))/;
/** Output of the runtime's bundler names its kind in its first line. */
const BUNDLE = /^(?:\/\/#!.*\n)?\/\/ @bun\b.*/;
const COMMON_JS = /(?<![.\w$])(?:module\s*\.\s*exports|exports\s*[.[]|require\s*\()/;

/** Whether a text is an ES module or a CommonJS one, which the runtime distinguishes by syntax. */
export function isEsModule(path: string, text: string): boolean {
  const extension = extname(path);
  if (extension === ".cjs" || extension === ".cts") return false;
  if (extension === ".mjs" || extension === ".mts") return true;
  const bundled = BUNDLE.exec(text);
  if (bundled !== null) return !bundled[0].includes("@bun-cjs");
  // The match may lie in a string.
  if (!COMMON_JS.test(text)) return true;
  const code = codeOf(text);
  return MODULE_SYNTAX.test(code) || !COMMON_JS.test(code) || awaitsAtTop(code);
}

/** Whether code awaits outside of any function, which a CommonJS module cannot do. */
function awaitsAtTop(code: string): boolean {
  let depth = 0;
  for (const [token] of code.matchAll(/[{}]|(?<![.\w$])await\b/g)) {
    if (token === "{") depth++;
    else if (token === "}") depth--;
    else if (depth === 0) return true;
  }
  return false;
}

/**
 * The specifiers that a text imports with attributes, as in `with { type: "text" }`: such an import
 * gives another module than the plain import of the same path. Computed specifiers are not known.
 */
export function importedWithAttributes(text: string): ReadonlySet<string> {
  const specifiers = new Set<string>();
  if (!/\b(?:with|assert)\s*[:{]/.test(text)) return specifiers;
  const code = codeOf(text);
  const marks = /(["'])[^"'\n]*\1\s*(?:,\s*\{\s*)?(?:with|assert)\s*:?\s*\{/g;
  for (const { index } of code.matchAll(marks)) {
    specifiers.add(text.slice(index + 1, text.indexOf(text[index]!, index + 1)));
  }
  return specifiers;
}

/** A name that a module imports. */
export interface ImportedName {
  readonly local: string;
  /** Its name in the imported module; "*": the namespace. */
  readonly imported: string;
  readonly specifier: string;
}

const IMPORT = /(?<![.\w$])import\s+(?!type\b(?!\s*,|\s+from\b))([\w$*{},\s]+?)\s*from\s*(["'])/g;

/** The names that a text imports by statements; names marked as types are left out. */
export function importedNames(text: string): ImportedName[] {
  const code = codeOf(text);
  const names: ImportedName[] = [];
  for (const { 0: statement, 1: clause = "", 2: quote = "", index } of code.matchAll(IMPORT)) {
    const start = index + statement.length;
    const specifier = text.slice(start, text.indexOf(quote, start));
    const braces = /\{([^}]*)\}/.exec(clause)?.[1] ?? "";
    for (const part of braces.split(",")) {
      const [, imported, local = imported] =
        /^\s*([\w$]+)(?:\s+as\s+([\w$]+))?\s*$/.exec(part) ?? [];
      if (imported !== undefined) names.push({ local: local!, imported, specifier });
    }
    const rest = clause.replace(/\{[^}]*\}/, "");
    const namespace = /\*\s*as\s+([\w$]+)/.exec(rest)?.[1];
    if (namespace !== undefined) names.push({ local: namespace, imported: "*", specifier });
    const byDefault = /^\s*([\w$]+)\s*(?:,|$)/.exec(rest)?.[1];
    if (byDefault !== undefined) names.push({ local: byDefault, imported: "default", specifier });
  }
  return names;
}

/** A module that a text imports. */
export interface ImportedModule {
  readonly specifier: string;
  /** The file that the specifier stands for. */
  readonly path: string;
  /** True for a statement, which runs the module before its importer; false for `import()`. */
  readonly isStatement: boolean;
}

/** The modules that a text imports, each resolved; those that cannot be resolved are left out. */
export function importsOf(path: string, text: string): ImportedModule[] {
  try {
    const { imports } = new Bun.Transpiler({ loader: languageOf(path) ?? "tsx" }).scan(text);
    return imports.flatMap(({ path: specifier, kind }): ImportedModule[] => {
      const target = resolved(specifier, path);
      const isStatement = kind === "import-statement";
      return target === null ? [] : [{ specifier, path: target, isStatement }];
    });
  } catch {
    return []; // The import itself will say what is wrong.
  }
}

/** The modules that a module imports by statements. */
export function importedModules(path: string): string[] {
  let text: string;
  try {
    text = readText(path);
  } catch {
    return [];
  }
  return importsOf(path, text).flatMap(({ path, isStatement }) => (isStatement ? [path] : []));
}

/** The file that a specifier stands for; null if it is none. */
export function resolved(specifier: string, importer: string): string | null {
  try {
    const path = Bun.resolveSync(specifier, dirname(importer));
    return path.startsWith("/") ? path : null;
  } catch {
    return null;
  }
}

const users = new Map<string, boolean>();

/**
 * Whether a file may call bsync: true outside of packages, and in a package that has to do with
 * bsync.
 */
export function mayCallBsync(path: string, text: string): boolean {
  const at = path.lastIndexOf("/node_modules/");
  if (at < 0 || text.includes("bsync") || text.includes(".async(")) return true;
  const [scope = "", name = ""] = path.slice(at + "/node_modules/".length).split("/");
  const folder =
    path.slice(0, at) + "/node_modules/" + scope + (scope[0] === "@" ? `/${name}` : "");
  let uses = users.get(folder);
  if (uses === undefined) {
    const manifest = join(folder, "package.json");
    uses = existsSync(manifest) && readFileSync(manifest, "utf8").includes('"bsync"');
    users.set(folder, uses);
  }
  return uses;
}
