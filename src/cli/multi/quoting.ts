/** Quoting for POSIX shells: a value stands in a command line as one word, whatever is in it. */

const PLAIN = /^[-+./\w]+$/;

export function quoted(value: string): string {
  if (value === "") return "''";
  if (PLAIN.test(value)) return value;
  return value
    .split("'")
    .map((part) => (part === "" ? "" : `'${part}'`))
    .join(`"'"`);
}

/** Characters that mean something to a shell, beside its spaces. */
const MEANINGFUL = /[\s|&;<>()$`\\"'*?[\]#~=%!{}^\0]/;

/** Whether a shell would take a word for itself, and nothing else. */
export function isPlainWord(word: string): boolean {
  return word !== "" && !MEANINGFUL.test(word);
}
