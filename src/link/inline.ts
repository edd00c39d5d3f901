import { allocate } from "../wire/reader.ts";
import type { MessageWriter } from "../wire/writer.ts";
import type { ControllerEnd, LinkOwner, WorkerEnd } from "./link.ts";

/**
 * A link within one process, between a controller and a worker that share its thread. A message is
 * copied when it is sent, and handed over when its turn has come: a call never begins within the
 * call of `async` that sends it.
 */

/** A message on its way. */
export interface Mail {
  /** It arrives: who takes it, null where it comes too late, and is dropped. */
  readonly arrive: () => LinkOwner | null;
  readonly bytes: Uint8Array;
  readonly buffers: Uint8Array[];
}

type Post = (mail: Mail) => void;

/** Copies a message: the writer's memory is used again, and its buffers are the program's. */
function takeMessage(message: MessageWriter, arrive: Mail["arrive"]): Mail {
  const { bytes, length, buffers } = message.take();
  const copies = buffers.map((buffer) => {
    const copy = allocate(buffer.byteLength);
    copy.set(buffer);
    return copy;
  });
  return { arrive, bytes: bytes.slice(0, length), buffers: copies };
}

/** What carries the messages of a link. */
interface InlinePosts {
  readonly toWorker: Post;
  readonly toController: Post;
  readonly onClosed: () => void;
  readonly handOver: () => boolean;
}

/** What both ends know. */
class Shared {
  controller: LinkOwner | null;
  worker: LinkOwner | null = null;
  /** Messages handed over, each way. */
  read = 0;
  received = 0;
  /** Messages that wait for their turn at the worker. */
  unread = 0;

  constructor(controller: LinkOwner) {
    this.controller = controller;
  }
}

/** The controller's end, and with it the link. */
export class InlineLink implements ControllerEnd {
  readonly rank = null;
  readonly pid = process.pid;
  readonly isSeen = true;
  /** A word that names it is not needed: a recall finds the thread free. */
  readonly currentTask = undefined;
  /** The worker's end. */
  readonly end: InlineEnd;
  readonly #shared: Shared;
  readonly #post: Post;
  readonly #onClosed: () => void;

  /**
   * `toWorker` and `toController` take messages, to hand them over later; `onClosed` is called when
   * this end is closed; `handOver` hands over what both have taken, true if that is anything.
   */
  constructor(owner: LinkOwner, { toWorker, toController, onClosed, handOver }: InlinePosts) {
    this.#shared = new Shared(owner);
    this.#post = toWorker;
    this.#onClosed = onClosed;
    this.end = new InlineEnd(this.#shared, toController, handOver);
  }

  /** The worker's side serves from now on. */
  serve(worker: LinkOwner): void {
    this.#shared.worker = worker;
  }

  send(message: MessageWriter): void {
    const shared = this.#shared;
    const mail = takeMessage(message, () => {
      shared.unread--;
      shared.read++;
      return shared.worker;
    });
    if (shared.controller === null) return;
    shared.unread++;
    this.#post(mail);
  }

  get reading(): number {
    return this.#shared.read;
  }

  get received(): number {
    return this.#shared.received;
  }

  /** It has not had its turn: other tasks keep the thread. */
  get isHeldByWrite(): boolean {
    return this.#shared.unread > 0;
  }

  prewake(): void {}

  poll(): boolean {
    return false;
  }

  meet(): void {}

  close(): void {
    if (this.#shared.controller === null) return;
    this.#shared.controller = null;
    this.#shared.worker = null;
    this.#onClosed();
  }
}

class InlineEnd implements WorkerEnd {
  readonly rank = null;
  readonly #shared: Shared;
  readonly #post: Post;
  readonly #handOver: () => boolean;

  constructor(shared: Shared, post: Post, handOver: () => boolean) {
    this.#shared = shared;
    this.#post = post;
    this.#handOver = handOver;
  }

  send(message: MessageWriter): void {
    const shared = this.#shared;
    const mail = takeMessage(message, () => {
      shared.received++;
      return shared.controller;
    });
    this.#post(mail);
  }

  report(): boolean {
    return true;
  }

  resume(): void {}

  prewake(): void {}

  /** A task holds the thread of both ends, and waits for another. */
  poll(): boolean {
    return this.#handOver();
  }

  meet(): void {}

  close(): void {}
}
