/**
 * The sources of arguments, read no further than needed: an endless one may be the only one, or the
 * first of several.
 */
import { createReadStream } from "node:fs";
import { textOf } from "../../errors.ts";
import { FarmError } from "./errors.ts";
import { bytesOfText, textOfBytes } from "./raw-text.ts";
import { countOf, type SourceWords, valuesOf } from "./words.ts";

export interface Source {
  /** One list of arguments for each value: several where a value has columns. */
  read(): AsyncIterable<readonly string[]>;
  /** How many values it has; null if that is known only at its end. */
  readonly count: number | null;
  /** It goes along with the source before it. */
  readonly isLinked: boolean;
}

export interface ReadOptions {
  /** What ends a value in a file. */
  readonly delimiter: string;
  /** What separates the columns of a value; null: it has none. */
  readonly columns: RegExp | null;
}

/** The name of standard input. */
export const STDIN = "-";

/** The sources that the words name, one for each file. */
export function sourcesOf(words: readonly SourceWords[], options: ReadOptions): Source[] {
  return words.flatMap(({ kind, words, isLinked }): Source[] =>
    kind === "values"
      ? [listSource(words, isLinked, options)]
      : words.map((path) => fileSource(path, isLinked, options)),
  );
}

function listSource(words: readonly string[], isLinked: boolean, options: ReadOptions): Source {
  return {
    count: words.reduce((sum, word) => sum + countOf(word), 0),
    isLinked,
    async *read() {
      for (const word of words) for (const value of valuesOf(word)) yield columnsOf(value, options);
    },
  };
}

function fileSource(path: string, isLinked: boolean, options: ReadOptions): Source {
  return {
    count: null,
    isLinked,
    async *read() {
      try {
        for await (const value of piecesOf(bytesOf(path), options.delimiter)) {
          yield columnsOf(value, options);
        }
      } catch (error) {
        const name = path === STDIN ? "standard input" : `"${path}"`;
        throw new FarmError(`Cannot read ${name}: ${textOf(error)}`);
      }
    },
  };
}

/** With columns spaces around them do not count, as in GNU parallel. */
function columnsOf(value: string, { columns }: ReadOptions): readonly string[] {
  return columns === null ? [value] : value.split(columns).map((column) => column.trim());
}

function bytesOf(path: string): AsyncIterable<Uint8Array> {
  return path === STDIN ? Bun.stdin.stream() : createReadStream(path);
}

/** The pieces of a text, each ended by the delimiter; the last one may go without. */
export async function* piecesOf(
  chunks: AsyncIterable<Uint8Array>,
  delimiter: string,
): AsyncGenerator<string> {
  const end = bytesOfText(delimiter);
  let rest: Uint8Array[] = [];
  for await (const chunk of chunks) {
    // A delimiter may be torn.
    const tail = lastOf(rest, end.length - 1);
    const found = Buffer.concat([tail, chunk]).lastIndexOf(end);
    const cut = found < 0 ? 0 : found + end.length - tail.length;
    if (found >= 0) {
      const whole = Buffer.concat([...rest, chunk.subarray(0, cut)]);
      const pieces = textOfBytes(whole).split(delimiter);
      // Something is left where a delimiter begins as it ends.
      rest = [bytesOfText(pieces.pop()!)];
      yield* pieces;
    }
    // The stream may use its memory again.
    rest.push(chunk.slice(cut));
  }
  const last = Buffer.concat(rest);
  if (last.length > 0) yield textOfBytes(last);
}

/** So many bytes at the end of parts, or all of them. */
function lastOf(parts: readonly Uint8Array[], count: number): Uint8Array {
  const last: Uint8Array[] = [];
  for (let left = count, i = parts.length; left > 0 && i > 0;) {
    const part = parts[--i]!;
    last.unshift(part.subarray(Math.max(0, part.length - left)));
    left -= Math.min(left, part.length);
  }
  return Buffer.concat(last);
}

