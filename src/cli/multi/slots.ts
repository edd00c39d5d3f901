/** The places of jobs that run at once, numbered from 1; the lowest free one is taken. */
export class Slots {
  readonly #taken: boolean[];
  #free: number;

  constructor(count: number) {
    this.#taken = Array.from({ length: count }, () => false);
    this.#free = count;
  }

  get isFree(): boolean {
    return this.#free > 0;
  }

  get taken(): number {
    return this.#taken.length - this.#free;
  }

  take(): number {
    const at = this.#taken.indexOf(false);
    this.#taken[at] = true;
    this.#free--;
    return at + 1;
  }

  give(slot: number): void {
    this.#taken[slot - 1] = false;
    this.#free++;
  }
}
