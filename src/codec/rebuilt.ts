/**
 * Rebuilds errors.
 *
 * An error is rebuilt without its class's constructor, which may want other arguments or have
 * effects: `Reflect.construct(Error, [], Class)` gives an object of the class that the engine
 * itself knows for an error (`Error.isError`, the console), which `Object.create` would not.
 *
 * The private fields of its class are lost. So the results of its getters, `toString` and `toJSON`
 * are sent along, and become the error's own properties wherever the rebuilt error gives others.
 */
import { untraced, ValueError } from "../errors.ts";
import { type Failure, Flag, GIVEN, resultOf, tell, type Told } from "./errors.ts";
import { type ErrorClass, FIRST_OWN, KNOWN, type Level } from "./known.ts";
import { define } from "./own.ts";
import { standIn } from "./standins.ts";
import type { DecodeContext } from "./types.ts";

/**
 * Makes the error. The caller defines its cells (cause, own properties), then calls `finishError`.
 */
export function rebuildError(failure: Failure, context: DecodeContext): Error {
  const { base, levels, flags, message, name, stack } = failure;
  const known = KNOWN[base];
  if (known === undefined) throw new ValueError("Cannot decode a value: its bytes are damaged");
  const error = construct(known, classOf(known, levels, context), message, name);
  if (flags & Flag.OwnMessage) {
    define(error, "message", message, (flags & Flag.ShownMessage) !== 0);
  }
  if (flags & Flag.OwnName) define(error, "name", name, (flags & Flag.ShownName) !== 0);
  if (stack !== null) define(error, "stack", stack, false);
  return error;
}

/**
 * Call once the error's cells are defined: values that differ here from the sender's become its
 * own.
 */
export function finishError(error: Error, failure: Failure, inherited: readonly Told[]): void {
  for (const { key, isResult, value } of inherited) {
    if (isResult) {
      if (isSame(resultOf(error, key), value)) continue;
      define(error, key, () => value, false);
      // The engine asks `Symbol.toPrimitive` first.
      if (key === "toString" && Symbol.toPrimitive in error) {
        define(error, Symbol.toPrimitive, () => value, false);
      }
    } else if (!reads(error, key, value)) define(error, key, value, false);
  }
  const { message, name } = failure;
  if (tell(error, "message") !== message) define(error, "message", message, false);
  if (tell(error, "name") !== name) define(error, "name", name, false);
}

/** Whether a property has the sender's value; a getter may throw here. */
function reads(error: Error, key: PropertyKey, there: unknown): boolean {
  try {
    return isSame(Reflect.get(error, key), there);
  } catch {
    return false;
  }
}

/** Two objects cannot be compared: the one computed here is as good. */
function isSame(here: unknown, there: unknown): boolean {
  if (typeof there === "object" && there !== null) {
    return typeof here === "object" && here !== null;
  }
  return Object.is(here, there);
}

/** The class itself, or a stand-in of its name on top of the nearest class found here. */
function classOf(known: ErrorClass, levels: readonly Level[], context: DecodeContext): Function {
  let result: Function | null = null;
  let at = 0;
  for (; at < levels.length; at++) {
    result = find(levels[at]!, context);
    if (result !== null) break;
  }
  result ??= known;
  while (--at >= 0) result = standIn(result, levels[at]!);
  return result;
}

function find({ references }: Level, context: DecodeContext): Function | null {
  for (const reference of references) {
    try {
      const found = context.classFor(reference);
      if (typeof found === "function" && found.prototype instanceof Error) return found;
    } catch {
      // The class is not to be had here.
    }
  }
  return null;
}

function construct(known: ErrorClass, target: Function, message: string, name: string): Error {
  // No frames of this process: the console would show where the error was decoded.
  return untraced(() => {
    if (known === DOMException) return Reflect.construct(DOMException, [message, name], target);
    const args = known === AggregateError ? [[]] : [];
    const native = KNOWN.indexOf(known) < FIRST_OWN ? known : Error;
    const error = Reflect.construct(native, args, target) as Error;
    for (const key of GIVEN) Reflect.deleteProperty(error, key);
    return error;
  });
}
