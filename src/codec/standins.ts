/** Classes for errors whose own class is not to be had in this process. */
import type { ErrorClass, Level } from "./known.ts";
import { define } from "./own.ts";
import type { ClassReference } from "./types.ts";

/** More than this are no classes of a program, but made up. */
const MOST = 1000;

const made = new Map<Function, Map<string, Function>>();
let count = 0;
const origins = new WeakMap<Function, readonly ClassReference[]>();

/**
 * One on top of `parent`: the same for each name and origin, so that errors of one class are of
 * one here.
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

/** A class without a name of its own, which the console would show. */
function extend(parent: ErrorClass): Function {
  return class extends parent {};
}

/**
 * Where the class is exported from that this one stands for, in another process; undefined if it
 * is no stand-in.
 */
export function originOf(maker: Function | null): readonly ClassReference[] | undefined {
  return maker === null ? undefined : origins.get(maker);
}
