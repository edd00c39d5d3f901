/**
 * Stacks as texts: the name and the message, which people read and may hold anything, and the
 * frames below them.
 */

/** Letters of frames, and of one of them. */
const MOST = 64 * 1024;
const MOST_IN_LINE = 4096;
/** Lines that are kept at the end of frames that are too long: how the program came there. */
const LAST_LINES = 20;

/** Where the frames begin; the length of the stack if there are none. */
export function framesAt(stack: string, message: unknown): number {
  // A message may contain lines that look like frames.
  const said = typeof message === "string" ? stack.indexOf(message) : -1;
  const frame = /^ *at /gm;
  frame.lastIndex = said < 0 ? 0 : said + (message as string).length;
  return frame.exec(stack)?.index ?? stack.length;
}

/**
 * A stack with other frames: `change` makes them of those it has. No part of it is endless, though
 * a program may set `stack`, and `Error.stackTraceLimit`.
 */
export function withFrames(
  stack: string,
  message: string,
  change: (frames: string) => string,
): string {
  const at = framesAt(stack, message);
  const head = cut(stack.slice(0, at), message.length + MOST);
  const frames = at === stack.length ? "" : change(bounded(stack.slice(at)));
  return frames === "" ? head.replace(/\n$/, "") : head + frames;
}

function bounded(frames: string): string {
  if (frames.length <= MOST_IN_LINE) return frames;
  const lines = frames.split("\n").map((line) => cut(line, MOST_IN_LINE));
  const last = lines.splice(-LAST_LINES);
  let room = MOST;
  const end = lines.findIndex((line) => (room -= line.length) < 0);
  if (end < 0) return [...lines, ...last].join("\n");
  const left = `    ... ${lines.length - end} more frames`;
  return [...lines.slice(0, end), left, ...last].join("\n");
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/**
 * The line that says where the frames below it come from. It is written like a frame, since the
 * console prints only the frames of a stack. Of a place in `node:` it shows no source, but that of
 * the next frame, and no line and column 0.
 */
export function originLine(origin: string): string {
  return `    at --- ${origin} --- (node:remote:0:0)`;
}

const ORIGIN = /^ {4}at --- .* --- \(node:remote:0:0\)$/;

/** Whether a line is made by `originLine`. */
export function isOriginLine(line: string): boolean {
  return ORIGIN.test(line);
}

/** A frame without a name, at which the console would stop. */
const NAMELESS = /^( *at (?:async )?)([^\s()][^()\n]*:\d+:\d+)$/gm;

/** A stack with an origin line above its frames. */
export function withOrigin(stack: string, message: unknown, origin: string): string {
  const at = framesAt(stack, message);
  const head = stack.slice(0, at);
  if (at === stack.length) return `${head}\n${originLine(origin)}`;
  return `${head}${originLine(origin)}\n${stack.slice(at).replace(NAMELESS, "$1<anonymous> ($2)")}`;
}
