/** What a task threw, on its way to whoever waits for it: an error, or anything else. */
import types from "node:util/types";
import { ValueError } from "../errors.ts";
import { define } from "./failures.ts";
import { encodeScalars } from "./scalars.ts";
import type { DecodeContext, EncodeContext, Encoded } from "./types.ts";
import { decodeValue } from "./value.ts";
import { GraphWriter } from "./writer.ts";

const ROOT = "what was thrown";
const MOST_INSPECTED = 2000;

/**
 * Encodes whatever was thrown, and never throws itself. Where something inside cannot travel, a
 * description stands in its place; a thrown value that cannot travel becomes a ValueError.
 *
 * @example
 * const encoded = encodeThrown(error, context);
 */
export function encodeThrown(thrown: unknown, context: EncodeContext): Encoded {
  try {
    return encodeScalars(thrown, false) ?? graphOf(thrown, context);
  } catch (problem) {
    return new GraphWriter(ROOT, context, new Map(), true).write(unsendable(thrown, problem));
  }
}

function graphOf(thrown: unknown, context: EncodeContext): Encoded {
  const kind = typeof thrown;
  if (kind === "symbol" || kind === "function" || (kind === "object" && !isErrorLike(thrown))) {
    // Not lenient: of these a part alone would be no use.
    return new GraphWriter(ROOT, context, new Map(), false).write(thrown);
  }
  return new GraphWriter(ROOT, context, new Map(), true).write(thrown);
}

function isErrorLike(value: unknown): boolean {
  return types.isNativeError(value) || value instanceof Error;
}

function unsendable(thrown: unknown, problem: unknown): ValueError {
  let inspected = "something that cannot be shown";
  let why = "";
  try {
    inspected = Bun.inspect(thrown).slice(0, MOST_INSPECTED);
    if (problem instanceof Error) why = problem.message;
  } catch {
    // Its own inspection threw; that it was thrown is all there is to tell.
  }
  return new ValueError(`${why || `Cannot send ${ROOT}`}; it was ${inspected}`);
}

/**
 * What was thrown, `origin` saying where: `worker 2 (rank 3, pid 4711, host node7)`. An error has
 * it in its `stack`, between its message and the frames of over there.
 *
 * @example
 * throw decodeThrown(encoded, context, "worker 2 (rank 3, pid 4711, host node7)");
 */
export function decodeThrown(encoded: Encoded, context: DecodeContext, origin: string): unknown {
  const thrown = decodeValue(encoded, context);
  if (isErrorLike(thrown))
    define(thrown as Error, "stack", stackFrom(thrown as Error, origin), false);
  return thrown;
}

// Written like a frame, for the console prints nothing of a stack but its frames.
function stackFrom(error: Error, origin: string): string {
  const own = Object.getOwnPropertyDescriptor(error, "stack")?.value as unknown;
  const stack = typeof own === "string" ? own : "";
  const mark = `    at --- on ${origin} ---`;
  const frames = /^ +at .*(?:\n +at .*)*\s*$/m.exec(stack);
  if (frames === null) return `${stack}\n${mark}`;
  return `${stack.slice(0, frames.index)}${mark}\n${frames[0]}`;
}
