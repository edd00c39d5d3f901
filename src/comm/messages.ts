import { type MpiArray, type MpiBuffer, plainType } from "./datatypes.ts";
import { type Data, CommunicatorBase, isInt, memory, Mistake } from "./base.ts";
import { isTimed } from "../os/whole.ts";
import { MpiOperation, Request } from "./request.ts";
import { ANY_SOURCE, ANY_TAG, from, readStatus, STATUS, type Status, to } from "./status.ts";

/** Messages of arrays between two ranks. */
export abstract class Messages extends CommunicatorBase {
  /** @internal Whether blocking calls wait in JavaScript, and not in MPI. */
  protected get waitsInSteps(): boolean {
    return isTimed;
  }

  /**
   * Sends an array (MPI_Send, MPI 4.0 section 3.2.1): a `DataView`, an `ArrayBuffer` and a
   * `Uint8Array` as bytes, any other typed array as its elements. Blocks the thread until `view`
   * may be written again: a long message until its receiver takes it.
   *
   * Throws `MpiError` for an invalid rank or tag, and for a value that is no array.
   *
   * @example
   * if (world.rank === 0) world.send(new Float64Array([1, 2, 3]), 1);
   */
  send(view: MpiBuffer, dest: number, tag = 0): void {
    const { lib } = this;
    if (isTimed) return void this.isend(view, dest, tag).wait();
    const type = plainType(view);
    if (type === undefined || !isInt(dest) || !isInt(tag)) {
      return this.#sendOther(view, dest, tag);
    }
    const array = view as MpiArray;
    const code = lib.bsync_comm_send(memory(array), array.length, type.code, dest, tag, this.id);
    if (code < 0) throw this.error(code, sending({ array, type }, dest, tag));
  }

  /**
   * Receives into `view` (MPI_Recv, MPI 4.0 section 3.2.4); returns the sender, the tag and the
   * count. Blocks the thread until a message of `source` with `tag` has come; both are any if left
   * out.
   *
   * Throws `MpiError` for a message longer than `view` (`MPI_ERR_TRUNCATE`; `view` may have been
   * written, but nothing beyond it), and for one that is no whole number of its elements
   * (`MPI_ERR_TYPE`).
   *
   * @example
   * const numbers = new Float64Array(1000);
   * const { source, count } = world.recv(numbers);
   * console.log(`rank ${source} sent`, numbers.subarray(0, count));
   */
  recv(view: MpiBuffer, source = ANY_SOURCE, tag = ANY_TAG): Status {
    const { lib } = this;
    const type = plainType(view);
    if (type === undefined || !isInt(source) || !isInt(tag)) {
      return this.#receiveOther(view, source, tag);
    }
    const array = view as MpiArray;
    const { length } = array;
    const place = memory(array);
    const code = lib.bsync_comm_recv(place, length, type.code, source, tag, this.id, STATUS);
    if (code < 0) throw this.error(code, receiving({ array, type }, source, tag));
    return readStatus();
  }

  /**
   * Starts to send (MPI_Isend, MPI 4.0 section 3.7.2). Leave `view` unchanged until the request is
   * done. Throws as `send` does.
   *
   * @example
   * const request = world.isend(edge, right);
   * compute();
   * await request;
   */
  isend(view: MpiBuffer, dest: number, tag = 0): Request {
    const { lib } = this;
    const data = this.data(view, "send");
    if (!isInt(dest) || !isInt(tag)) throw this.#wrong(view, dest, tag);
    const place = still(data);
    const { length } = data.array;
    const id = lib.bsync_comm_isend(place, length, data.type.code, dest, tag, this.id);
    if (id < 0) throw this.error(id, sending(data, dest, tag));
    return this.#request(id, place, false, () => sending(data, dest, tag));
  }

  /**
   * Starts to receive (MPI_Irecv, MPI 4.0 section 3.7.2); the request's result is the `Status`.
   * Leave `view` alone until it is done: do not transfer or resize its buffer either.
   *
   * A message that is longer than `view` fails with `MPI_ERR_TRUNCATE`, as with `recv`.
   *
   * @example
   * const first = world.irecv(a, 1);
   * const second = world.irecv(b, 2);
   * const [one, two] = await Promise.all([first, second]);
   */
  irecv(view: MpiBuffer, source = ANY_SOURCE, tag = ANY_TAG): Request {
    const { lib } = this;
    const data = this.data(view, "receive");
    if (!isInt(source) || !isInt(tag)) throw this.#wrong(view, source, tag, "receive");
    const place = still(data);
    const { length } = data.array;
    const id = lib.bsync_comm_irecv(place, length, data.type.code, source, tag, this.id);
    if (id < 0) throw this.error(id, receiving(data, source, tag));
    return this.#request(id, place, true, () => receiving(data, source, tag));
  }

