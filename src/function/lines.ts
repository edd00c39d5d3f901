import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { JSON, Promise } from "../os/natives.ts";

/**
 * Where the lines of an inline function stand in its file.
 *
 * What `toString` gives, and a worker evaluates, is the text as it runs: types, comments and blank
 * lines are gone, and long lines broken anew. To tell a place in the file, the module is printed
 * once more, by the same printer but with a source map, and the function is looked for in that. It
 * takes some ms, and is done when an inline function has thrown, not before. In a bundle, which
 * runs as it is, the text stands as it is.
 */
export interface InlineText {
  /** The module it was written in. */
  readonly module: string;
  readonly text: string;
  /** The line of the module that it is taken to begin in, where nothing better is found. */
  readonly line: number;
}

/** Lines and columns count from 1, as in stacks. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

type PlaceOf = (place: Place) => Place;

const inlines = new Map<number, InlineText>();
let count = 0;
const places = new Map<number, PlaceOf>();

/** What is evaluated begins with a bracket. */
const BRACKET = 1;

/** Numbers an inline function, for the name of its source. */
export function registerInline(inline: InlineText): number {
  inlines.set(count, inline);
  return count++;
}

/**
 * One that is called no more; what it has left behind, and fails later, is told in lines of its
 * text.
 */
export function forgetInline(id: number): void {
  inlines.delete(id);
  places.delete(id);
}

/** True if `findLines` has something left to do for this one. */
export function needsLines(id: number): boolean {
  return inlines.has(id) && !places.has(id);
}

/** Where in the file a place of an inline function is. */
export function placeInFile(id: number, place: Place): Place {
  const inline = inlines.get(id);
  if (inline === undefined) return place;
  return (places.get(id) ?? near(inline))(place);
}

/** As if the text stood where it was called. */
function near({ line }: InlineText): PlaceOf {
  return (place) => ({ line: line + place.line - 1, column: place.column });
}

/** Finds the places of an inline function, for `placeInFile`. Never rejects: it may find none. */
export async function findLines(id: number): Promise<void> {
  const inline = inlines.get(id);
  if (inline === undefined) return;
  places.set(id, near(inline));
  try {
    const verbatim = locateVerbatim(inline);
    if (verbatim !== null) return void places.set(id, verbatim);
    const printings = await Promise.all([true, false].map((short) => print(inline.module, short)));
    const located = printings.map((printed) => (printed === null ? null : locate(inline, printed)));
    if (!inlines.has(id)) return;
    const [first = null, second = null] = located;
    // Of two that are as good the first: functions are printed like that as a rule.
    const best = (second?.found ?? 0) > (first?.found ?? 0) ? second : first;
    if (best !== null) places.set(id, best.placeOf);
  } catch {
    // Approximate lines are better than no error.
  }
}

/**
 * Where the module has the very text; of several places the one nearest to the call. Null:
 * nowhere.
 */
function locateVerbatim({ module, text, line }: InlineText): PlaceOf | null {
  const whole = readFileSync(module, "utf8");
  let best: Place | null = null;
  for (let at = whole.indexOf(text); at >= 0; at = whole.indexOf(text, at + 1)) {
    const before = whole.slice(0, at).split("\n");
    const begin = { line: before.length, column: before.at(-1)!.length };
    if (best === null || Math.abs(begin.line - line) < Math.abs(best.line - line)) best = begin;
  }
  if (best === null) return null;
  const begin = best;
  return (place) => ({
    line: begin.line + place.line - 1,
    column: place.line === 1 ? place.column - BRACKET + begin.column : place.column,
  });
}

interface Printed {
  readonly lines: readonly string[];
  /**
   * Where in the file a place in them is, which is counted from 0; null where that is not known.
   */
  originOf(line: number, column: number): Place | null;
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
      if (!("originalLine" in entry)) return null;
      return { line: entry.originalLine + 1, column: entry.originalColumn + 1 };
    },
  };
}

interface Located {
  /** How many lines of the text were found. */
  readonly found: number;
  readonly placeOf: PlaceOf;
}

/** Looks for the place where most of the text is; of several the one nearest to the call. */
function locate({ text, line }: InlineText, { lines, originOf }: Printed): Located | null {
  const whole = text.split("\n");
  const wanted = whole.map(bare);
  const found = lines.map(bare);
  const first = whole[0]!;
  let best = { score: 0, distance: Infinity, at: -1, begin: line, column: 0 };
  for (let at = 0; at < found.length; at++) {
    if (!found[at]!.includes(wanted[0]!)) continue;
    let score = 1;
    for (let k = 1; k < wanted.length; k++) {
      if (found[at + k] === wanted[k] || found[at + k]?.startsWith(wanted[k]!)) score++;
    }
    // Within its first line, which may begin before it.
    const standing = lines[at]!.indexOf(first);
    const column = standing < 0 ? indent(lines[at]!) : standing;
    const begin = originOf(at, column)?.line ?? line;
    const distance = Math.abs(begin - line);
    if (score > best.score || (score === best.score && distance < best.distance)) {
      best = { score, distance, at, begin, column };
    }
  }
  if (best.at < 0) return null;
  const placeOf = (place: Place): Place => {
    const k = place.line - 1;
    const at = best.at + k;
    if (lines[at] === undefined || whole[k] === undefined) {
      return { line: line + k, column: place.column };
    }
    const moved = k === 0 ? best.column - BRACKET : indent(lines[at]) - indent(whole[k]);
    const exact = originOf(at, Math.max(0, place.column - 1 + moved));
    if (exact !== null) return exact;
    return { line: k === 0 ? best.begin : line + k, column: place.column };
  };
  return { found: best.score, placeOf };
}

function indent(line: string): number {
  return line.search(/\S|$/);
}

/** What the ways of printing have in common. */
function bare(line: string): string {
  return line.replace(/\bnew\b|[\s;]/g, "");
}
