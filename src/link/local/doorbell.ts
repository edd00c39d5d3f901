import { writeSync } from "node:fs";
import { drain } from "../../os/poll.ts";

/**
 * Wakes a sleeping process: a byte is written at once to a socket between the two. (A message of
 * Bun's IPC would be written when the event loop next polls, which may be after a long spin.) A
 * round trip of two doorbells takes some 30 µs.
 */
export class Doorbell {
  readonly #fd: number;
  #socket: Bun.Socket | null = null;
  #closed = false;

  /**
   * `fd` is this process's end of a socket pair; `onRing` is called after one or more rings,
   * `onLastRing` when the other side has come to its end.
   */
  constructor(fd: number, onRing: () => void, onLastRing: () => void = () => {}) {
    this.#fd = fd;
    const socket = {
      data: (_: Bun.Socket, bytes: Uint8Array) => {
        if (bytes.includes(LAST_RING[0]!)) onLastRing();
        else onRing();
      },
      open: () => {},
      close: () => {
        this.#closed = true;
      },
      error: () => {},
    };
    // Bun's types do not know of connections that are there already; its sockets do.
    const connect = Bun.connect as unknown as (options: object) => Promise<Bun.Socket>;
    const opened = (socket: Bun.Socket) => {
      this.#socket = socket;
      socket.unref();
      if (this.#closed) socket.terminate();
    };
    // The other side may be gone by now: the watcher of the process reports that.
    void connect({ fd, socket }).then(opened, () => {
      this.#closed = true;
    });
  }

  /** Wakes the other side. Never waits, never fails: a full socket has woken it already. */
  ring(): void {
    this.#write(RING);
  }

  /** Lets the other side know of this one's end, where no event loop turns any more. */
  ringLast(): void {
    this.#write(LAST_RING);
  }

  #write(bytes: Uint8Array): void {
    if (this.#closed) return;
    try {
      writeSync(this.#fd, bytes);
    } catch {
      // It is full, or the other side is gone: the watcher of the process reports that.
    }
  }

  /**
   * This end, for a thread that is blocked and waits for rings with poll(2); null once the other
   * side has come to its end.
   */
  get blockingEnd(): number | null {
    return this.#closed ? null : this.#fd;
  }

  /** Takes the rings that such a thread was woken by: `onRing` is not called for them. */
  takeRings(): void {
    if (!this.#closed && !drain(this.#fd)) this.#closed = true;
  }

  close(): void {
    this.#closed = true;
    this.#socket?.terminate();
  }
}

const RING = new Uint8Array([1]);
const LAST_RING = new Uint8Array([2]);
