/** The error classes that every side knows, and the description of an error's other classes. */
import * as own from "../errors.ts";
import { append } from "./own.ts";
import { isNative } from "./refusal.ts";
import type { ClassReference } from "./types.ts";

export type ErrorClass = new (...args: never[]) => Error;

/**
 * The index in this list is the number on the wire, and in checkpoints: add new classes at the end.
 */
export const KNOWN: readonly ErrorClass[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError,
  DOMException,
  SuppressedError,
  own.BsyncError,
  own.ProcException,
  own.TimeoutError,
  own.WorkerLostError,
  own.CancelledError,
  own.PoolClosedError,
  own.QueueFullError,
  own.FunctionError,
  own.ValueError,
  own.MpiError,
  own.CheckpointError,
];
/** From this index on, errors are made as an Error: their constructors need internals of bsync. */
export const FIRST_OWN = KNOWN.indexOf(own.BsyncError);

const prototypes: readonly object[] = KNOWN.map(({ prototype }) => prototype);

/** A class of an error that is not in KNOWN. */
export interface Level {
  readonly name: string;
  /** The places that export it. */
  readonly references: readonly ClassReference[];
}

/** The classes that an error inherits from. */
export interface Lineage {
  /** Index in KNOWN of the nearest class known everywhere. */
  readonly base: number;
  /** The prototypes in front of `base`, the error's own first. */
  readonly between: readonly object[];
}

/** A longer chain comes from a hostile proxy. */
const MOST_LEVELS = 100;

/** Never throws. */
export function lineageOf(error: object): Lineage {
  const between: object[] = [];
  try {
    let next: unknown = Object.getPrototypeOf(error);
    while (typeof next === "object" && next !== null && between.length < MOST_LEVELS) {
      const base = placeOf(next);
      if (base >= 0) return { base, between };
      append(between, next);
      next = Object.getPrototypeOf(next);
    }
  } catch {
    // A proxy in the chain threw: the prototypes found so far count.
  }
  return { base: 0, between };
}

/**
 * The index in KNOWN: by identity; by name for classes of another copy of bsync or another realm.
 */
function placeOf(prototype: object): number {
  const place = prototypes.indexOf(prototype);
  if (place >= 0) return place;
  const ownName = own.ownErrorName(prototype);
  const maker = makerOf(prototype);
  const isForeign = maker !== null && isNative(maker) && !isOfThisRealm(maker);
  if (ownName === undefined && !isForeign) return -1;
  const name = ownName ?? maker?.name;
  const namesake = KNOWN.findIndex((known) => known.name === name);
  return ownName === undefined && namesake >= FIRST_OWN ? -1 : namesake;
}

function isOfThisRealm(maker: Function): boolean {
  return maker instanceof Function;
}

/** The class of a prototype: its own `constructor`. */
export function makerOf(prototype: object): Function | null {
  const maker: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof maker === "function" ? maker : null;
}
