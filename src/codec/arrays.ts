/** Whether an array holds more than its elements, and how it stores them. */
import { jscDescribe } from "bun:jsc";

/** Up to this length listing the keys is cheaper than having the engine describe the array. */
const FEW = 24;

// `Array, (0/0, 0/0){}, ArrayWithDouble,`: no property beside the elements ({}), and their layout.
const DESCRIPTION = /, Array, \([^)]*\)\{\}, (?:CopyOnWrite)?ArrayWith(\w+),/;
const IN_A_ROW = /^(?:Undecided|Int32|Double|Contiguous)$/;

export const Elements = {
  /** Other properties too, or the array is of a subclass. */
  AndMore: 0,
  /** Only elements; some may be accessors, or there are very few in a great length. */
  Only: 1,
  /** Only elements, all values, one after another in memory (with holes perhaps). */
  Stored: 2,
} as const;

/**
 * Which of `Elements` an array is. Listing a million keys takes half a second, so for a long array
 * the engine's own description is read, which takes 2 µs at any length; if it says something
 * unknown, the keys are listed after all.
 */
export function elementsOf(array: readonly unknown[]): number {
  if (Object.getPrototypeOf(array) !== Array.prototype) return Elements.AndMore;
  const few = array.length <= FEW;
  if (!few) {
    const storage = DESCRIPTION.exec(jscDescribe(array))?.[1];
    if (storage !== undefined) return IN_A_ROW.test(storage) ? Elements.Stored : Elements.Only;
  }
  // Elements come first in the list, so its last key tells.
  const last = Object.keys(array).at(-1);
  if (last !== undefined && !isIndex(last)) return Elements.AndMore;
  return few ? Elements.Stored : Elements.Only;
}

/** Whether a property key names an element of an array. */
export function isIndex(key: string): boolean {
  const index = Number(key);
  return index >= 0 && index < 0xffffffff && String(index >>> 0) === key;
}
