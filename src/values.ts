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
  keep(args: unknown[]): unknown[] | Encoded {
    return args.every(isImmutable) ? args : this.encodeKept(args, "args");
  }

  /** What `keep` kept, as it is sent. */
  encodePayload(payload: unknown[] | Encoded): Encoded {
    return Array.isArray(payload) ? encodeValue(payload, "args", this.#encoding) : payload;
  }

  /** Encodes into memory of its own. */
  encodeKept(args: unknown[], root: string): EncodedCall {
    this.#met = [];
    const { format, body, buffers } = encodeValue(args, root, this.#encoding);
    checkBuffers(buffers.length, root);
    return { format, body: body.slice(), buffers, functions: this.#met };
  }

  /** Encodes what is written at once: the body is good until the next one is encoded. */
  encode(value: unknown, root: string): Encoded {
    return encodeValue(value, root, this.#encoding);
  }

  decode(frame: EncodedAt): unknown {
    return decodeAt(frame, this.decoding);
  }

  /** The functions among what `keep` kept. */
  functionsOf(payload: unknown[] | Encoded): readonly FunctionRecord[] {
    return Array.isArray(payload) ? [] : ((payload as Partial<EncodedCall>).functions ?? []);
  }
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
