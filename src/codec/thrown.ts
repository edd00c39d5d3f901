/** What a task threw, on its way to whoever waits for it: an error, or anything else. */
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
 * Encodes whatever was thrown, and never throws itself. Where something inside cannot travel, a
 * description stands in its place; a thrown value that cannot travel becomes a ValueError.
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
    // Its own inspection threw; that it was thrown is all there is to tell.
  }
  const error = new ValueError(`${why || `Cannot send ${ROOT}`}; it was ${inspected}`);
  // Where this was found out is of no interest.
  define(error, "stack", `${error.name}: ${error.message}`, false);
  return error;
}

/**
 * What was thrown; `origin` says by which call, and where. An error has that in its `stack`,
 * between its message and the frames of over there.
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

// Written like a frame, for the console prints nothing of a stack but its frames.
function stackFrom(error: Error, origin: string): string {
  const mark = `    at --- ${origin} --- (remote)`;
  const own = (key: string): unknown => Object.getOwnPropertyDescriptor(error, key)?.value;
  const stack = own("stack");
  const message = own("message");
  if (typeof stack !== "string" || stack === "") return `${headOf(error)}\n${mark}`;
  // A message may have lines that look like frames.
  const said = typeof message === "string" ? stack.indexOf(message) : -1;
  const from = said < 0 ? 0 : said + (message as string).length;
  const frames = from + Math.max(stack.slice(from).search(/^ *at /m), -1);
  if (frames < from) return `${stack}\n${mark}`;
  // At a frame without a name the console would stop.
  const named = stack.slice(frames).replace(NAMELESS, "$1<anonymous> ($2)");
  return `${stack.slice(0, frames)}${mark}\n${named}`;
}

function headOf(error: Error): string {
  try {
    return String(error);
  } catch {
    // A getter of its class that needs what only its constructor makes.
    return "Error";
  }
}
