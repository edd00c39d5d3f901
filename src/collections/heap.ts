/** Room for this many items is kept even when there are none. */
const LEAST_CAPACITY = 64;

/**
 * A binary min-heap of items under two numbers: `key`, and `order` among equal keys.
 * It knows nothing of tasks or time.
 *
 * | operation | cost |
 * | --- | --- |
 * | `push`, `pop` | O(log n) |
 * | `peek`, `size` | O(1) |
 * | `keep` | O(n) |
 *
 * An item stays where it was put (its slot) until it leaves; what is sifted are numbers in typed
 * arrays: the two by which it is ordered, side by side, as those of two siblings are, and its slot.
 * With a million items a step of a sift is then one miss of the cache, and no item is touched.
 *
 * There is no removal from the middle, on purpose: it would need an index in every item, written at
 * each step of each sift. What is no longer wanted is skipped when it comes up, and swept out with
 * `keep` when there is too much of it. Memory goes back as the heap empties: it never holds more
 * than four times what its items need.
 */
export class Heap<T> {
  #size = 0;
  /** The key of the item at place i of the heap at 2i, its order behind it. */
  #ranks = new Float64Array(2 * LEAST_CAPACITY);
  /** The slot of the item at each place; from `#size` on, the slots that are free. */
  #slots = slotsInOrder(LEAST_CAPACITY);
  #items: (T | undefined)[] = [];

  get size(): number {
    return this.#size;
  }

  /** The item with the least key, and of those the least order; undefined when empty. */
  peek(): T | undefined {
    return this.#size > 0 ? this.#items[this.#slots[0]!] : undefined;
  }

  /** The key of `peek()`; Infinity when empty. */
  peekKey(): number {
    return this.#size > 0 ? this.#ranks[0]! : Infinity;
  }

  /** The order of `peek()`; Infinity when empty. */
  peekOrder(): number {
    return this.#size > 0 ? this.#ranks[1]! : Infinity;
  }

  push(item: T, key: number, order: number): void {
    if (this.#size === this.#slots.length) this.#resize(2 * this.#size);
    const place = this.#size;
    const slot = this.#slots[place]!;
    // First: a call that finds the stack full leaves all as it was.
    this.#siftUp(place, slot, key, order);
    this.#items[slot] = item;
    this.#size = place + 1;
  }

  pop(): T | undefined {
    if (this.#size === 0) return undefined;
    const slot = this.#slots[0]!;
    const top = this.#items[slot];
    this.#items[slot] = undefined;
    const last = --this.#size;
    const lastSlot = this.#slots[last]!;
    this.#slots[last] = slot;
    if (last > 0) this.#refill(0, lastSlot, this.#ranks[2 * last]!, this.#ranks[2 * last + 1]!);
    if (last * 4 < this.#slots.length && this.#slots.length > LEAST_CAPACITY) {
      this.#renew(Array.from({ length: last }, (_, i) => this.#items[this.#slots[i]!]!));
    }
    return top;
  }

  /** Drops every item that is not `wanted`. */
  keep(wanted: (item: T) => boolean): void {
    this.#renew(this.#sweep(wanted));
    for (let i = (this.#size >> 1) - 1; i >= 0; i--) {
      this.#refill(i, this.#slots[i]!, this.#ranks[2 * i]!, this.#ranks[2 * i + 1]!);
    }
  }

  /** The items that are wanted; their numbers move to the front in the same order. */
  #sweep(wanted: (item: T) => boolean): T[] {
    const items: T[] = [];
    for (let i = 0; i < this.#size; i++) {
      const item = this.#items[this.#slots[i]!]!;
      if (!wanted(item)) continue;
      this.#ranks[2 * items.length] = this.#ranks[2 * i]!;
      this.#ranks[2 * items.length + 1] = this.#ranks[2 * i + 1]!;
      items.push(item);
    }
    return items;
  }

  #siftUp(start: number, slot: number, key: number, order: number, top = 0): void {
    const ranks = this.#ranks;
    const slots = this.#slots;
    let place = start;
    while (place > top) {
      const parent = (place - 1) >> 1;
      const parentKey = ranks[2 * parent]!;
      if (parentKey < key || (parentKey === key && ranks[2 * parent + 1]! <= order)) break;
      ranks[2 * place] = parentKey;
      ranks[2 * place + 1] = ranks[2 * parent + 1]!;
      slots[place] = slots[parent]!;
      place = parent;
    }
    ranks[2 * place] = key;
    ranks[2 * place + 1] = order;
    slots[place] = slot;
  }

  /**
   * Puts an item where the one at `start` was. The lesser child moves up all the way, then the item
   * up from the end: as it came from there, it seldom has far to go, and is not compared at each
   * step.
   */
  #refill(start: number, slot: number, key: number, order: number): void {
    const ranks = this.#ranks;
    const slots = this.#slots;
    const size = this.#size;
    let place = start;
    for (let child = 2 * place + 1; child < size; child = 2 * place + 1) {
      const right = child + 1;
      if (right < size) {
        const leftKey = ranks[2 * child]!;
        const rightKey = ranks[2 * right]!;
        const isRight =
          rightKey < leftKey ||
          (rightKey === leftKey && ranks[2 * right + 1]! < ranks[2 * child + 1]!);
        if (isRight) child = right;
      }
      ranks[2 * place] = ranks[2 * child]!;
      ranks[2 * place + 1] = ranks[2 * child + 1]!;
      slots[place] = slots[child]!;
      place = child;
    }
    this.#siftUp(place, slot, key, order, start);
  }

  /**
   * Holds these items from now on, by their places; leaves room for as many again, where there is
   * much.
   */
  #renew(items: T[]): void {
    this.#size = items.length;
    this.#items = items;
    let capacity = this.#slots.length;
    if (this.#size * 4 < capacity) {
      capacity = Math.max(LEAST_CAPACITY, 2 * this.#size);
      this.#ranks = this.#ranks.slice(0, 2 * capacity);
    }
    this.#slots = slotsInOrder(capacity);
  }

  #resize(capacity: number): void {
    const ranks = new Float64Array(2 * capacity);
    ranks.set(this.#ranks);
    const slots = slotsInOrder(capacity);
    slots.set(this.#slots);
    this.#ranks = ranks;
    this.#slots = slots;
  }
}

function slotsInOrder(capacity: number): Int32Array {
  const slots = new Int32Array(capacity);
  for (let i = 0; i < capacity; i++) slots[i] = i;
  return slots;
}
