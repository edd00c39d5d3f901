import Module from "node:module";
import { HAND_OVER } from "./paths.ts";
import { isEsModule, readText } from "./module-text.ts";

/**
 * How the names of a CommonJS module come within reach. The runtime asks no plugin for its text,
 * but wraps it in a function, and the end of that wrapper can be replaced. Code behind the text
 * leaves the module's lines, columns and directives as they are; it does not run if the module
 * returns or throws before its end.
 */

type Extension = (module: object, path: string) => void;

/** Members of `node:module` that its types leave out. */
interface Wrapping {
  readonly wrapper: [string, string];
  readonly _extensions: Record<string, Extension>;
}

const wrapping = Module as unknown as Wrapping;
const WRAPPED = [".js", ".cjs", ".ts", ".cts"];
const END =
  `\n;${HAND_OVER}(__filename,` +
  "(__bsync_text,__bsync_meta)=>eval(__bsync_text),module.exports)})";

/**
 * Loads a module by `load`, with its names and those of the CommonJS modules it requires within
 * reach. An ES module that is required meanwhile is loaded with the usual wrapper: under another
 * one the modules it imports would have no exports.
 */
export function withNamesInReach<T>(load: () => T): T {
  const before = { ...wrapping._extensions };
  for (const extension of WRAPPED) {
    const extend = before[extension] ?? before[".js"]!;
    wrapping._extensions[extension] = (module, path) =>
      wrappedBy(isEsModule(path, readText(path)) ? null : END, () => extend(module, path));
  }
  try {
    return load();
  } finally {
    for (const extension of WRAPPED) {
      if (before[extension] === undefined) delete wrapping._extensions[extension];
      else wrapping._extensions[extension] = before[extension];
    }
  }
}

let usual: string | null = null;

/** Runs `load` with the given end of the wrapper; null: the usual end. */
function wrappedBy(end: string | null, load: () => void): void {
  const { wrapper } = wrapping;
  const current = wrapper[1];
  usual ??= current;
  const wanted = end ?? usual;
  if (wanted === current) return load();
  wrapper[1] = wanted;
  try {
    load();
  } finally {
    wrapper[1] = current;
  }
}
