/**
 * A program's text with everything blanked that is no code: comments, strings, regular expressions,
 * and templates outside of their substitutions. Quotes stay, and so does every position. It is no
 * parser: it lets words be looked up without finding them in strings.
 */
export function codeOf(text: string): string {
  const parts: string[] = [];
  /** The end of the text written so far. */
  let last = "";
  let at = 0;
  /** For each open template: how many braces are open in its substitution. */
  const templates: number[] = [];
  const write = (part: string, end: number) => {
    parts.push(part);
    last = part.length < LAST_LETTERS ? (last + part).slice(-LAST_LETTERS) : part;
    at = end;
  };
  const blank = (end: number) => write(text.slice(at, end).replace(/[^\n]/g, " "), end);
  const keep = (end: number) => write(text.slice(at, end), end);
  while (at < text.length) {
    const char = text[at]!;
    if (text.startsWith("//", at)) blank(endOf(text, "\n", at));
    else if (text.startsWith("/*", at)) blank(Math.min(text.length, endOf(text, "*/", at + 2) + 2));
    else if (char === '"' || char === "'") {
      keep(at + 1);
      blank(endOfString(text, at, char));
      keep(at + 1);
    } else if (char === "`" || (char === "}" && templates.at(-1) === 0)) {
      if (char === "}") templates.pop();
      keep(at + 1);
      blank(endOfTemplate(text, at));
      if (text.startsWith("${", at)) templates.push(0);
      keep(text.startsWith("${", at) ? at + 2 : at + 1);
    } else if (char === "/" && startsRegExp(last)) {
      keep(at + 1);
      blank(endOfRegExp(text, at));
    } else {
      if (templates.length > 0 && char === "{") templates[templates.length - 1]!++;
      if (templates.length > 0 && char === "}") templates[templates.length - 1]!--;
      PLAIN.lastIndex = at + 1;
      keep(at + 1 + PLAIN.exec(text)![0].length);
    }
  }
  return parts.join("");
}

/** Text in which nothing that is blanked begins or ends. */
const PLAIN = /[^"'`/{}]*/y;
/** Enough to tell what a slash stands behind. */
const LAST_LETTERS = 64;

function endOf(text: string, what: string, from: number): number {
  const end = text.indexOf(what, from);
  return end < 0 ? text.length : end;
}

/** The position of the closing quote; a string that is not closed on its line ends there. */
function endOfString(text: string, from: number, quote: string): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === quote || text[i] === "\n") return i;
  }
  return text.length;
}

/** The position of the closing backtick, or of the next substitution. */
function endOfTemplate(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "`" || text.startsWith("${", i)) return i;
  }
  return text.length;
}

function endOfRegExp(text: string, from: number): number {
  let inClass = false;
  for (let i = from; i < text.length; i++) {
    const char = text[i];
    if (char === "\\") i++;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if ((char === "/" && !inClass) || char === "\n") return i + 1;
  }
  return text.length;
}

/** Whether a slash after this code begins a regular expression: after a value it divides. */
function startsRegExp(code: string): boolean {
  const before = code.slice(-LAST_LETTERS).trimEnd();
  if (/\b(return|typeof|case|in|of|do|else|void|delete|await|yield)$/.test(before)) return true;
  return before === "" || !/[\w$)\]}"'`]$/.test(before);
}
