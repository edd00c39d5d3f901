import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { JSON, Promise } from "../os/natives.ts";

/**
 * Where the lines of an inline function stand in its file.
 *
 * `toString` gives the text as it runs, and a worker evaluates that text: types, comments and blank
 * lines are gone, long lines are broken anew. To find a place in the file, the module is printed
 * once more, by the same printer but with a source map, and the function is looked up in the
 * result. This takes some ms, and is done only once an inline function has thrown. In a bundle,
 * which runs as it is, the text stands unchanged.
 */
export interface InlineText {
  /** The module in which it was written. */
  readonly module: string;
  readonly text: string;
  /** The module's line at which the text is assumed to begin if nothing better is found. */
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

/** The evaluated text begins with a bracket. */
const BRACKET = 1;

/** Returns a number for an inline function: the name of its source holds it. */
export function registerInline(inline: InlineText): number {
  inlines.set(count, inline);
  return count++;
}

/**
 * Forgets a function that is called no more. If code it left behind fails later, the stack shows
 * lines of its text.
 */
export function forgetInline(id: number): void {
  inlines.delete(id);
  places.delete(id);
}

/** True if `findLines` has not looked for this function yet. */
export function needsLines(id: number): boolean {
  return inlines.has(id) && !places.has(id);
}

/** The place in the file of a place in an inline function. */
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
    // Of two equally good results the first: functions are usually printed like that.
    const best = (second?.found ?? 0) > (first?.found ?? 0) ? second : first;
    if (best !== null) places.set(id, best.placeOf);
  } catch {
    // Approximate lines are better than no error.
  }
}

/** Where the module contains exactly this text, nearest to the call; null: nowhere. */
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
  /** The place in the file of a place in `lines`, counted from 0; null if not known. */
  originOf(line: number, column: number): Place | null;
}

/**
 * The module as the runtime prints it. `short`: with shorter syntax, as in `=> x` for `=> { return
 * x; }`; the runtime does this in some functions and not in others.
 */
async function print(module: string, short: boolean): Promise<Printed | null> {
  const { success, outputs } = await Bun.build({
    entrypoints: [module],
    sourcemap: "external",
    target: "bun",
    external: ["*"],
    // This also inlines a constant that is used once.
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

/** The place where most lines of the text are found, nearest to the call if there are several. */
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
    // The text may begin within its first line.
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

/** A line without the parts in which the ways of printing differ. */
function bare(line: string): string {
  return line.replace(/\bnew\b|[\s;]/g, "");
}
