import { SourceMap } from "node:module";

/**
 * Where the lines of an inline function stand in its file.
 *
 * What `toString` gives, and a worker evaluates, is the text as it runs: types, comments and blank lines
 * are gone, and long lines broken anew. To tell a line of the file, the module is printed once more, by the
 * same printer but with a source map, and the function is looked for in that. It takes some
 * ms, and is done when an inline function has thrown, not before.
 */
export interface InlineText {
  /** The module it was written in. */
  readonly module: string;
  readonly text: string;
  /** The line of the module that it is taken to begin in, where nothing better is found. */
  readonly line: number;
}

const inlines: InlineText[] = [];
const lines = new Map<number, readonly number[]>();

/** Behind a module's path, and with a number after it, in the frames of an inline function. */
export const INLINE_QUERY = "?bsync-inline-";

/** Numbers an inline function, for the name of its source. */
export function registerInline(inline: InlineText): number {
  return inlines.push(inline) - 1;
}

/** True if `findLines` has something left to do for this one. */
export function needsLines(id: number): boolean {
  return !lines.has(id);
}

/** The line of the file that line `line` of an inline function stands in. */
export function lineInFile(id: number, line: number): number {
  const inline = inlines[id];
  if (inline === undefined) return line;
  return lines.get(id)?.[line - 1] ?? inline.line + line - 1;
}

/** Finds the lines of an inline function, for `lineInFile`. Never rejects: it may find none. */
export async function findLines(id: number): Promise<void> {
  lines.set(id, []);
  const inline = inlines[id];
  if (inline === undefined) return;
  try {
    const printed = await print(inline.module);
    if (printed !== null) lines.set(id, locate(inline, printed));
  } catch {
    // Approximate lines are better than no error.
  }
}

interface Printed {
  readonly lines: readonly string[];
  /** The line of the file of each line. */
  readonly origins: readonly (number | null)[];
}

async function print(module: string): Promise<Printed | null> {
  const { success, outputs } = await Bun.build({
    entrypoints: [module],
    sourcemap: "external",
    target: "bun",
    external: ["*"],
    // As the runtime prints it: it joins a constant with the one place where it is used.
    minify: { syntax: true },
    throw: false,
  });
  const code = outputs.find(({ kind }) => kind === "entry-point");
  const map = outputs.find(({ kind }) => kind === "sourcemap");
  if (!success || code === undefined || map === undefined) return null;
  const sourceMap = new SourceMap(JSON.parse(await map.text()));
  const lines = (await code.text()).split("\n");
  const origins = lines.map((line, i) => {
    const entry = sourceMap.findEntry(i, line.search(/\S|$/));
    return "originalLine" in entry ? entry.originalLine + 1 : null;
  });
  return { lines, origins };
}

/** The lines of the file that the text's lines stand in: there, where most of them are found. */
function locate({ text, line }: InlineText, { lines, origins }: Printed): number[] {
  const wanted = text.split("\n").map(bare);
  const found = lines.map(bare);
  let best = { score: 0, distance: Infinity, at: -1 };
  for (let at = 0; at < found.length; at++) {
    if (!found[at]!.includes(wanted[0]!)) continue;
    let score = 1;
    for (let k = 1; k < wanted.length; k++) {
      if (found[at + k] === wanted[k] || found[at + k]?.startsWith(wanted[k]!)) score++;
    }
    const distance = Math.abs((origins[at] ?? Infinity) - line);
    if (score > best.score || (score === best.score && distance < best.distance)) {
      best = { score, distance, at };
    }
  }
  if (best.at < 0) return [];
  // The function begins within its first line, which may begin before it: the call's line is better.
  const first = wanted.length === 1 ? line : Math.max(line, origins[best.at] ?? line);
  return wanted.map((_, k) => (k === 0 ? first : (origins[best.at + k] ?? line + k)));
}

/** What the two ways of printing have in common. */
function bare(line: string): string {
  return line.replace(/\bnew\b|[\s;]/g, "");
}
