/** What workers do for `bsync bench`. */

/** As little as a call can do. */
export function pass(value: number): number {
  return value;
}

/** Sends an array back. */
export function echo(array: Float64Array): Float64Array {
  return array;
}
