/** So many whole numbers, from `first` on. */
export function numbers(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}
