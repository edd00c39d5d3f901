/** Replacement strings: how a command is made of a template and the arguments of a job. */
import { isPlainWord, quoted } from "./quoting.ts";

/** How a value is cut: "." without its extension, "/" without its folder, "//" its folder. */
type Cut = "" | "." | "/" | "//" | "/.";

type Part =
  | { readonly kind: "text"; readonly text: string }
  /** `position` from 1, or from the end where it is negative; null: all arguments. */
  | { readonly kind: "value"; readonly position: number | null; readonly cut: Cut }
  | { readonly kind: "sequence" }
  | { readonly kind: "slot" };

/** What a command is made of, beside its template. */
export interface Arguments {
  /** From 1. */
  readonly sequence: number;
  /** Of the jobs that run at once, from 1. */
  readonly slot: number;
  readonly values: readonly string[];
}

const REPLACEMENT = /\{(-?\d+)?(\.|\/\/|\/\.|\/)?\}|\{([#%])\}/g;

/** The parts of a text; `standIn` is what stands for `{}` (-I). */
export function partsOf(text: string, standIn = "{}"): Part[] {
  if (standIn !== "{}") {
    const pieces = text.split(standIn).map((piece) => partsWithout(piece));
    const all: Part = { kind: "value", position: null, cut: "" };
    return pieces.flatMap((parts, i) => (i === 0 ? parts : [all, ...parts]));
  }
  return partsIn(text, () => true);
}

function partsWithout(text: string): Part[] {
  return partsIn(text, (found) => found !== "{}");
}

function partsIn(text: string, isOne: (found: string) => boolean): Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const found of text.matchAll(REPLACEMENT)) {
    const [whole, position, cut = "", other] = found;
    if (!isOne(whole) || Number(position) === 0) continue;
    if (found.index > end) parts.push({ kind: "text", text: text.slice(end, found.index) });
    end = found.index + whole.length;
    if (other !== undefined) parts.push({ kind: other === "#" ? "sequence" : "slot" });
    else {
      const at = position === undefined ? null : Number(position);
      parts.push({ kind: "value", position: at, cut: cut as Cut });
    }
  }
  if (end < text.length) parts.push({ kind: "text", text: text.slice(end) });
  return parts;
}

/** A value, cut as a replacement string says. */
export function cutValue(value: string, cut: Cut): string {
  if (cut === "") return value;
  if (cut === "//") return folderOf(value);
  const base = cut === "." ? value : value.slice(value.lastIndexOf("/") + 1);
  if (cut === "/") return base;
  const dot = base.lastIndexOf(".");
  return dot < 0 || base.indexOf("/", dot) >= 0 ? base : base.slice(0, dot);
}

/** The folder that a name is in. */
export function folderOf(value: string): string {
  const bare = value.replace(/(?<=[^/])\/+$/, "");
  const at = bare.lastIndexOf("/");
  if (at < 0) return ".";
  return bare.slice(0, at).replace(/\/+$/, "") || "/";
}

/** The values of a part, of which there are several only for all arguments. */
function valuesOf(part: Part, { sequence, slot, values }: Arguments): string[] {
  if (part.kind === "text") return [part.text];
  if (part.kind === "sequence") return [String(sequence)];
  if (part.kind === "slot") return [String(slot)];
  const { position, cut } = part;
  if (position === null) return values.map((value) => cutValue(value, cut));
  const found = values.at(position > 0 ? position - 1 : position);
  return found === undefined ? [] : [cutValue(found, cut)];
}

export interface TemplateOptions {
  /** What stands for `{}`. */
  readonly standIn?: string;
  /** Whether the command's own words are quoted (-q). */
  readonly isQuoted?: boolean;
  /** Whether arguments are put behind a command that names none. */
  readonly appends?: boolean;
}

/** A command with replacement strings. */
export class Template {
  /** The parts of the command line for a shell. */
  readonly #line: readonly Part[];
  /**
   * As in GNU parallel: where an argument is, or is part of, the first word, arguments are commands
   * for the shell to read, and not quoted.
   */
  readonly #isCommand: boolean;
  /** The parts of each word if no shell is needed, else null. */
  readonly #words: readonly (readonly Part[])[] | null;

  /** Whether the command depends on where the job runs. */
  readonly namesSlot: boolean;

  constructor(words: readonly string[], options: TemplateOptions = {}) {
    const { standIn = "{}", isQuoted = false, appends = true } = options;
    const parsed = words.map((word) => partsOf(word, standIn));
    if (appends && !parsed.flat().some(({ kind }) => kind !== "text")) {
      parsed.push([{ kind: "value", position: null, cut: "" }]);
    }
    this.namesSlot = parsed.flat().some(({ kind }) => kind === "slot");
    const isText = (part: Part) => part.kind === "text";
    const texts = parsed.flat().filter(isText);
    const isPlain = texts.every((part) => isText(part) && isPlainWord(part.text));
    // A program that is named by an argument is looked for by a shell.
    const isNamed = parsed[0]?.every(isText) ?? false;
    this.#words = (isQuoted || isPlain) && isNamed && !parsed.some(isEmpty) ? parsed : null;
    this.#line = lineOf(isQuoted ? parsed.map(quotedParts) : parsed);
    const space = this.#line.findIndex((part) => isText(part) && /\s/.test(part.text));
    const first = space < 0 ? this.#line : this.#line.slice(0, space);
    this.#isCommand = !isQuoted && first.some(({ kind }) => kind === "value");
  }

  /** The command line for a shell. */
  line(job: Arguments): string {
    return this.#line
      .map((part) => {
        const values = valuesOf(part, job);
        const isWord = part.kind === "value" && !this.#isCommand;
        return (isWord ? values.map(quoted) : values).join(" ");
      })
      .join("");
  }

  /** The words of the command if it can be started without a shell, else null. */
  words(job: Arguments): string[] | null {
    return this.#words?.flatMap((word) => wordsOf(word, job)) ?? null;
  }
}

function isEmpty(word: readonly Part[]): boolean {
  return word.length === 0;
}

function quotedParts(word: readonly Part[]): Part[] {
  if (word.length === 0) return [{ kind: "text", text: "''" }];
  return word.map((part) =>
    part.kind === "text" ? { kind: "text", text: quoted(part.text) } : part,
  );
}

/** The words with spaces between them. */
function lineOf(words: readonly (readonly Part[])[]): Part[] {
  return words.flatMap((word, i): Part[] =>
    i === 0 ? [...word] : [{ kind: "text", text: " " }, ...word],
  );
}

/** What a shell would make of one word: one for each argument where `{}` stands for several. */
function wordsOf(word: readonly Part[], job: Arguments): string[] {
  let words = [""];
  let isThere = false;
  for (const part of word) {
    const values = valuesOf(part, job);
    if (values.length > 0) isThere = true;
    const [first = "", ...others] = values;
    words = [...words.slice(0, -1), words.at(-1)! + first, ...others];
  }
  return isThere ? words : [];
}

/** A text with replacement strings that no shell sees: a tag, a folder. */
export class TextTemplate {
  readonly #parts: readonly Part[];
  /** Whether it names anything of a job. */
  readonly isVaried: boolean;

  constructor(text: string) {
    this.#parts = partsOf(text);
    this.isVaried = this.#parts.some(({ kind }) => kind !== "text");
  }

  text(job: Arguments): string {
    return this.#parts.map((part) => valuesOf(part, job).join(" ")).join("");
  }
}
