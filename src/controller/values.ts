import { oneLine, shortArguments } from "../codec/short.ts";
import { addOrigin, encodeThrown } from "../codec/thrown.ts";
import {
  type DecodeContext,
  decodeAt,
  decodeValue,
  type EncodeContext,
  type Encoded,
  type EncodedAt,
  encodeValue,
} from "../codec/value.ts";
import {
  type BsyncError,
  madeWithoutFrames,
  ValueError,
  withoutFrames,
  WorkerLostError,
} from "../errors.ts";
import { recordOf as recordOfFunction } from "../function/reference-lazy.ts";
import type { FunctionRecord } from "../function/record.ts";
import { hasStackToLoad } from "../os/stack.ts";
import { aside, isWatched } from "../os/whole.ts";
import type { ShownCall } from "../scheduler/chunk.ts";
import type { Payload, Task } from "../scheduler/task.ts";
import { checkBuffers } from "../wire/frame-layout.ts";
import { type Connection, describe } from "./connection.ts";

type AnyFunction = (...args: never[]) => unknown;
type Classes = typeof import("../function/classes.ts");

let loaded: Classes | null = null;

/** The classes of errors, which few programs need; null with too little stack to load them. */
function classes(): Classes | null {
  if (loaded === null && hasStackToLoad()) {
    loaded = require("../function/classes.ts") as Classes;
  }
  return loaded;
}

/** How the classes of errors travel. */
type ErrorClasses = Pick<EncodeContext, "classOf"> & Pick<DecodeContext, "classFor">;

const ERROR_CLASSES: ErrorClasses = {
  classOf: (maker, prototype) => classes()?.exportersOf(maker, prototype) ?? [],
  classFor: (reference) => {
    const value = classes()?.exportedClass(reference);
    return typeof value === "function" ? value : null;
  },
};

/** Arguments that were encoded when the call was made, and the functions among them. */
interface EncodedCall extends Encoded {
  readonly functions: readonly FunctionRecord[];
}

/**
 * Encodes the controller's arguments, and decodes its results.
 *
 * Arguments are taken as they are at the call, as in a local call. Where all of them are immutable
 * they are kept as they are and encoded when the task is sent; others are encoded at once. Only the
 * content of large buffers is read later, when it is sent: to copy them would cost the memory once
 * more for every task that waits.
 */
export class ValueEncoder {
  /** Names a function to a worker. */
  readonly recordOf: (fn: AnyFunction | string) => FunctionRecord;
  /** The list that a single argument is encoded in. */
  readonly #single: unknown[] = [undefined];
  /** Functions met while encoding. */
  #met: FunctionRecord[] = [];

  readonly #encoding: EncodeContext;
  readonly decoding: DecodeContext;

  /** `errors`: how the classes of errors are named and found, where that is not as in a program. */
  constructor(
    recordOf: ValueEncoder["recordOf"] = recordOfFunction,
    { classOf, classFor }: ErrorClasses = ERROR_CLASSES,
  ) {
    this.recordOf = recordOf;
    this.#encoding = {
      functionId: (fn) => {
        const record = this.recordOf(fn as AnyFunction);
        if (!this.#met.includes(record)) this.#met.push(record);
        return record.id;
      },
      classOf,
    };
    this.decoding = {
      functionOf: () => {
        throw new ValueError("Cannot receive a function: functions travel as arguments only");
      },
      classFor,
    };
  }

  /** The arguments as a task keeps them until it is sent; throws for values that cannot travel. */
  keep(args: unknown[]): Payload {
    // Most calls have one argument, a number or a string: without the list, one object less a task.
    if (args.length === 1 && isPrimitive(args[0])) return args[0];
    if (args.every(isImmutable)) return args;
    // The getters of arguments run now. They are the program's code: a task's timeout may end them.
    return isWatched ? aside(() => this.encodeKept(args, "args")) : this.encodeKept(args, "args");
  }