type List = readonly string[];

/** All combinations, of which the last source varies fastest; linked ones go along. */
export function combined(sources: readonly Source[], isAllLinked: boolean): AsyncIterable<List> {
  const groups: Source[][] = [];
  for (const source of sources) {
    if (source.isLinked && groups.length > 0) groups.at(-1)!.push(source);
    else groups.push([source]);
  }
  const read = groups.map((group) => () => alongside(group.map((source) => source.read())));
  return isAllLinked ? recycled(read.map((one) => one())) : product(read);
}

/** The number of combinations; null if it is not known. */
export function countCombined(sources: readonly Source[], isAllLinked: boolean): number | null {
  const counts: number[] = [];
  for (const { count, isLinked } of sources) {
    if (count === null) return null;
    if (isLinked && counts.length > 0) counts.push(Math.min(counts.pop()!, count));
    else counts.push(count);
  }
  if (!isAllLinked) return counts.reduce((all, count) => all * count, 1);
  return counts.includes(0) ? 0 : Math.max(...counts);
}

/** Values at the same places, as long as all sources have one. */
async function* alongside(sources: AsyncIterable<List>[]): AsyncGenerator<List> {
  if (sources.length === 1) return yield* sources[0]!;
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  for (;;) {
    const all: string[] = [];
    for (const iterator of iterators) {
      const next = await iterator.next();
      if (next.done === true) return;
      all.push(...next.value);
    }
    yield all;
  }
}

async function* product(groups: readonly (() => AsyncIterable<List>)[]): AsyncGenerator<List> {
  const [first, ...others] = groups;
  if (first === undefined) return;
  const lists: List[][] = [];
  for (const other of others) lists.push(await Array.fromAsync(other()));
  for await (const value of first()) yield* combinations([[value], ...lists]);
}

function* combinations(lists: readonly List[][]): Generator<List> {
  const [first, ...others] = lists;
  if (first === undefined) return void (yield []);
  for (const value of first) for (const rest of combinations(others)) yield [...value, ...rest];
}

/** Values at the same places; shorter sources begin again until the longest has ended (--link). */
async function* recycled(sources: readonly AsyncIterable<List>[]): AsyncGenerator<List> {
  const iterators = sources.map((source) => source[Symbol.asyncIterator]());
  const seen = sources.map((): List[] => []);
  const ended = new Set<number>();
  for (let at = 0; ; at++) {
    for (const [i, iterator] of iterators.entries()) {
      if (ended.has(i)) continue;
      const next = await iterator.next();
      if (next.done === true) ended.add(i);
      else seen[i]!.push(next.value);
    }
    if (ended.size === sources.length || seen.some((values) => values.length === 0)) return;
    yield seen.flatMap((values) => values[at % values.length]!);
  }
}

export interface JobOptions {
  /** How many values a job takes; null: one. With 0 it takes one, and none of its arguments. */
  readonly each: number | null;
  /** Whether values of nothing but spaces are left out (-r). */
  readonly skipsEmpty: boolean;
  readonly isShuffled: boolean;
}

/** The arguments of each job. */
export async function* argumentLists(
  lists: AsyncIterable<List>,
  { each, skipsEmpty, isShuffled }: JobOptions,
): AsyncGenerator<List> {
  const source = isShuffled ? shuffled(await Array.fromAsync(lists)) : lists;
  let values: string[] = [];
  let count = 0;
  for await (const list of source) {
    if (skipsEmpty && list.every((value) => value.trim() === "")) continue;
    if (each === 0) yield [];
    else if (each === null) yield list;
    else {
      values.push(...list);
      if (++count < each) continue;
      yield values;
      values = [];
      count = 0;
    }
  }
  if (count > 0) yield values;
}

function shuffled(lists: List[]): List[] {
  for (let i = lists.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [lists[i], lists[j]] = [lists[j]!, lists[i]!];
  }
  return lists;
}
