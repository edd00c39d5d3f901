/** Thrown values, errors or not, on their way to the caller of the task. */
import { ValueError } from "../errors.ts";
import { isError } from "./kinds.ts";
import { define } from "./own.ts";
import { Copies } from "./plain.ts";
import { encodeScalars } from "./scalars.ts";
import type { DecodeContext, EncodeContext, Encoded } from "./types.ts";
import { decodeValue } from "./value.ts";
import { GraphWriter } from "./writer.ts";

const ROOT = "what was thrown";
const MOST_INSPECTED = 2000;
const NAMELESS = /^( *at (?:async )?)([^\s()][^()\n]*:\d+:\d+)$/gm;

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
  if (typeof thrown === "object" && thrown !== null && isError(thrown))
    define(thrown as Error, "stack", stackFrom(thrown as Error, origin()), false);
  return thrown;
}

// Written like a frame: the console prints only the frames of a stack.
function stackFrom(error: Error, origin: string): string {
  const mark = `    at --- ${origin} --- (remote)`;
  const own = (key: string): unknown => Object.getOwnPropertyDescriptor(error, key)?.value;
  const stack = own("stack");
  const message = own("message");
  if (typeof stack !== "string" || stack === "") return `${headOf(error)}\n${mark}`;
  // A message may contain lines that look like frames.
  const said = typeof message === "string" ? stack.indexOf(message) : -1;
  const from = said < 0 ? 0 : said + (message as string).length;
  const frames = from + Math.max(stack.slice(from).search(/^ *at /m), -1);
  if (frames < from) return `${stack}\n${mark}`;
  // The console would stop at a frame without a name.
  const named = stack.slice(frames).replace(NAMELESS, "$1<anonymous> ($2)");
  return `${stack.slice(0, frames)}${mark}\n${named}`;
}

function headOf(error: Error): string {
  try {
    return String(error);
  } catch {
    // A getter of its class threw: it needs state that only the constructor makes.
    return "Error";
  }
}
