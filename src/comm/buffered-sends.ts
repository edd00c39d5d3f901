import { SMALL_BYTES } from "../mpi/mpi.ts";
import { clearInterval, setInterval } from "../os/natives.ts";
import { breathe } from "../os/whole.ts";
import { type PendingOperation, progressUnmatched, type Outcome, type Request } from "./request.ts";
import { EMPTY, type Status } from "./status.ts";

/** Sends arrays: a communicator, as its outbox uses it. */
interface Sender {
  readonly rank: number;
  send(view: Uint8Array, dest: number, tag: number): void;
  isend(view: Uint8Array, dest: number, tag: number): Request;
}

/** Bytes of values that may be on their way from this process before who sends more has to wait. */
const ROOM_BYTES = 64 * 2 ** 20;

/** What is on its way, and how many bytes each has. */
const onTheWay = new Map<Request, number>();
let bytesOnTheWay = 0;

/**
 * ms after which MPI is called again, which moves nothing by itself, while the program is in its
 * event loop.
 */
const MOVE_MS = 1;
let timer: NodeJS.Timeout | null = null;

/**
 * Sends the bytes of a value. They are nobody else's, so that nobody has to wait until they are
 * received, as with a buffered send of MPI's (MPI 4.0 section 3.4): ranks that send to each other
 * first, and receive then, go on, though a value can only be received once its receiver looks for
 * it.
 */
export function bufferedSend(
  comm: Sender,
  bytes: Uint8Array,
  dest: number,
  tag: number,
): Request | null {
  // Every transport takes a small one at once, but for MPICH's from a rank to itself.
  if (bytes.byteLength <= SMALL_BYTES && dest !== comm.rank) {
    comm.send(bytes, dest, tag);
    return null;
  }
  const request = comm.isend(bytes, dest, tag);
  if (request.test()) return null;
  onTheWay.set(request, bytes.byteLength);
  bytesOnTheWay += bytes.byteLength;
  // It keeps no program alive: at its end this process goes on to move it until all have come to
  // theirs.
  timer ??= setInterval(move, MOVE_MS).unref();
  return request;
}

/** Whether as little is on its way as is nobody's concern. */
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

/**
 * What a program has of a value that is being sent: it is done when there is room for the next one.
 */
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

  /** Throws what has gone wrong until now: later it is nobody's concern. */
  #end(): Status {
    if (this.#request?.done) this.#request.wait();
    return EMPTY;
  }

  cancel(): Outcome<Status> | null {
    this.#request?.cancel();
    return { value: EMPTY };
  }
}
