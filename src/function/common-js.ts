import Module from "node:module";
import { HAND_OVER } from "./paths.ts";
import { isEsModule, readText } from "./module-text.ts";

/**
 * How the names of a CommonJS module come within reach: the runtime asks no plugin for its text,
 * but wraps it in a function, whose end can be another one. What is behind the text leaves its
 * lines, its columns and its directives as they are; it is not reached where the module returns or
 * throws before its end.
 */

type Extension = (module: object, path: string) => void;

/** What `node:module` has, and its types do not tell of. */
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
 * reach. An ES module that is required meanwhile is loaded as ever: what it imports would have no
 * exports under another wrapper.
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

/** Runs `load` with the end of the wrapper that is given; null: the usual one. */
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
