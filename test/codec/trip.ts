/** There and back, as between two processes: nothing of the sender's memory is left. */
import {
  type ClassReference,
  type DecodeContext,
  decodeValue,
  type EncodeContext,
  encodeValue,
  type Encoded,
} from "../../src/codec/value.ts";
import { FunctionError } from "../../src/errors.ts";

/** Functions by number, classes by name; what is not listed is unknown. */
export class Known implements EncodeContext, DecodeContext {
  readonly #functions: readonly Function[];
  readonly #classes: readonly Function[];

  constructor(functions: readonly Function[] = [], classes: readonly Function[] = []) {
    this.#functions = functions;
    this.#classes = classes;
  }

  functionId(fn: Function, path: string): number {
    const id = this.#functions.indexOf(fn);
    if (id < 0) throw new FunctionError(`Cannot send ${path}: nobody knows it`);
    return id;
  }

  functionOf(id: number): Function {
    const fn = this.#functions[id];
    if (fn === undefined) throw new FunctionError(`Cannot find function ${id}`);
    return fn;
  }

  classOf(maker: Function | null, _prototype: object): readonly ClassReference[] | null {
    if (maker === null || !this.#classes.includes(maker)) return null;
    return [{ module: "classes", name: maker.name }];
  }

  classFor(reference: ClassReference): Function | null {
    return this.#classes.find((known) => known.name === reference.name) ?? null;
  }
}

/** What arrives on the other side: every byte copied, the body somewhere in a larger buffer. */
export function received(encoded: Encoded): Encoded {
  const frame = new Uint8Array(encoded.body.length + 7);
  frame.set(encoded.body, 3);
  return {
    format: encoded.format,
    body: frame.subarray(3, 3 + encoded.body.length),
    buffers: encoded.buffers.map((buffer) => new Uint8Array(buffer)),
  };
}

export function roundTrip<T>(value: T, context: Known = new Known(), root = "result"): T {
  const arrived = received(encodeValue(value, root, context));
  const result = decodeValue(arrived, context);
  // The receive buffer is used for the next message.
  arrived.body.fill(0xa5);
  return result as T;
}

/** The message with which `value`, as the one argument, is refused. */
export function refusal(value: unknown, context: Known = new Known()): string {
  try {
    encodeValue([value], "args", context);
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return "it was sent";
}
