/**
 * Errors: what of them travels, and how they are made again.
 *
 * An error is rebuilt without its class's constructor, which may want other arguments or do
 * things: `Reflect.construct(Error, [], Class)` gives an object of the class that the engine itself
 * knows for an error (`Error.isError`, the console), which `Object.create` would not.
 */
import * as own from "../errors.ts";
import { define } from "./own.ts";
import { isNative } from "./refusal.ts";
import type { ClassReference, DecodeContext, EncodeContext } from "./types.ts";

type ErrorClass = new (...args: never[]) => Error;

/** The classes known on every side, by their place in this list; new ones go to the end. */
const BUILT_IN: readonly ErrorClass[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError,
  DOMException,
  SuppressedError,
  own.BsyncError,
  own.ProcException,
  own.TimeoutError,
  own.WorkerLostError,
  own.CancelledError,
  own.PoolClosedError,
  own.QueueFullError,
  own.FunctionError,
  own.ValueError,
  own.MpiError,
];
/** Those from here on are made as an Error: their constructors want what only bsync knows. */
const FIRST_OWN = BUILT_IN.indexOf(own.BsyncError);

/** Properties that the engine makes not enumerable, and that travel nevertheless. */
export const HIDDEN = ["cause", "errors", "error", "suppressed"] as const;

/** What the runtime's own errors (of resolving, of building) tell through getters of a prototype. */
const RUNTIME_DETAILS = ["code", "specifier", "referrer", "importKind", "level", "position"];

/** Those of `RUNTIME_DETAILS` that an error has, if its class is the runtime's and not known. */
export function runtimeDetails(error: object): string[] {
  const prototype = Object.getPrototypeOf(error) as object | null;
  const maker = tell(prototype, "constructor");
  if (!isNative(maker) || BUILT_IN.includes(maker as ErrorClass)) return [];
  return RUNTIME_DETAILS.filter(
    (key) => !Object.hasOwn(error, key) && tell(error, key) !== undefined,
  );
}

export const Flag = { OwnMessage: 1, OwnName: 2, ShownMessage: 4, ShownName: 8 } as const;

/** The part of an error that is no cell. */
export interface Failure {
  /** Place in BUILT_IN of the nearest class known everywhere. */
  readonly base: number;
  /** Null if that is the class itself, or if nobody else could find the class. */
  readonly reference: ClassReference | null;
  readonly flags: number;
  readonly message: string;
  readonly name: string;
  readonly stack: string | null;
}

/** Never throws: what a hostile error refuses to tell is left out. */
export function describeError(error: object, context: EncodeContext): Failure {
  const base = baseOf(error);
  const maker = tell(Object.getPrototypeOf(error) as object | null, "constructor");
  let reference: ClassReference | null = null;
  if (typeof maker === "function" && maker !== BUILT_IN[base]) {
    try {
      reference = context.classOf(maker);
    } catch {
      // The error is worth more than its class.
    }
  }
  const message = tell(error, "message");
  const name = tell(error, "name");
  const stack = tell(error, "stack");
  const ownMessage = Object.getOwnPropertyDescriptor(error, "message");
  const ownName = Object.getOwnPropertyDescriptor(error, "name");
  return {
    base,
    reference,
    flags:
      (ownMessage ? Flag.OwnMessage : 0) |
      (ownName ? Flag.OwnName : 0) |
      (ownMessage?.enumerable ? Flag.ShownMessage : 0) |
      (ownName?.enumerable ? Flag.ShownName : 0),
    message: typeof message === "string" ? message : "",
    name: typeof name === "string" ? name : nameOfMaker(maker),
    stack: typeof stack === "string" ? (context.stackFor?.(stack) ?? stack) : null,
  };
}

function tell(from: object | null, key: string): unknown {
  try {
    return from === null ? undefined : (Reflect.get(from, key) as unknown);
  } catch {
    return undefined;
  }
}

function nameOfMaker(maker: unknown): string {
  return typeof maker === "function" && maker.name !== "" ? maker.name : "Error";
}

/** The nearest known class up the chain; of another realm's, the one of the same name. */
function baseOf(error: object): number {
  let prototype: unknown = Object.getPrototypeOf(error);
  for (let steps = 0; steps < 1000 && typeof prototype === "object" && prototype; steps++) {
    const maker = tell(prototype, "constructor");
    const known = BUILT_IN.indexOf(maker as ErrorClass);
    if (known >= 0 && BUILT_IN[known]!.prototype === prototype) return known;
    prototype = Object.getPrototypeOf(prototype);
  }
  const name = tell(error, "name");
  const namesake = BUILT_IN.findIndex((known) => known.name === name);
  return namesake >= 0 && namesake < FIRST_OWN ? namesake : 0;
}

/** Makes the error; its cells (cause, own properties) are for the caller to define. */
export function rebuildError(failure: Failure, context: DecodeContext): Error {
  const { base, reference, flags, message, name, stack } = failure;
  const known = BUILT_IN[base];
  if (known === undefined) throw new own.ValueError("Cannot decode a value: its bytes are damaged");
  const found = reference === null ? null : findClass(reference, context);
  const error = construct(known, found ?? known, message, name);
  // A DOMException answers these from within.
  const told = error instanceof DOMException;
  if (flags & Flag.OwnMessage || (!told && tell(error, "message") !== message && !found)) {
    define(error, "message", message, (flags & Flag.ShownMessage) !== 0);
  }
  if (flags & Flag.OwnName || (!told && tell(error, "name") !== name && !found)) {
    define(error, "name", name, (flags & Flag.ShownName) !== 0);
  }
  if (stack !== null) define(error, "stack", stack, false);
  return error;
}

function findClass(reference: ClassReference, context: DecodeContext): Function | null {
  let found: Function | null;
  try {
    found = context.classFor(reference);
  } catch {
    return null;
  }
  return typeof found === "function" && found.prototype instanceof Error ? found : null;
}

function construct(known: ErrorClass, target: Function, message: string, name: string): Error {
  const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit");
  // No frames of this process: the console would show where the error was decoded.
  if (limit?.writable) Error.stackTraceLimit = 0;
  try {
    if (known === DOMException) return Reflect.construct(DOMException, [message, name], target);
    const args = known === AggregateError ? [[]] : [];
    const native = BUILT_IN.indexOf(known) < FIRST_OWN ? known : Error;
    const error = Reflect.construct(native, args, target) as Error;
    for (const key of HIDDEN) Reflect.deleteProperty(error, key);
    return error;
  } finally {
    if (limit?.writable) Error.stackTraceLimit = limit.value;
  }
}
