/** Values that cannot travel: their names in messages, and what to do instead. */
import types from "node:util/types";

const functionText = Function.prototype.toString;
/** The topmost prototypes of `[].values()` and of async generators. */
const IteratorPrototype = above(above([].values()));
const AsyncIteratorPrototype = above(above(async function* () {}.prototype as object));

/** Prototypes of objects that are bound to their process, though the engine would copy them. */
const BOUND = new Set<unknown>([IteratorPrototype, AsyncIteratorPrototype]);

const { getBuiltinModule } = process;
let hasEmitter = false;

/** `node:events` is loaded with the first question: that takes 3 ms. */
function bound(): ReadonlySet<unknown> {
  if (!hasEmitter) BOUND.add(getBuiltinModule("node:events").EventEmitter.prototype);
  hasEmitter = true;
  return BOUND;
}

const ordinary = new WeakMap<object, boolean>();

/** Whether objects of this prototype are ordinary: their own properties are all their state. */
export function isOrdinary(prototype: object): boolean {
  let known = ordinary.get(prototype);
  if (known === undefined) {
    known = true;
    for (let next: object | null = prototype; known && next !== null; next = above(next)) {
      known = !isHost(next);
    }
    ordinary.set(prototype, known);
  }
  return known;
}

/** Whether objects of this prototype are bound to their process, whatever they consist of. */
export function isBound(prototype: object): boolean {
  for (let next: object | null = prototype; next !== null; next = above(next)) {
    if (bound().has(next)) return true;
  }
  return false;
}

function above(object: object | null): object | null {
  return object === null ? null : (Object.getPrototypeOf(object) as object | null);
}

/** Whether a prototype is the engine's: its objects have state that no property shows. */
function isHost(prototype: object): boolean {
  if (prototype === Object.prototype) return false;
  if (bound().has(prototype)) return true;
  const own: Readonly<Record<string, PropertyDescriptor>> =
    Object.getOwnPropertyDescriptors(prototype);
  const maker = (own["constructor"] as PropertyDescriptor | undefined)?.value as unknown;
  // Another realm has its own Object.
  if (typeof maker === "function") return isNative(maker) && maker.name !== "Object";
  return Object.values(own).some(({ value, get }) => isNative(value) || isNative(get));
}

export function isNative(value: unknown): boolean {
  return (
    typeof value === "function" &&
    !isNamedBound(value) &&
    functionText.call(value).endsWith("{ [native code] }")
  );
}

/** A class may have a static property of its own in the place of its name. */
function isNamedBound(fn: Function): boolean {
  const name: unknown = Object.getOwnPropertyDescriptor(fn, "name")?.value;
  return typeof name === "string" && name.startsWith("bound ");
}

/**
 * Refuses objects of a class that have a meaning only in this process; `advice`: what to do
 * instead.
 */
export function bindToProcess(maker: Function, advice: string): void {
  BOUND.add(maker.prototype);
  OWN_ADVICE.push({ maker, advice });
}

const OWN_ADVICE: { maker: Function; advice: string }[] = [];

const ADVICE: Record<string, string> = {
  Promise: "await it first",
  WeakMap: "pass a Map",
  WeakSet: "pass a Set",
  WeakRef: "pass what it refers to",
  "detached ArrayBuffer": "it was transferred elsewhere, with all it held",
  SharedArrayBuffer: "pass a copy, as in `new Uint8Array(view).slice()`",
  Generator: "pass its values, as in `[...values]`",
  AsyncGenerator: "pass its values, as in `await Array.fromAsync(values)`",
  Iterator: "pass its values, as in `[...values]`",
  // A Blob in memory does travel.
  Blob: "pass its path, or its bytes, as in `await file.bytes()`",
  URL: "pass its `href`",
  URLSearchParams: "pass its text",
  Headers: "pass `[...headers]`",
  FormData: "pass `[...form]`",
  Request: "pass its URL, and its headers and body as values",
  Response: "pass its body, as in `await response.bytes()`",
  ReadableStream: "pass its bytes, as in `await new Response(stream).bytes()`",
  AbortSignal: "pass it to `pool.with({ signal })`, and use `taskContext().signal` in the task",
  CryptoKey: "make it extractable, or import it in the task",
  BlockList: "pass its `rules`",
  symbol: "pass a string",
};

/** As in "a Socket cannot travel to another process; pass …". */
export function refuse(value: unknown): string {
  const name = nameOf(value);
  const article = /^[aeiou]/i.test(name) && !/^U[RN]/.test(name) ? "an" : "a";
  // A class comes after the one that it extends.
  const own = OWN_ADVICE.findLast(({ maker }) => !types.isProxy(value) && value instanceof maker);
  const general = ADVICE[name.replace("view of a ", "")];
  const advice = own?.advice ?? general ?? "open or create it in the task, or pass plain data";
  return `${article} ${name} cannot travel to another process; ${advice}`;
}

function nameOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return typeof value;
  if (types.isProxy(value)) return "Proxy";
  if (types.isPromise(value)) return "Promise";
  if (types.isWeakMap(value)) return "WeakMap";
  if (types.isWeakSet(value)) return "WeakSet";
  if (types.isSharedArrayBuffer(value)) return "SharedArrayBuffer";
  if (types.isArrayBuffer(value)) return "detached ArrayBuffer";
  if (ArrayBuffer.isView(value)) return `view of a ${nameOf(value.buffer)}`;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (tag.endsWith(" Iterator") || tag === "Iterator Helper") return "Iterator";
  if (tag.endsWith("Generator")) return tag;
  const maker: unknown = Reflect.get(value, "constructor");
  if (typeof maker === "function" && maker.name !== "" && maker.name !== "Object") {
    return maker.name;
  }
  return tag === "Object" ? "object of the runtime" : tag;
}
