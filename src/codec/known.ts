/** The classes of errors that every side knows, and how the other classes of an error are told. */
import * as own from "../errors.ts";
import { append } from "./own.ts";
import { isNative } from "./refusal.ts";
import type { ClassReference } from "./types.ts";

export type ErrorClass = new (...args: never[]) => Error;

/** By their place in this list; new ones go to the end. */
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
];
/** Those from here on are made as an Error: their constructors want what only bsync knows. */
export const FIRST_OWN = KNOWN.indexOf(own.BsyncError);

const prototypes: readonly object[] = KNOWN.map(({ prototype }) => prototype);

/** A class of an error that is none of those. */
export interface Level {
  readonly name: string;
  /** Where it is exported from. */
  readonly references: readonly ClassReference[];
}

/** What an error inherits from. */
export interface Lineage {
  /** Place in KNOWN of the nearest class known everywhere. */
  readonly base: number;
  /** The prototypes in front of it, the error's own first. */
  readonly between: readonly object[];
}

/** Longer chains are taken for a hostile proxy's. */
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
    // A proxy, somewhere above: what was found so far counts.
  }
  return { base: 0, between };
}

/** Of this realm, of another copy of bsync, or of another realm: there the class of that name. */
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

/** The class that a prototype belongs to: its own `constructor`. */
export function makerOf(prototype: object): Function | null {
  const maker: unknown = Object.getOwnPropertyDescriptor(prototype, "constructor")?.value;
  return typeof maker === "function" ? maker : null;
}
