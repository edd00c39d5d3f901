import type { Encoded } from "../codec/value.ts";
import { LAST_ID } from "./task-id.ts";
import {
  Flag,
  MESSAGE_BYTES,
  BODY_BYTES,
  EXACT,
  AFTER_BODY,
  MESSAGE_HEADER,
  FRAME_HEADER,
} from "./frame-layout.ts";
import type { Kind } from "./frames.ts";

const NOTHING: Encoded = { format: 0, body: new Uint8Array(0), buffers: [] };

/** Gathers frames into one message. */
export class MessageWriter {
  #session: number;
  #bytes: Uint8Array;
  #view: DataView;
  #length = MESSAGE_HEADER;
  #buffers: Uint8Array[] = [];
  /** Bytes of all messages that were taken. */
  sent = 0;

  constructor(session: number) {
    this.#session = session;
    this.#bytes = new Uint8Array(new ArrayBuffer(4096));
    this.#view = new DataView(this.#bytes.buffer);
  }

  get empty(): boolean {
    return this.#length === MESSAGE_HEADER;
  }

  /** Whether a frame with that content still fits; if not, take the message first. */
  fits(content: Encoded = NOTHING): boolean {
    const body = content.body.length < BODY_BYTES ? content.body.length : 0;
    const trailer = 8 * (this.#buffers.length + content.buffers.length + 1);
    return this.empty || this.#length + FRAME_HEADER + body + AFTER_BODY + trailer <= MESSAGE_BYTES;
  }

  /**
   * Adds a frame. The body is copied, the buffers are not: they are read when the link sends them.
   * Of a call, `order` is the task's number in its pool; 0 of the initializer. Of `Calls`, which
   * have no deadline and no attempt, `index` is the place of the first item.
   */
  write(
    kind: Kind,
    task: number,
    number = 0,
    content: Encoded = NOTHING,
    deadline = Infinity,
    attempt = 1,
    order = -1,
    index = -1,
  ): void {
    const behind = content.body.length >= BODY_BYTES;
    const indexed = index >= 0;
    const timed = deadline !== Infinity;
    const again = attempt > 1;
    const far = order > LAST_ID || (number > EXACT && order >= 0);
    const after = (timed || indexed ? 8 : 0) + (again ? 8 : 0) + (far ? 16 : 0);
    const bodyBytes = (behind ? 0 : content.body.length) + after;
    const bufferCount = content.buffers.length + (behind ? 1 : 0);
    this.#reserve(FRAME_HEADER + bodyBytes + 8 * (this.#buffers.length + bufferCount));
    const view = this.#view;
    const at = this.#length;
    view.setUint8(at, kind);
    view.setUint8(at + 1, content.format);
    const bits =
      (behind ? Flag.BodyBehind : 0) |
      (timed ? Flag.Deadline : 0) |
      (indexed ? Flag.Index : 0) |
      (again ? Flag.Again : 0) |
      (far ? Flag.Far : 0);
    view.setUint16(at + 2, bits, true);
    view.setUint32(at + 4, task, true);
    view.setFloat32(at + 8, number, true);
    view.setUint32(at + 12, bodyBytes, true);
    view.setUint32(at + 16, bufferCount, true);
    const body = at + FRAME_HEADER;
    if (behind) this.#buffers.push(content.body.slice());
    else copy(content.body, this.#bytes, body);
    if (timed || indexed) view.setFloat64(body + bodyBytes - 8, timed ? deadline : index, true);
    if (again) view.setFloat64(body + bodyBytes - (timed || indexed ? 16 : 8), attempt, true);
    if (far) {
      view.setFloat64(body + bodyBytes - after, order, true);
      view.setFloat64(body + bodyBytes - after + 8, number, true);
    }
    if (content.buffers.length > 0) this.#buffers.push(...content.buffers);
    this.#length = body + bodyBytes;
  }

  /**
   * Takes over the frames of a whole message, which was received for this session, to pass it on.
   */
  load(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const end = length - 8 * buffers.length;
    this.#reserve(length - MESSAGE_HEADER);
    this.#bytes.set(bytes.subarray(MESSAGE_HEADER, end), MESSAGE_HEADER);
    this.#length = end;
    this.#buffers = buffers;
  }

  /**
   * Ends the message. `bytes` is this writer's own memory: copy it, or keep it and `renew`. So is
   * the list `buffers` when it is empty: read it before more is written.
   */
  take(): { bytes: Uint8Array; length: number; buffers: Uint8Array[] } {
    this.#reserve(8 * this.#buffers.length);
    const buffers = this.#buffers;
    this.#view.setUint32(0, this.#session, true);
    this.#view.setUint32(4, buffers.length, true);
    let length = this.#length;
    for (const buffer of buffers) {
      this.#view.setFloat64(length, buffer.byteLength, true);
      this.sent += buffer.byteLength;
      length += 8;
    }
    this.sent += length;
    this.#length = MESSAGE_HEADER;
    if (buffers.length > 0) this.#buffers = [];
    return { bytes: this.#bytes, length, buffers };
  }

  /** Writes into other memory from now on: the taker of the last message keeps its memory. */
  renew(bytes: Uint8Array = new Uint8Array(new ArrayBuffer(this.#bytes.length))): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(new ArrayBuffer(Math.max(needed, 2 * this.#bytes.length)));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.renew(bytes);
  }
}

/** `set` costs some 40 ns, whatever it copies; most bodies are a few bytes. */
function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  const { length } = from;
  if (length > 32) return to.set(from, at);
  for (let i = 0; i < length; i++) to[at + i] = from[i]!;
}
