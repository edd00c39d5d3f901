/** The queue of a pool, as maps see it. */
interface Queue {
  /** How many tasks may be queued now; Infinity without a limit. */
  readonly places: number;
  /** Resolves when there is a place, which is the caller's in that turn. */
  room(): Promise<void>;
}

/** The places in its pool's queue that a map may fill: each item may become a task there. */
export class QueuePlaces {
  readonly #queue: Queue;
  readonly #onRoom: () => void;
  #isWaiting = false;
  /** Places that the map was given when it had waited. */
  #granted = 0;

  /** `onRoom` is called when there is room after `free` was 0. */
  constructor(queue: Queue, onRoom: () => void) {
    this.#queue = queue;
    this.#onRoom = onRoom;
  }

  /** How many there are. */
  get free(): number {
    const free = this.#queue.places + this.#granted;
    if (free > 0) return free;
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      void this.#queue.room().then(this.#onGranted);
    }
    return 0;
  }

  /** What was given is used, or not wanted. */
  endTurn(): void {
    this.#granted = 0;
  }

  readonly #onGranted = (): void => {
    this.#isWaiting = false;
    this.#granted = 1;
    this.#onRoom();
  };
}
