import { decodeFrom } from "./object-codec.ts";
import { breathe } from "../os/whole.ts";
import { type PendingOperation, type Outcome, outcomeOf, Request, unmatched } from "./request.ts";
import { ANY_SOURCE, ANY_TAG, from, PROC_NULL, type Status } from "./status.ts";
import type { Mpi } from "../mpi/mpi.ts";

/** The part of a communicator that receives arrays. */
interface Receiver {
  readonly mpi: Mpi;
  iprobe(source: number, tag: number): Status | null;
  irecv(view: Uint8Array, source: number, tag: number): Request;
}

/**
 * Waiting receives of values. Only its message tells how long a value is, so MPI cannot be given
 * memory beforehand: each receive waits for its message, in the order of the calls, as MPI's own
 * receives do (MPI 4.0 section 3.5). `recv` and `probe` leave these receives their messages; a
 * later `irecv` of the same source and tag, which MPI knows of, gets the next message first.
 */
export class ObjectReceives {
  readonly #comm: Receiver;
  #queue: ObjectReceive[] = [];
  /** Starting a receive may call `advance` again. */
  #isAdvancing = false;

  constructor(comm: Receiver) {
    this.#comm = comm;
  }

  /** Whether receives wait that come before new ones. */
  get waiting(): boolean {
    return this.#queue.length > 0;
  }

  receive(source: number, tag: number, status?: Partial<Status>): Request<unknown> {
    // Throws now for wrong arguments.
    this.#comm.iprobe(source, tag);
    const operation = new ObjectReceive(this, source, tag, status);
    if (source === PROC_NULL) operation.start(this.#comm);
    else this.#queue.push(operation);
    this.#mind();
    return new Request(this.#comm.mpi, operation);
  }

  /** Starts the receives whose messages have come. */
  advance(): void {
    if (this.#isAdvancing || !this.#hasMail()) return;
    this.#isAdvancing = true;
    const asked = this.#queue;
    this.#queue = [];
    for (const operation of asked) {
      // A message that comes just now may be for an earlier receive, which did not see it yet.
      const hasCome = operation.start(this.#comm, (found) => this.wants(found));
      if (!hasCome) this.#queue.push(operation);
    }
    this.#isAdvancing = false;
    this.#mind();
  }

  /** Whether a message that has come is for a waiting receive. */
  wants({ source, tag }: Status): boolean {
    return this.#queue.some((operation) => operation.takes(source, tag));
  }

  leave(operation: ObjectReceive): void {
    this.#queue = this.#queue.filter((other) => other !== operation);
    this.#mind();
  }

  /** Whether any message has come, which is rare, however many receives wait. */
  #hasMail(): boolean {
    try {
      return this.#comm.iprobe(ANY_SOURCE, ANY_TAG) !== null;
    } catch {
      return true; // each receive shall get the error
    }
  }

  #mind(): void {
    if (this.#queue.length > 0) unmatched.add(this);
    else unmatched.delete(this);
  }
}

class ObjectReceive implements PendingOperation<unknown> {
  readonly source: number;
  readonly tag: number;
  readonly #inbox: ObjectReceives;
  readonly #status: Partial<Status> | undefined;
  #bytes: Uint8Array | null = null;
  #request: Request | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(inbox: ObjectReceives, source: number, tag: number, status?: Partial<Status>) {
    this.#inbox = inbox;
    this.source = source;
    this.tag = tag;
    this.#status = status;
  }

  describe(): string {
    return `receive a value ${from(this.source, this.tag)}`;
  }

  takes(source: number, tag: number): boolean {
    const isIts = this.source === ANY_SOURCE || this.source === source;
    return isIts && (this.tag === ANY_TAG || this.tag === tag) && source !== PROC_NULL;
  }

  /**
   * Starts to receive its message, if that has come; true too if that fails: its request then has
   * the error.
   */
  start(comm: Receiver, isAnothers: (found: Status) => boolean = () => false): boolean {
    try {
      const found = comm.iprobe(this.source, this.tag);
      if (found === null || isAnothers(found)) return false;
      this.#bytes = new Uint8Array(new ArrayBuffer(found.count));
      this.#request = comm.irecv(this.#bytes, found.source, found.tag);
    } catch (error) {
      this.#failure = { error };
    }
    return true;
  }

  test(): { value: unknown } | null {
    if (!this.#isStarted) this.#inbox.advance();
    return this.testOnly();
  }

  testOnly(): { value: unknown } | null {
    if (this.#failure === null && !this.#request?.test()) return null;
    return { value: this.#end() };
  }

  wait(): unknown {
    for (; !this.#isStarted; breathe()) this.#inbox.advance();
    return this.#end();
  }

  get #isStarted(): boolean {
    return this.#request !== null || this.#failure !== null;
  }

  #end(): unknown {
    if (this.#failure !== null) throw this.#failure.error;
    return this.#value(this.#request!.wait());
  }

  cancel(): Outcome<unknown> | null {
    // A message whose receive has started is received: no other receive could get it any more.
    if (this.#isStarted) return outcomeOf(() => this.wait());
    this.#inbox.leave(this);
    return null;
  }

  #value(status: Status): unknown {
    if (this.#status !== undefined) Object.assign(this.#status, status);
    return decodeFrom(this.source, this.#bytes!);
  }
}
