/** Room that is not worth giving back. */
const SMALL = 1024;

/**
 * A queue: first in, first out, both in O(1), however many wait. Memory is given back as it
 * empties: at most half of its places are of items that have left.
 */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  /** Where the first item is. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The item that `index` others came before; undefined if there is none. */
  at(index: number): T | undefined {
    return index < 0 ? undefined : this.#items[this.#head + index];
  }

  get last(): T | undefined {
    return this.at(this.length - 1);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Takes the first item; undefined when empty. */
  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) this.#reset();
    else if (this.#head >= SMALL && this.#head * 2 > this.#items.length) this.#compact();
    return item;
  }

  findIndex(wanted: (item: T) => boolean): number {
    for (let i = 0; i < this.length; i++) if (wanted(this.at(i)!)) return i;
    return -1;
  }

  find(wanted: (item: T) => boolean): T | undefined {
    return this.at(this.findIndex(wanted));
  }

  /** Takes the item at any place. O(n) but for the first one. */
  remove(index: number): T {
    if (index === 0) return this.shift()!;
    return this.#items.splice(this.#head + index, 1)[0]!;
  }

  set(index: number, item: T): void {
    this.#items[this.#head + index] = item;
  }

  /** Drops every item that is not `wanted`. O(n). */
  keep(wanted: (item: T) => boolean): void {
    this.#compact();
    this.#items = this.#items.filter((item) => wanted(item!));
  }

  /** Takes all items. */
  takeAll(): T[] {
    this.#compact();
    return this.#items.splice(0) as T[];
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = 0; i < this.length; i++) yield this.at(i)!;
  }

  #reset(): void {
    if (this.#items.length > SMALL) this.#items = [];
    else this.#items.length = 0;
    this.#head = 0;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
