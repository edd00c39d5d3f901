import { SMALL_BYTES } from "../mpi/mpi.ts";
import { clearInterval, setInterval } from "../os/natives.ts";
import { breathe } from "../os/whole.ts";
import { type PendingOperation, progressUnmatched, type Outcome, type Request } from "./request.ts";
import { EMPTY, type Status } from "./status.ts";

/** The part of a communicator that sends arrays. */
interface Sender {
  readonly rank: number;
  send(view: Uint8Array, dest: number, tag: number): void;
  isend(view: Uint8Array, dest: number, tag: number): Request;
}

/** Bytes of values that this process may be sending before its next sender has to wait. */
const ROOM_BYTES = 64 * 2 ** 20;

/** The open sends, with their bytes. */
const onTheWay = new Map<Request, number>();
let bytesOnTheWay = 0;

/**
 * ms between calls of MPI, which moves nothing by itself, while the program is in its event loop.
 */
const MOVE_MS = 1;
let timer: NodeJS.Timeout | null = null;

/**
 * Sends a private copy of a value's bytes, as a buffered send of MPI's (MPI 4.0 section 3.4): the
 * caller does not wait for the receiver. So ranks that first send to each other and then receive do
 * not deadlock, although a value is only received once its receiver looks for it.
 */
export function bufferedSend(
  comm: Sender,
  bytes: Uint8Array,
  dest: number,
  tag: number,
): Request | null {
  // Every transport takes a small message at once, except MPICH's from a rank to itself.
  if (bytes.byteLength <= SMALL_BYTES && dest !== comm.rank) {
    comm.send(bytes, dest, tag);
    return null;
  }
  const request = comm.isend(bytes, dest, tag);
  if (request.test()) return null;
  onTheWay.set(request, bytes.byteLength);
  bytesOnTheWay += bytes.byteLength;
  // The timer does not keep the program alive: at its end this process moves the sends until all
  // have reached their ends.
  timer ??= setInterval(move, MOVE_MS).unref();
  return request;
}

/** True while at most ROOM_BYTES are being sent. */
export function hasRoom(): boolean {
  move();
  return bytesOnTheWay <= ROOM_BYTES;
}

function move(): void {
  for (const [request, bytes] of onTheWay) {
    if (!request.progress()) continue;
    onTheWay.delete(request);
    bytesOnTheWay -= bytes;
  }
  if (timer === null || onTheWay.size > 0) return;
  clearInterval(timer);
  timer = null;
}

/** Blocks the thread until there is room. */
export function waitForRoom(): void {
  for (; !hasRoom(); breathe()) progressUnmatched();
}

/** A program's request for a value being sent: done when there is room for the next value. */
export class BufferedSend implements PendingOperation<Status> {
  readonly #request: Request | null;

  constructor(request: Request | null) {
    this.#request = request;
  }

  describe(): string {
    return "send a value";
  }

  test(): { value: Status } | null {
    return hasRoom() ? { value: this.#end() } : null;
  }

  wait(): Status {
    waitForRoom();
    return this.#end();
  }

  /** Throws an error that has occurred so far; later errors are dropped. */
  #end(): Status {
    if (this.#request?.done) this.#request.wait();
    return EMPTY;
  }

  cancel(): Outcome<Status> | null {
    this.#request?.cancel();
    return { value: EMPTY };
  }
}
