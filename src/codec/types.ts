/** Shared by both directions of the codec: the encoded form, and the questions to its user. */

/**
 * A value as bytes. `body` may lie in memory that the next call of an encoder overwrites: copy it
 * first. `buffers` are views on the sender's own memory, sent beside the body as they are.
 */
export interface Encoded {
  /** 0: scalars; 1: a plain tree; 2: a graph; 3 and 4: lists (`lists.ts`). */
  readonly format: number;
  readonly body: Uint8Array;
  readonly buffers: readonly Uint8Array[];
  /**
   * For messages: the path of each buffer in the value; "" for the encoder's own. Left out without
   * buffers.
   */
  readonly paths?: readonly string[];
}

/** Names a class that both sides may know. */
export interface ClassReference {
  /** The module that exports it, a file or a module of the runtime; null: a global. */
  readonly module: string | null;
  /** The path to it from there, as "errors.NotFound"; "": the module's exports are the class. */
  readonly name: string;
}

/** An encoder's questions about functions and classes. */
export interface EncodeContext {
  /** The number under which the other side knows `fn`. Throws FunctionError. */
  functionId(fn: Function, path: string): number;
  /**
   * How the other side may find an error's class, the likeliest way first; null if it cannot.
   * `maker` is null if the prototype does not name its class.
   */
  classOf(maker: Function | null, prototype: object): readonly ClassReference[] | null;
  /**
   * The number under which the other side knows an object that does not travel itself; null for any
   * other. It is asked of objects that are bound to their process (`bindToProcess`).
   */
  sharedId?(value: object): number | null;
  /** The frames of a stack as the other side shall see them; unchanged if left out. */
  framesFor?(frames: string): string;
}

/** A decoder's questions about functions and classes. */
export interface DecodeContext {
  functionOf(id: number): Function;
  /** The object of a `sharedId`. */
  sharedOf?(id: number): object;
  /** The class; null if it is not here. */
  classFor(reference: ClassReference): Function | null;
}

/**
 * A method of an object that does not travel itself: a number that differs where the content does.
 */
export const DIGEST: unique symbol = Symbol("bsync.digest");

/** Byte ranges of this length and more travel beside the body, not in it. */
export const OUT_OF_BAND_BYTES = 64 * 1024;

export const Format = { Scalars: 0, Plain: 1, Graph: 2, Ints: 3, Doubles: 4 } as const;

export const NO_BUFFERS: readonly Uint8Array[] = Object.freeze([]);
