/** Errors: which parts of them travel. rebuilt.ts makes them again. */
import { KNOWN, type Level, lineageOf, makerOf } from "./known.ts";
import { append } from "./own.ts";
import { isNative } from "./refusal.ts";
import { withFrames } from "./stacks.ts";
import { originOf } from "./standins.ts";
import type { EncodeContext } from "./types.ts";

export const Flag = { OwnMessage: 1, OwnName: 2, ShownMessage: 4, ShownName: 8 } as const;

/** The part of an error that is not in cells. */
export interface Failure {
  /** Index in KNOWN of the nearest class known everywhere. */
  readonly base: number;
  /** The classes in front of `base`, the error's own first. */
  readonly levels: readonly Level[];
  readonly flags: number;
  readonly message: string;
  readonly name: string;
  readonly stack: string | null;
}

/** A property of an error that is not one of its own. */
export interface Told {
  readonly key: PropertyKey;
  /** True if `value` is the result of the method `key`. */
  readonly isResult: boolean;
  readonly value: unknown;
}

/** All of an error that travels. */
export interface Description {
  readonly failure: Failure;
  /** Own properties that are not enumerable, as `cause` and `errors` usually are. */
  readonly hidden: readonly PropertyKey[];
  /** From its prototypes: the values of getters, and values that stand there. */
  readonly inherited: readonly Told[];
  readonly shown: readonly PropertyKey[];
}

/** Not enumerable by the language's rules, yet as good as enumerable properties. */
export const GIVEN: readonly PropertyKey[] = ["cause", "errors", "error", "suppressed"];

/** Properties that `Failure` holds. */
const APART = new Set<PropertyKey>(["message", "name", "stack", "constructor"]);
/** Where an error was made; the engine adds these now and then. */
const PLACES = new Set<PropertyKey>([
  "line",
  "column",
  "sourceURL",
  "originalLine",
  "originalColumn",
]);

/** Never throws: properties that a hostile error refuses to give are left out. */
export function describeError(error: object, context: EncodeContext): Description {
  const { base, between } = lineageOf(error);
  const message = tell(error, "message");
  const name = tell(error, "name");
  const text = typeof message === "string" ? message : "";
  const stack = tell(error, "stack");
  const framesFor = (frames: string): string => context.framesFor?.(frames) ?? frames;
  const ownMessage = propertyOf(error, "message");
  const ownName = propertyOf(error, "name");
  const failure = {
    base,
    levels: between.flatMap((prototype) => levelOf(prototype, context)),
    flags:
      (ownMessage ? Flag.OwnMessage : 0) |
      (ownName ? Flag.OwnName : 0) |
      (ownMessage?.enumerable ? Flag.ShownMessage : 0) |
      (ownName?.enumerable ? Flag.ShownName : 0),
    message: text,
    name: typeof name === "string" ? name : nameOf(between[0] ?? KNOWN[base]!.prototype),
    stack: typeof stack === "string" ? withFrames(stack, text, framesFor) : null,
  };
  return { failure, ...ownKeys(error), inherited: inheritedOf(error, between) };
}

function levelOf(prototype: object, context: EncodeContext): Level[] {
  const maker = makerOf(prototype);
  let references: Level["references"] = [];
  try {
    references = originOf(maker) ?? context.classOf(maker, prototype) ?? [];
  } catch {
    // An error without its class is better than none.
  }
  // A prototype that the runtime puts between its own error and that error's class is no class.
  return maker === null && references.length === 0 ? [] : [{ name: nameOf(prototype), references }];
}

function nameOf(prototype: object): string {
  const maker = makerOf(prototype);
  // A static property of that name may be anything.
  const name = maker === null ? null : tell(maker, "name");
  return typeof name === "string" ? name : "Error";
}

export function tell(from: object, key: PropertyKey): unknown {
  try {
    return Reflect.get(from, key) as unknown;
  } catch {
    return undefined;
  }
}

function propertyOf(from: object, key: PropertyKey): PropertyDescriptor | undefined {
  try {
    return Object.getOwnPropertyDescriptor(from, key);
  } catch {
    return undefined; // a proxy
  }
}

function ownKeys(error: object): Pick<Description, "hidden" | "shown"> {
  const hidden: PropertyKey[] = [];
  const shown: PropertyKey[] = [];
  for (const key of keysOf(error)) {
    if (APART.has(key) || (typeof key === "symbol" && nameOfSymbol(key) === null)) continue;
    const property = propertyOf(error, key);
    if (property === undefined) continue;
    if (property.enumerable) append(shown, key);
    else if (!PLACES.has(key) && typeof property.value !== "function") append(hidden, key);
  }
  return { hidden, shown };
}

/** Methods whose results are sent: a rebuilt error may be unable to call them. */
const TEXT = "toString";
const JSON_METHOD = "toJSON";

function inheritedOf(error: object, between: readonly object[]): Told[] {
  const told = new Map<PropertyKey, Told>();
  for (const prototype of between) {
    const native = isNative(makerOf(prototype));
    for (const key of keysOf(prototype)) {
      if (APART.has(key) || told.has(key) || propertyOf(error, key) !== undefined) continue;
      if (typeof key === "symbol" && nameOfSymbol(key) === null) continue;
      const property = propertyOf(prototype, key) ?? {};
      const isMethod = key === TEXT || (key === JSON_METHOD && native);
      if (isMethod && typeof property.value === "function") {
        addResult(told, error, key);
      } else if (property.get !== undefined || typeof property.value !== "function") {
        const value = tell(error, key);
        if (typeof value !== "function") told.set(key, { key, isResult: false, value });
      }
    }
  }
  // A rebuilt error has them as its own.
  for (const key of [TEXT, JSON_METHOD]) {
    if (typeof propertyOf(error, key)?.value === "function") addResult(told, error, key);
  }
  return [...told.values()];
}

function keysOf(prototype: object): PropertyKey[] {
  try {
    return Reflect.ownKeys(prototype);
  } catch {
    return []; // a proxy
  }
}

function addResult(told: Map<PropertyKey, Told>, error: object, key: PropertyKey): void {
  const value = resultOf(error, key);
  if (value !== undefined) told.set(key, { key, isResult: true, value });
}

/** The result of a method without arguments; undefined if it cannot be called. */
export function resultOf(error: object, key: PropertyKey): unknown {
  try {
    const method: unknown = Reflect.get(error, key);
    return typeof method === "function" ? (Reflect.apply(method, error, []) as unknown) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The name of a symbol on every side: of the language's symbols and of registered ones. Null for
 * others.
 */
export function nameOfSymbol(symbol: symbol): string | null {
  const registered = Symbol.keyFor(symbol);
  if (registered !== undefined) return `for ${registered}`;
  const { description = "" } = symbol;
  const key = description.replace(/^Symbol\./, "");
  return Reflect.get(Symbol, key) === symbol ? key : null;
}

/** The symbol of a name. */
export function symbolOf(name: string): symbol | undefined {
  if (name.startsWith("for ")) return Symbol.for(name.slice(4));
  const symbol: unknown = Reflect.get(Symbol, name);
  return typeof symbol === "symbol" ? symbol : undefined;
}
