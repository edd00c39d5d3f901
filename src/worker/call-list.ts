import { idOf } from "../wire/task-id.ts";

/** Calls of one function on one item of a map each, which have come as one frame. */
export class CallList {
  /** The number of the first call. */
  readonly task: number;
  readonly fn: number;
  readonly #order: number;
  readonly #index: number;
  readonly #items: readonly unknown[];
  /** How many of them have begun. */
  begun = 0;
  /** How many there are. */
  length: number;
  /** They are not wanted any more. */
  isDropped = false;

  constructor(task: number, order: number, fn: number, index: number, items: readonly unknown[]) {
    this.task = task;
    this.fn = fn;
    this.#order = order;
    this.#index = index;
    this.#items = items;
    this.length = items.length;
  }

  /** Those that have not begun are another worker's, or nobody's. */
  endHere(): void {
    this.length = this.begun;
  }

  /** The number of the last call. */
  get lastId(): number {
    return this.idAt(this.length - 1);
  }

  idAt(offset: number): number {
    return idOf(this.#order + offset);
  }

  orderAt(offset: number): number {
    return this.#order + offset;
  }

  itemAt(offset: number): unknown {
    return this.#items[offset];
  }

  /** The place of an item in its map. */
  indexAt(offset: number): number {
    return this.#index + offset;
  }
}