  /**
   * Sends and receives at once, so that two ranks cannot end up waiting for each other
   * (MPI_Sendrecv, MPI 4.0 section 3.10). Blocks the thread. The two arrays must not overlap. MPI's
   * own order of arguments, `(sent, dest, sendTag, view, source, recvTag)`, works too.
   *
   * @example
   * const right = (world.rank + 1) % world.size;
   * const left = (world.rank + world.size - 1) % world.size;
   * world.sendrecv(mine, right, theirs, left);
   */
  sendrecv(
    sent: MpiBuffer,
    dest: number,
    view: MpiBuffer,
    source?: number,
    sendTag?: number,
    recvTag?: number,
  ): Status;
  sendrecv(
    sent: MpiBuffer,
    dest: number,
    sendTag: number,
    view: MpiBuffer,
    source?: number,
    recvTag?: number,
  ): Status;
  sendrecv(
    sent: MpiBuffer,
    dest: number,
    third: MpiBuffer | number,
    fourth?: MpiBuffer | number,
    fifth?: number,
    recvTag = ANY_TAG,
  ): Status {
    // `source` is the fifth argument in MPI's order, the fourth in the other.
    const inOrder = typeof third === "number";
    const sendTag = inOrder ? third : (fifth ?? 0);
    const view = inOrder ? fourth : third;
    const source = (inOrder ? fifth : (fourth as number | undefined)) ?? ANY_SOURCE;
    const out = this.data(sent, "send and receive");
    const room = this.data(view, "send and receive");
    if (!isInt(dest) || !isInt(sendTag)) throw this.#wrong(out.array, dest, sendTag);
    if (!isInt(source) || !isInt(recvTag))
      throw this.#wrong(room.array, source, recvTag, "receive");
    const describe = () => `${sending(out, dest, sendTag)} and ${receiving(room, source, recvTag)}`;
    this.refuseShared(out, room, describe);
    if (this.waitsInSteps) {
      this.iprobe(source, recvTag); // throws for wrong arguments before anything is sent
      const request = this.isend(sent, dest, sendTag);
      const status = this.recv(view as MpiBuffer, source, recvTag);
      request.wait();
      return status;
    }
    const code = this.lib.bsync_comm_sendrecv(
      memory(out.array),
      out.array.length,
      out.type.code,
      dest,
      sendTag,
      memory(room.array),
      room.array.length,
      room.type.code,
      source,
      recvTag,
      this.id,
      STATUS,
    );
    if (code < 0) throw this.error(code, describe());
    return readStatus();
  }

  /**
   * Waits for a message without receiving it (MPI_Probe, MPI 4.0 section 3.8.1). `count` is its
   * length in bytes, whatever its elements. Blocks the thread.
   *
   * @example
   * const { source, tag, count } = world.probe();
   * const numbers = new Float64Array(count / 8);
   * world.recv(numbers, source, tag);
   */
  probe(source = ANY_SOURCE, tag = ANY_TAG): Status {
    if (!isInt(source) || !isInt(tag))
      throw this.#wrong(undefined, source, tag, "look for a message");
    const code = this.lib.bsync_comm_probe(source, tag, this.id, STATUS);
    if (code < 0) throw this.error(code, `look for a message ${from(source, tag)}`);
    return readStatus();
  }

  /** As `probe`, but without waiting (MPI_Iprobe, MPI 4.0 section 3.8.1); null if there is none. */
  iprobe(source = ANY_SOURCE, tag = ANY_TAG): Status | null {
    if (!isInt(source) || !isInt(tag))
      throw this.#wrong(undefined, source, tag, "look for a message");
    const code = this.lib.bsync_comm_iprobe(source, tag, this.id, STATUS);
    if (code < 0) throw this.error(code, `look for a message ${from(source, tag)}`);
    return code === 0 ? null : readStatus();
  }

  /** Sends other memory than a plain typed array, or throws. */
  #sendOther(view: MpiBuffer, dest: number, tag: number): void {
    if (!isInt(dest) || !isInt(tag)) throw this.#wrong(view, dest, tag);
    const data = this.data(view, "send");
    const { array, type } = data;
    const place = memory(array);
    const code = this.lib.bsync_comm_send(place, array.length, type.code, dest, tag, this.id);
    if (code < 0) throw this.error(code, sending(data, dest, tag));
  }

  #receiveOther(view: MpiBuffer, source: number, tag: number): Status {
    if (!isInt(source) || !isInt(tag)) throw this.#wrong(view, source, tag, "receive");
    const data = this.data(view, "receive");
    const { array, type } = data;
    const place = memory(array);
    const code = this.lib.bsync_comm_recv(
      place,
      array.length,
      type.code,
      source,
      tag,
      this.id,
      STATUS,
    );
    if (code < 0) throw this.error(code, receiving(data, source, tag));
    return readStatus();
  }

  #request(id: number, held: unknown, receives: boolean, describe: () => string): Request {
    const failure = (code: number, note?: string) => this.error(code, describe(), note);
    return new Request(this.mpi, new MpiOperation(this.lib, id, held, receives, describe, failure));
  }

  /** The error for arguments that C would misread. */
  #wrong(view: unknown, rank: unknown, tag: unknown, action = "send"): Error {
    if (view !== undefined) {
      try {
        this.data(view, action);
      } catch (error) {
        return error as Error;
      }
    }
    const which = isInt(rank) ? Mistake.Tag : Mistake.Rank;
    const shown = Bun.inspect(isInt(rank) ? tag : rank);
    return this.mistake(
      which,
      `${action} ${action === "send" ? to(rank, tag) : from(rank, tag)}`,
      `${isInt(rank) ? "a tag" : "a rank"} is a whole number, got ${shown}`,
    );
  }
}

/**
 * The memory of a view, fixed in place: that of a small view moves until its `buffer` is asked for.
 */
function still({ array }: Data): NodeJS.TypedArray {
  return array.length === 0 ? memory(array) : array.buffer && array;
}

function sending(data: Data, dest: unknown, tag: unknown): string {
  return `send ${shown(data)} ${to(dest, tag)}`;
}

function receiving(data: Data, source: unknown, tag: unknown): string {
  return `receive up to ${shown(data)} ${from(source, tag)}`;
}

/** A kind and a length, for messages. */
export function shown({ array, type }: Data): string {
  return `${type.name}(${array.length})`;
}
