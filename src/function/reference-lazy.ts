import { needStackToLoad } from "../os/stack.ts";
import type { FunctionRecord } from "./record.ts";

/** `reference.ts` is loaded with the first call: that takes some ms. */

type Reference = typeof import("./reference.ts");

let reference: Reference | null = null;

/**
 * The record of a function, or of a text that yields one. Throws `FunctionError` for one that
 * cannot travel: native, bound, a class, a method that needs `this`, a text that does not parse.
 */
export function recordOf(fn: ((...args: never[]) => unknown) | string): FunctionRecord {
  if (reference === null) {
    needStackToLoad();
    reference = require("./reference.ts") as Reference;
  }
  return reference.recordOf(fn);
}
