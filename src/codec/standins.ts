/** Classes for errors whose own class cannot be found in this process. */
import type { ErrorClass, Level } from "./known.ts";
import { define } from "./own.ts";
import type { ClassReference } from "./types.ts";

/** More than this are made up, not classes of a program. */
const MOST = 1000;

const made = new Map<Function, Map<string, Function>>();
let count = 0;
const origins = new WeakMap<Function, readonly ClassReference[]>();

/**
 * A class on top of `parent`, the same for each name and origin: errors of one class stay of one
 * class.
 */
export function standIn(parent: Function, { name, references }: Level): Function {
  const key = [name, ...references.flatMap(({ module, name }) => [module, name])].join("\n");
  const known = made.get(parent)?.get(key);
  if (known !== undefined) return known;
  let result: Function;
  try {
    result = extend(parent as ErrorClass);
  } catch {
    return parent; // a function that inherits from Error, and is no constructor
  }
  define(result, "name", name, false);
  origins.set(result, references);
  if (++count > MOST) {
    made.clear();
    count = 1;
  }
  const siblings = made.get(parent) ?? new Map<string, Function>();
  made.set(parent, siblings.set(key, result));
  return result;
}

/** A class without an own name, which the console would show. */
function extend(parent: ErrorClass): Function {
  return class extends parent {};
}

/** The places that export the class which a stand-in represents; undefined for other classes. */
export function originOf(maker: Function | null): readonly ClassReference[] | undefined {
  return maker === null ? undefined : origins.get(maker);
}
