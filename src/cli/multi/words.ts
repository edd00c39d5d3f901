/** The words behind the options: a command, and the sources of its arguments. */

export type SourceKind = "values" | "file";

/** `:::` or `::::` with what follows. `isLinked`: with a `+`, it goes along with the one before. */
export interface SourceWords {
  readonly kind: SourceKind;
  readonly words: readonly string[];
  readonly isLinked: boolean;
}

export interface Words {
  readonly command: readonly string[];
  readonly sources: readonly SourceWords[];
}

const SEPARATORS: Readonly<Record<string, { kind: SourceKind; isLinked: boolean }>> = {
  ":::": { kind: "values", isLinked: false },
  ":::+": { kind: "values", isLinked: true },
  "::::": { kind: "file", isLinked: false },
  "::::+": { kind: "file", isLinked: true },
};

/** Splits the words at `:::` and its kin. */
export function splitWords(words: readonly string[]): Words {
  const command: string[] = [];
  const sources: { kind: SourceKind; words: string[]; isLinked: boolean }[] = [];
  for (const word of words) {
    const separator = Object.hasOwn(SEPARATORS, word) ? SEPARATORS[word] : undefined;
    if (separator !== undefined) sources.push({ ...separator, words: [] });
    else (sources.at(-1)?.words ?? command).push(word);
  }
  return { command, sources };
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly by: number;
  /** Digits of each number at least. */
  readonly width: number;
}

/** The most numbers of one range. */
const MOST = 1e9;

/** The range in an argument as "[1-400]" or "[0-100:5]"; null if it is none. */
function rangeIn(word: string): Range | null {
  const found = /^\[(\d+)-(\d+)(?::(\d+))?\]$/.exec(word);
  if (found === null) return null;
  const [, first = "", last = "", step = "1"] = found;
  // Leading zeros give all numbers as many digits.
  const width = /^0\d/.test(first) ? first.length : 0;
  const range = { from: Number(first), to: Number(last), by: Number(step), width };
  return range.by >= 1 && countIn(range) <= MOST ? range : null;
}

function countIn({ from, to, by }: Range): number {
  return Math.floor(Math.abs(to - from) / by) + 1;
}

/** The values of an argument: the numbers of a range, or itself. */
export function* valuesOf(word: string): Generator<string> {
  const range = rangeIn(word);
  if (range === null) return void (yield word);
  const { from, to, by, width } = range;
  const step = to < from ? -by : by;
  for (let i = 0, count = countIn(range); i < count; i++) {
    yield String(from + i * step).padStart(width, "0");
  }
}

/** How many these are. */
export function countOf(word: string): number {
  const range = rangeIn(word);
  return range === null ? 1 : countIn(range);
}
