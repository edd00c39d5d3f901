/** What both directions of the codec share: the encoded form and the questions it asks its user. */

/**
 * A value as bytes. `body` may lie in memory that the next call of an encoder overwrites: copy it
 * first. `buffers` are views on the sender's own memory, sent beside the body as they are.
 */
export interface Encoded {
  /** 0: scalars; 1: a plain tree; 2: a graph. */
  readonly format: number;
  readonly body: Uint8Array;
  readonly buffers: readonly Uint8Array[];
  /**
   * Where each buffer stands in the value, for messages; "" of those that are the encoder's own.
   * None without buffers.
   */
  readonly paths?: readonly string[];
}

/** Names a class that both sides may know. */
export interface ClassReference {
  /** The module that exports it, a file or one of the runtime's; null: a global. */
  readonly module: string | null;
  /**
   * What leads to it from there, as in "errors.NotFound"; "": the module's exports are the class.
   */
  readonly name: string;
}

/** What an encoder asks about functions and classes. */
export interface EncodeContext {
  /** The number under which the other side knows `fn`. Throws FunctionError. */
  functionId(fn: Function, path: string): number;
  /**
   * How the other side may find the class of an error, the likeliest way first; null if it cannot.
   * `maker` is null where the prototype does not name its class.
   */
  classOf(maker: Function | null, prototype: object): readonly ClassReference[] | null;
  /** A stack of this side as the other one should see it; as it is when left out. */
  stackFor?(stack: string): string;
}

/** What a decoder asks about functions and classes. */
export interface DecodeContext {
  functionOf(id: number): Function;
  /** The class, null if there is none of that name here. */
  classFor(reference: ClassReference): Function | null;
}

/** Byte ranges of this length and more travel beside the body, not in it. */
export const OUT_OF_BAND_BYTES = 64 * 1024;

export const Format = { Scalars: 0, Plain: 1, Graph: 2 } as const;

export const NO_BUFFERS: readonly Uint8Array[] = Object.freeze([]);
