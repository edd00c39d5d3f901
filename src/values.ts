import {
  type ClassReference,
  type DecodeContext,
  decodeAt,
  type EncodeContext,
  type Encoded,
  type EncodedAt,
  encodeValue,
} from "./codec/value.ts";
import { ValueError } from "./errors.ts";
import { exportedBy, exporterOf, type FunctionRecord, recordOf } from "./function/reference.ts";
import type { Payload } from "./task.ts";
import { checkBuffers } from "./wire.ts";

type AnyFunction = (...args: never[]) => unknown;

/** Arguments that were encoded when the call was made, and the functions among them. */
interface EncodedCall extends Encoded {
  readonly functions: readonly FunctionRecord[];
}

/**
 * The controller's values on their way out and in.
 *
 * Arguments are those of the moment of the call, as in a local one. Where all of them are
 * immutable they are kept as they are and encoded when the task is sent; others are encoded at
 * once. Only the content of large buffers is read later, when it is sent: to copy them would
 * cost the memory once more for every task that waits.
 */
export class Values {
  /** The list that a single argument is encoded in. */
  readonly #single: unknown[] = [undefined];
  /** Functions met while encoding. */
  #met: FunctionRecord[] = [];

  readonly #encoding: EncodeContext = {
    functionId: (fn) => {
      const record = recordOf(fn as AnyFunction);
      if (!this.#met.includes(record)) this.#met.push(record);
      return record.id;
    },
    classOf: (ctor): ClassReference | null => exporterOf(ctor) ?? null,
  };

  readonly decoding: DecodeContext = {
    functionOf: () => {
      throw new ValueError("Cannot receive a function: functions travel as arguments only");
    },
    classFor: ({ module, name }) => {
      const value = module === null ? undefined : exportedBy(module, name);
      return typeof value === "function" ? value : null;
    },
  };

  functionRecord(fn: AnyFunction | string): FunctionRecord {
    return recordOf(fn);
  }

  /** What a task keeps of its arguments until it is sent; throws for what cannot travel. */
  keep(args: unknown[]): Payload {
    // Most calls have one argument, a number or a text: without the list it is one object less a task.
    if (args.length === 1 && isPrimitive(args[0])) return args[0];
    return args.every(isImmutable) ? args : this.encodeKept(args, "args");
  }

  /** What `keep` kept, as it is sent. */
  encodePayload(payload: Payload): Encoded {
    if (typeof payload !== "object") {
      this.#single[0] = payload;
      return encodeValue(this.#single, "args", this.#encoding);
    }
    return isList(payload) ? encodeValue(payload, "args", this.#encoding) : payload;
  }

  /** Encodes into memory of its own. */
  encodeKept(args: unknown[], root: string): EncodedCall {
    // A getter among them may submit a call of its own.
    const outer = this.#met;
    const functions: FunctionRecord[] = [];
    this.#met = functions;
    try {
      const { format, body, buffers } = encodeValue(args, root, this.#encoding);
      checkBuffers(buffers.length, root);
      return { format, body: body.slice(), buffers, functions };
    } finally {
      this.#met = outer;
    }
  }

  /** Encodes what is written at once: the body is good until the next one is encoded. */
  encode(value: unknown, root: string): Encoded {
    return encodeValue(value, root, this.#encoding);
  }

  decode(frame: EncodedAt): unknown {
    return decodeAt(frame, this.decoding);
  }

  /** The functions among what `keep` kept. */
  functionsOf(payload: Payload): readonly FunctionRecord[] {
    if (typeof payload !== "object" || isList(payload)) return NO_FUNCTIONS;
    return (payload as Partial<EncodedCall>).functions ?? NO_FUNCTIONS;
  }
}

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
