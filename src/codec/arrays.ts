/** Whether an array is only its elements. */
import { jscDescribe } from "bun:jsc";

/** Up to here listing the keys is cheaper than having the engine describe the array. */
const FEW = 24;

// `Array, (0/0, 0/0){}, ArrayWithDouble`: no property beside the elements ({}), and elements that
// are stored one after another, so that none of them is an accessor.
const ONLY_ELEMENTS =
  /, Array, \([^)]*\)\{\}, (?:CopyOnWrite)?ArrayWith(?:Undecided|Int32|Double|Contiguous),/;

/**
 * True if `array` is an ordinary array without properties beside its elements. Listing a million
 * keys takes half a second, so for long arrays the engine's own description is read, which takes
 * 2 µs whatever the length; where it says something unknown, the keys are listed after all.
 */
export function hasOnlyElements(array: readonly unknown[]): boolean {
  if (Object.getPrototypeOf(array) !== Array.prototype) return false;
  if (array.length > FEW && ONLY_ELEMENTS.test(jscDescribe(array))) return true;
  // Elements come first in the list, so that one look tells.
  const last = Object.keys(array).at(-1);
  return last === undefined || isIndex(last);
}

/** Whether a property key names an element of an array. */
export function isIndex(key: string): boolean {
  const index = Number(key);
  return index >= 0 && index < 0xffffffff && String(index >>> 0) === key;
}
