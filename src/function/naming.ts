import { needStackToLoad } from "../os/stack.ts";
import type { FunctionRecord } from "./record.ts";

/** How functions are named to workers is loaded with the first call: it takes some ms. */

type Reference = typeof import("./reference.ts");

let reference: Reference | null = null;

/**
 * The record of a function, or of a text that stands for one. Throws `FunctionError` for what
 * cannot travel: native, bound, a class, a method that needs `this`, a text that does not parse.
 */
export function recordOf(fn: ((...args: never[]) => unknown) | string): FunctionRecord {
  if (reference === null) {
    needStackToLoad();
    reference = require("./reference.ts") as Reference;
  }
  return reference.recordOf(fn);
}
