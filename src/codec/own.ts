/**
 * Own properties, whatever the prototypes say. An assignment asks the prototypes first: where
 * `Object.prototype` is frozen no `toString` can be assigned, and a setter swallows the value. A
 * definition takes five times as long: so each value is checked once for a reason to define.
 */
const OBJECT = Object.prototype;
const ARRAY = Array.prototype;
const { defineProperty } = Object;
const { ownKeys } = Reflect;

/** The number of properties of `Object.prototype` itself: methods, and `__proto__`. */
const KEYS = 12;

let ordinary = true;

/**
 * Checks whether the prototypes are the language's own, with nothing added; called before a value
 * is encoded or decoded. An element on `Array.prototype` shows in its length.
 */
export function lookAbove(): boolean {
  ordinary = ARRAY.length === 0 && ownKeys(OBJECT).length === KEYS;
  return ordinary;
}

/** The result of the last `lookAbove`. */
export function nothingAbove(): boolean {
  return ordinary;
}

/** No object inherits a shorter name, as long as nothing was added. */
const SHORTEST = "valueOf".length;

/** Whether an ordinary object inherits a property of that name. */
export function isInherited(key: string): boolean {
  return key.length >= SHORTEST && key in OBJECT;
}

/** Defines an own property as assignment in a constructor would. */
export function define(
  target: object,
  key: PropertyKey,
  value: unknown,
  enumerable: boolean,
): void {
  // No prototype: `Object.prototype` may have a `get`.
  const property = { __proto__: null, value, enumerable, writable: true, configurable: true };
  defineProperty(target, key, property);
}

/** Gives an object an own property. */
export function set(target: object, key: string, value: unknown): void {
  if (!ordinary || isInherited(key)) define(target, key, value, true);
  else (target as Record<string, unknown>)[key] = value;
}

/** Gives an array an own element. */
export function setElement<T>(list: T[], index: number, item: T): void {
  if (ordinary) list[index] = item;
  else define(list, index, item, true);
}

/** Adds an element; returns the length. */
export function append<T>(list: T[], item: T): number {
  if (ordinary) return list.push(item);
  define(list, list.length, item, true);
  return list.length;
}

/** Adds several elements. */
export function appendAll<T>(list: T[], ...items: T[]): void {
  for (let i = 0; i < items.length; i++) append(list, items[i]!);
}
