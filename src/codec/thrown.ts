/** Thrown values, errors or not, on their way to the caller of the task. */
import { ValueError } from "../errors.ts";
import { isError } from "./kinds.ts";
import { define } from "./own.ts";
import { Copies } from "./plain.ts";
import { encodeScalars } from "./scalars.ts";
import { withOrigin } from "./stacks.ts";
import type { DecodeContext, EncodeContext, Encoded } from "./types.ts";
import { decodeValue } from "./value.ts";
import { GraphWriter } from "./writer.ts";

const ROOT = "what was thrown";
const MOST_INSPECTED = 2000;

/**
 * Encodes any thrown value, and never throws. A part of it that cannot travel is replaced by a
 * description; a thrown value that cannot travel becomes a ValueError.
 *
 * @example
 * const encoded = encodeThrown(error, context);
 */
export function encodeThrown(thrown: unknown, context: EncodeContext): Encoded {
  try {
    return encodeScalars(thrown, false) ?? lenient(thrown, context);
  } catch (problem) {
    return lenient(unsendable(thrown, problem), context);
  }
}

function lenient(value: unknown, context: EncodeContext): Encoded {
  return new GraphWriter(ROOT, context, new Copies(), true).write(value);
}

function unsendable(thrown: unknown, problem: unknown): ValueError {
  let inspected = "something that cannot be shown";
  let why = "";
  try {
    inspected = Bun.inspect(thrown).slice(0, MOST_INSPECTED);
    if (problem instanceof Error) why = problem.message;
  } catch {
    // Its own inspection threw: nothing more can be said.
  }
  const error = new ValueError(`${why || `Cannot send ${ROOT}`}; it was ${inspected}`);
  // The frames of this process are of no interest.
  define(error, "stack", `${error.name}: ${error.message}`, false);
  return error;
}

/**
 * The thrown value; `origin` says by which call, and where. An error has that in its `stack`,
 * between its message and the worker's frames.
 *
 * @example
 * const origin = () => `task 17: render("a.png", 320) on worker 2 (rank 3, pid 4711, host node7)`;
 * throw decodeThrown(encoded, context, origin);
 */
export function decodeThrown(
  encoded: Encoded,
  context: DecodeContext,
  origin: () => string,
): unknown {
  const thrown = decodeValue(encoded, context);
  if (isAnError(thrown)) addOrigin(thrown, origin());
  return thrown;
}

/** Puts the origin into an error's stack. */
export function addOrigin(error: Error, origin: string): void {
  for (const each of shownFor(error)) define(each, "stack", stackOf(each, origin), false);
}

/** An error and, of an AggregateError, its errors: the console shows them in its place. */
function shownFor(error: Error): ReadonlySet<Error> {
  const found = new Set([error]);
  for (const each of found) {
    const errors = each instanceof AggregateError ? own(each, "errors") : null;
    if (Array.isArray(errors)) errors.filter(isAnError).forEach((inner) => found.add(inner));
  }
  return found;
}

function isAnError(value: unknown): value is Error {
  return typeof value === "object" && value !== null && isError(value);
}

function own(error: Error, key: string): unknown {
  return Object.getOwnPropertyDescriptor(error, key)?.value;
}

function stackOf(error: Error, origin: string): string {
  const stack = own(error, "stack");
  if (typeof stack === "string" && stack !== "") {
    return withOrigin(stack, own(error, "message"), origin);
  }
  const head = headOf(error);
  return withOrigin(head, head, origin);
}

function headOf(error: Error): string {
  try {
    return String(error);
  } catch {
    // A getter of its class threw: it needs state that only the constructor makes.
    return "Error";
  }
}