  /** Encodes what `keep` returned, to be sent. */
  encodePayload(payload: Payload): Encoded {
    if (typeof payload !== "object") {
      this.#single[0] = payload;
      return encodeValue(this.#single, "args", this.#encoding);
    }
    if (isList(payload)) return encodeValue(payload, "args", this.#encoding);
    return payload.paths === undefined ? payload : whole(payload, payload.paths);
  }

  /** Encodes into memory of its own. */
  encodeKept(args: unknown[], root: string): EncodedCall {
    // A getter among the arguments may submit a call of its own.
    const outer = this.#met;
    const functions: FunctionRecord[] = [];
    this.#met = functions;
    try {
      const encoded = encodeValue(args, root, this.#encoding);
      checkBuffers(encoded.buffers.length, root);
      return { ...encoded, body: encoded.body.slice(), functions };
    } finally {
      this.#met = outer;
    }
  }

  /** Encodes a value that is written at once: the body is valid until the next one is encoded. */
  encode(value: unknown, root: string): Encoded {
    return encodeValue(value, root, this.#encoding);
  }

  /** Encodes what a task has failed with. */
  encodeFailure(error: unknown): Encoded {
    return encodeThrown(error, this.#encoding);
  }

  decode(frame: EncodedAt): unknown {
    return decodeAt(frame, this.decoding);
  }

  /** The call of a task in one line, for people: `task 17: render("a.png", 320)`. Never throws. */
  callOf({ order, fn, payload }: ShownCall, attempt: number): string {
    const again = attempt > 1 ? ` (attempt ${attempt})` : "";
    return `task ${order}${again}: ${this.shown(fn.label, payload)}`;
  }

  /** An error of this side, which tells what the worker does not. Its stack is the task's call. */
  withOrigin(error: BsyncError, task: Task, worker: Connection): BsyncError {
    // A lost attempt is counted among the losses already.
    const attempt = error instanceof WorkerLostError ? task.losses : task.losses + 1;
    addOrigin(withoutFrames(error), `${this.callOf(task, attempt)} on ${describe(worker)}`);
    return error;
  }

  /** A call of these arguments in one line: `render("a.png", 320)`. Never throws. */
  shown(label: string, payload: Payload | null): string {
    const name = oneLine(label).slice(0, MOST_NAMED);
    const called = NAME.test(name) ? name : `(${name})`;
    return `${called}(${this.#shownArguments(payload)})`;
  }

  #shownArguments(payload: Payload | null): string {
    if (payload === null) return "";
    if (typeof payload !== "object") return shortArguments([payload]);
    if (isList(payload)) return shortArguments(payload);
    const { length } = payload.body;
    const beside = bytesOfOwn(payload);
    if (length > MOST_SHOWN || beside > MOST_BESIDE) {
      return `… ${Math.ceil((length + beside) / 1024)} KiB`;
    }
    const known = this.functionsOf(payload);
    const nameOf = (id: number) => known.find((record) => record.id === id)?.label ?? "";
    try {
      const args = decodeValue(withoutContents(payload), {
        functionOf: (id) => Object.defineProperty(() => {}, "name", { value: nameOf(id) }),
        classFor: () => null,
      });
      return shortArguments(args as unknown[]);
    } catch {
      // A buffer's memory may be gone by now.
      return "…";
    }
  }

  /** The functions among the arguments that `keep` returned. */
  functionsOf(payload: Payload): readonly FunctionRecord[] {
    if (typeof payload !== "object" || isList(payload)) return NO_FUNCTIONS;
    return (payload as Partial<EncodedCall>).functions ?? NO_FUNCTIONS;
  }
}

/**
 * Throws if a buffer is not what it was at the call: a view of memory that is gone, or too small
 * for it, has no length. Memory that may yet become smaller is sent as a copy.
 */
function whole(encoded: Encoded, paths: readonly string[]): Encoded {
  const { format, body } = encoded;
  const buffers = encoded.buffers.map((bytes, i) => {
    if (bytes.byteLength === 0) throw torn(bytes, paths[i]!);
    return (bytes.buffer as ArrayBuffer).resizable ? bytes.slice() : bytes;
  });
  return { format, body, buffers };
}

/** The error for a buffer of a payload whose memory was gone before it was sent. */
export function tornIn(payload: Payload | null, buffer: Uint8Array): ValueError {
  return torn(buffer, pathOf(payload, buffer) ?? "a buffer");
}

function torn(bytes: Uint8Array, path: string): ValueError {
  const isGone = (bytes.buffer as ArrayBuffer).detached;
  const what = isGone ? "transferred elsewhere" : "made smaller";
  const message =
    `Cannot send ${path}: its memory was ${what} before it was sent; leave it as it is until ` +
    "the task is settled, or pass a copy";
  return madeWithoutFrames(() => new ValueError(message));
}

/** The path of a buffer in the arguments; null if it is not among them. */
export function pathOf(payload: Payload | null, buffer: Uint8Array): string | null {
  if (payload === null || typeof payload !== "object" || isList(payload)) return null;
  return payload.paths?.[payload.buffers.indexOf(buffer)] ?? null;
}

/** Bytes of encoded arguments that are decoded at most to show them, and bytes beside them. */
const MOST_SHOWN = 64 * 1024;
const MOST_BESIDE = 8 * 1024 * 1024;

/** Bytes of long lists and texts, beside the body. */
function bytesOfOwn({ buffers, paths = [] }: Encoded): number {
  return buffers.reduce((sum, { length }, i) => sum + (paths[i] === "" ? length : 0), 0);
}

/** Large arrays and memories are shown by their length: what they hold is not copied for that. */
function withoutContents({ format, body, buffers, paths = [] }: Encoded): Encoded {
  const empty = buffers.map((bytes, i) => (paths[i] === "" ? bytes : new Uint8Array(bytes.length)));
  return { format, body, buffers: empty };
}

/** Letters of a function's name. */
const MOST_NAMED = 100;

/** Matches the name of a function, not its text. */
const NAME = /^[^\s()=>]+$/;

const NO_FUNCTIONS: readonly FunctionRecord[] = [];

function isList(payload: Encoded | readonly unknown[]): payload is readonly unknown[] {
  return Array.isArray(payload);
}

function isPrimitive(value: unknown): value is string | number | boolean | bigint {
  const type = typeof value;
  return type === "number" || type === "string" || type === "boolean" || type === "bigint";
}

function isImmutable(value: unknown): boolean {
  switch (typeof value) {
    case "object":
      return value === null;
    case "function":
    case "symbol":
      return false;
    default:
      return true;
  }
}
