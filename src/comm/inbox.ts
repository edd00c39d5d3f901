import { decodeObject } from "./objects.ts";
import { type Course, type Outcome, outcomeOf, Request } from "./request.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "./status.ts";
import type { Mpi } from "../mpi/mpi.ts";

/** Receives arrays: a communicator, as its inbox uses it. */
interface Receiver {
  readonly mpi: Mpi;
  iprobe(source: number, tag: number): Status | null;
  irecv(view: Uint8Array, source: number, tag: number): Request;
}

/**
 * Receives of values that wait. How long a value is only its message tells, so that MPI cannot be given
 * a place for it beforehand: each waits until there is a message for it, in the order in which they
 * were asked for, as MPI's own receives do (MPI 4.0 section 3.5).
 */
export class ObjectInbox {
  readonly #comm: Receiver;
  #queue: ObjectCourse[] = [];

  constructor(comm: Receiver) {
    this.#comm = comm;
  }

  /** Whether anybody waits who is to be served before those that ask now. */
  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  receive(source: number, tag: number, status?: Partial<Status>): Request<unknown> {
    // It says what is wrong with them, now.
    this.#comm.iprobe(source, tag);
    const course = new ObjectCourse(this, source, tag, status);
    this.#queue.push(course);
    return new Request(this.#comm.mpi, course);
  }

  /** Starts to receive what has come. */
  advance(): void {
    const kept: ObjectCourse[] = [];
    for (const course of this.#queue) {
      // What comes just now may be for one before it.
      const behind = kept.some((other) => other.overlaps(course));
      const found = behind ? null : this.#comm.iprobe(course.source, course.tag);
      if (found === null) kept.push(course);
      else course.start(this.#comm, found);
    }
    this.#queue = kept;
  }

  leave(course: ObjectCourse): void {
    this.#queue = this.#queue.filter((other) => other !== course);
  }
}

class ObjectCourse implements Course<unknown> {
  readonly isUnposted = true;
  readonly source: number;
  readonly tag: number;
  readonly #inbox: ObjectInbox;
  readonly #status: Partial<Status> | undefined;
  #bytes: Uint8Array | null = null;
  #request: Request | null = null;

  constructor(inbox: ObjectInbox, source: number, tag: number, status?: Partial<Status>) {
    this.#inbox = inbox;
    this.source = source;
    this.tag = tag;
    this.#status = status;
  }

  /** Whether one message may be for either. */
  overlaps({ source, tag }: ObjectCourse): boolean {
    const sources = source === this.source || source === ANY_SOURCE || this.source === ANY_SOURCE;
    return sources && (tag === this.tag || tag === ANY_TAG || this.tag === ANY_TAG);
  }

  start(comm: Receiver, { source, tag, count }: Status): void {
    this.#bytes = new Uint8Array(new ArrayBuffer(count));
    this.#request = comm.irecv(this.#bytes, source, tag);
  }

  test(): { value: unknown } | null {
    if (this.#request === null) this.#inbox.advance();
    if (this.#request === null || !this.#request.test()) return null;
    return { value: this.#value(this.#request.wait()) };
  }

  wait(): unknown {
    while (this.#request === null) this.#inbox.advance();
    return this.#value(this.#request.wait());
  }

  cancel(): Outcome<unknown> | null {
    // A message that is on its way in is received: nobody else could have it any more.
    if (this.#request !== null) return outcomeOf(() => this.wait());
    this.#inbox.leave(this);
    return null;
  }

  #value(status: Status): unknown {
    if (this.#status !== undefined) Object.assign(this.#status, status);
    return decodeObject(this.#bytes!);
  }
}
