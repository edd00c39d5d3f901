import { SourceMap } from "node:module";
import { JSON, Promise } from "../os/natives.ts";

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

const inlines = new Map<number, InlineText>();
let count = 0;
const lines = new Map<number, readonly number[]>();

/** Numbers an inline function, for the name of its source. */
export function registerInline(inline: InlineText): number {
  inlines.set(count, inline);
  return count++;
}

/** One that is called no more; what it has left behind, and fails later, is told in lines of its text. */
export function forgetInline(id: number): void {
  inlines.delete(id);
  lines.delete(id);
}

/** True if `findLines` has something left to do for this one. */
export function needsLines(id: number): boolean {
  return inlines.has(id) && !lines.has(id);
}

/** The line of the file that line `line` of an inline function stands in. */
export function lineInFile(id: number, line: number): number {
  const inline = inlines.get(id);
  if (inline === undefined) return line;
  return lines.get(id)?.[line - 1] ?? inline.line + line - 1;
}

/** Finds the lines of an inline function, for `lineInFile`. Never rejects: it may find none. */
export async function findLines(id: number): Promise<void> {
  const inline = inlines.get(id);
  if (inline === undefined) return;
  lines.set(id, []);
  try {
    const printings = await Promise.all([true, false].map((short) => print(inline.module, short)));
    const located = printings.map((printed) =>
      printed === null ? NOWHERE : locate(inline, printed),
    );
    if (!inlines.has(id)) return;
    // Of two that are as good the first: functions are printed like that as a rule.
    lines.set(id, located.reduce((a, b) => (b.found > a.found ? b : a)).lines);
  } catch {
    // Approximate lines are better than no error.
  }
}

interface Printed {
  readonly lines: readonly string[];
  /** The line of the file of a place in them; null where that is not known. */
  originOf(line: number, column: number): number | null;
}

/**
 * The module as the runtime prints it: `short` with the syntax made shorter, as in `=> x` for
 * `=> { return x; }`, which it does in some functions and not in others.
 */
async function print(module: string, short: boolean): Promise<Printed | null> {
  const { success, outputs } = await Bun.build({
    entrypoints: [module],
    sourcemap: "external",
    target: "bun",
    external: ["*"],
    // It joins a constant with the one place where it is used, too.
    minify: { syntax: short },
    throw: false,
  });
  const code = outputs.find(({ kind }) => kind === "entry-point");
  const map = outputs.find(({ kind }) => kind === "sourcemap");
  if (!success || code === undefined || map === undefined) return null;
  const sourceMap = new SourceMap(JSON.parse(await map.text()));
  return {
    lines: (await code.text()).split("\n"),
    originOf: (line, column) => {
      const entry = sourceMap.findEntry(line, column);
      return "originalLine" in entry ? entry.originalLine + 1 : null;
    },
  };
}

interface Located {
  /** How many lines of the text were found. */
  readonly found: number;
  /** The lines of the file that the text's lines stand in. */
  readonly lines: readonly number[];
}

const NOWHERE: Located = { found: 0, lines: [] };

/** Looks for the place where most of the text is; of several the one nearest to the call. */
function locate({ text, line }: InlineText, { lines, originOf }: Printed): Located {
  const whole = text.split("\n");
  const wanted = whole.map(bare);
  const found = lines.map(bare);
  const first = whole[0]!;
  let best = { score: 0, distance: Infinity, at: -1, begin: line };
  for (let at = 0; at < found.length; at++) {
    if (!found[at]!.includes(wanted[0]!)) continue;
    let score = 1;
    for (let k = 1; k < wanted.length; k++) {
      if (found[at + k] === wanted[k] || found[at + k]?.startsWith(wanted[k]!)) score++;
    }
    // Within its first line, which may begin before it.
    const column = lines[at]!.indexOf(first);
    const begin = originOf(at, column < 0 ? indent(lines[at]!) : column) ?? line;
    const distance = Math.abs(begin - line);
    if (score > best.score || (score === best.score && distance < best.distance)) {
      best = { score, distance, at, begin };
    }
  }
  if (best.at < 0) return NOWHERE;
  const origins = whole.map((_, k) => {
    if (k === 0) return best.begin;
    const at = best.at + k;
    return (lines[at] === undefined ? null : originOf(at, indent(lines[at]))) ?? line + k;
  });
  return { found: best.score, lines: origins };
}

function indent(line: string): number {
  return line.search(/\S|$/);
}

/** What the ways of printing have in common. */
function bare(line: string): string {
  return line.replace(/\bnew\b|[\s;]/g, "");
}
