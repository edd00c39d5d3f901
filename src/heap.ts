/** Room for this many items is kept even when there are none. */
const LEAST_CAPACITY = 64;

/**
 * A binary min-heap of items under two numbers: `key`, and `order` among equal keys.
 * It knows nothing of tasks or time. The numbers lie in typed arrays beside the items, so that
 * sifting through a million of them reads neighbours in memory and never touches an item.
 *
 * | operation | cost |
 * | --- | --- |
 * | `push`, `pop` | O(log n) |
 * | `peek`, `size` | O(1) |
 * | `keep` | O(n) |
 *
 * There is no removal from the middle, on purpose: it would need an index in every item, written at
 * each step of each sift. What is no longer wanted is skipped when it comes up, and swept out
 * with `keep` when there is too much of it. Memory goes back as the heap empties: it never holds more
 * than four times what its items need.
 */
export class Heap<T> {
  #items: T[] = [];
  #keys = new Float64Array(LEAST_CAPACITY);
  #orders = new Float64Array(LEAST_CAPACITY);

  get size(): number {
    return this.#items.length;
  }

  /** The item with the least key, and of those the least order; undefined when empty. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** The key of `peek()`; Infinity when empty. */
  peekKey(): number {
    return this.#items.length > 0 ? this.#keys[0]! : Infinity;
  }

  /** The order of `peek()`; Infinity when empty. */
  peekOrder(): number {
    return this.#items.length > 0 ? this.#orders[0]! : Infinity;
  }

  push(item: T, key: number, order: number): void {
    const index = this.#items.length;
    if (index === this.#keys.length) this.#resize(2 * index);
    this.#items.push(item);
    this.#siftUp(index, item, key, order);
  }

  pop(): T | undefined {
    const top = this.#items[0];
    const last = this.#items.pop();
    const size = this.#items.length;
    if (size > 0) this.#siftDown(0, last as T, this.#keys[size]!, this.#orders[size]!);
    if (size * 4 < this.#keys.length && this.#keys.length > LEAST_CAPACITY) this.#shrink();
    return top;
  }

  /** Drops every item that `wanted` says no to. */
  keep(wanted: (item: T) => boolean): void {
    const items = this.#items;
    let kept = 0;
    for (let i = 0; i < items.length; i++) {
      if (!wanted(items[i]!)) continue;
      items[kept] = items[i]!;
      this.#keys[kept] = this.#keys[i]!;
      this.#orders[kept] = this.#orders[i]!;
      kept++;
    }
    items.length = kept;
    for (let i = (kept >> 1) - 1; i >= 0; i--) {
      this.#siftDown(i, items[i]!, this.#keys[i]!, this.#orders[i]!);
    }
    if (kept * 4 < this.#keys.length && this.#keys.length > LEAST_CAPACITY) this.#shrink();
  }

  #siftUp(start: number, item: T, key: number, order: number): void {
    const items = this.#items;
    const keys = this.#keys;
    const orders = this.#orders;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const parentKey = keys[parent]!;
      if (parentKey < key || (parentKey === key && orders[parent]! <= order)) break;
      items[index] = items[parent]!;
      keys[index] = parentKey;
      orders[index] = orders[parent]!;
      index = parent;
    }
    items[index] = item;
    keys[index] = key;
    orders[index] = order;
  }

  #siftDown(start: number, item: T, key: number, order: number): void {
    const items = this.#items;
    const keys = this.#keys;
    const orders = this.#orders;
    const size = items.length;
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= size) break;
      let childKey = keys[child]!;
      const right = child + 1;
      if (right < size) {
        const rightKey = keys[right]!;
        if (rightKey < childKey || (rightKey === childKey && orders[right]! < orders[child]!)) {
          child = right;
          childKey = rightKey;
        }
      }
      if (key < childKey || (key === childKey && order <= orders[child]!)) break;
      items[index] = items[child]!;
      keys[index] = childKey;
      orders[index] = orders[child]!;
      index = child;
    }
    items[index] = item;
    keys[index] = key;
    orders[index] = order;
  }

  /** Leaves room for as many items again. */
  #shrink(): void {
    this.#resize(Math.max(LEAST_CAPACITY, this.#items.length * 2));
    // An array keeps the memory of what was popped off it; a copy has none of that.
    this.#items = this.#items.slice();
  }

  #resize(capacity: number): void {
    const size = this.#items.length;
    const keys = new Float64Array(capacity);
    const orders = new Float64Array(capacity);
    keys.set(this.#keys.subarray(0, size));
    orders.set(this.#orders.subarray(0, size));
    this.#keys = keys;
    this.#orders = orders;
  }
}
