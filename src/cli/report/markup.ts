/** Texts in HTML and SVG: what a trace says is text, never markup. */

const ESCAPED: Readonly<Record<string, string>> = {
  ...{ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" },
};

/** Letters of a name. */
const MOST_LETTERS = 80;

export function escaped(text: string): string {
  // Control characters are none of HTML's; half a surrogate pair is no letter.
  const shown = text.replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "�").toWellFormed();
  return shown.replaceAll(/[&<>"']/g, (letter) => ESCAPED[letter]!);
}

/** Escaped, and shortened to a line. */
export function short(text: string, letters = MOST_LETTERS): string {
  if (text.length <= letters) return escaped(text);
  // No half of a pair stays behind.
  return escaped(`${text.slice(0, letters - 1).replace(/[\ud800-\udbff]$/, "")}…`);
}

/** A number of an SVG, in as few letters as do. */
export function at(x: number): string {
  return String(Math.round(x * 10) / 10);
}
