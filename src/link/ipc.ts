import type { MessageWriter } from "../wire.ts";
import type { Link, LinkOwner } from "./link.ts";

/**
 * A link over Bun's IPC channel, for systems without `/dev/shm`: a message and its buffers are
 * one value of that channel. It comes as an event, so there is nothing to poll, and it can be
 * received only while the event loop turns: blocking waits cannot be served over it.
 */
export class IpcLink implements Link {
  readonly rank = null;
  readonly #send: (message: Uint8Array[]) => void;
  readonly #owner: LinkOwner;
  #closed = false;

  constructor(send: (message: Uint8Array[]) => void, owner: LinkOwner) {
    this.#send = send;
    this.#owner = owner;
  }

  send(message: MessageWriter): void {
    const { bytes, length, buffers } = message.take();
    // Both are copied into the channel before `send` returns.
    if (!this.#closed) this.#send([bytes.slice(0, length), ...buffers]);
  }

  /** What the channel has brought. */
  receive(message: unknown): void {
    if (this.#closed || !Array.isArray(message)) return;
    const [bytes, ...buffers] = message as Uint8Array[];
    if (bytes === undefined) return;
    this.received++;
    this.#owner.onMessage(bytes, bytes.length, buffers);
    this.#owner.onPause();
  }

  rouse(): void {}

  poll(): boolean {
    return false;
  }

  sleep(): boolean {
    return true;
  }

  awake(): void {}

  tell(): boolean {
    return true;
  }

  resume(): void {}

  recall(): number {
    return 0;
  }

  readonly told = undefined;
  readonly reading = null;
  received = 0;
  readonly unread = false;
  readonly isCaughtUp = true;

  meet(): void {}

  close(): void {
    this.#closed = true;
  }
}
