/** How wide texts are in the picture's font, so that they can be broken into lines. */

/** Hundredths of the size: of the letters from the space to the tilde. */
const WIDTHS = [
  ...[
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
  ],
  ...[
    64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
  ],
  ...[
    60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
  ],
  ...[63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84],
];

/** Of other letters: those of Latin, Greek and Cyrillic, and wider ones. */
const OTHER = 66;
const WIDE = 105;

/** From here on scripts are written in squares. */
const SQUARES = 0x1100;

/** px. */
export function widthOf(text: string, size: number): number {
  let sum = 0;
  for (const letter of text) {
    const code = letter.codePointAt(0)!;
    sum += WIDTHS[code - 32] ?? (code < SQUARES ? OTHER : WIDE);
  }
  return (sum * size) / 100;
}

/** `text` in lines of at most so many px; a word that is longer is cut. */
export function linesOf(text: string, most: number, size: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((word) => piecesOf(word, most, size))) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (widthOf(longer, size) <= most) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

function piecesOf(word: string, most: number, size: number): string[] {
  const pieces: string[] = [""];
  for (const letter of word) {
    const longer = pieces.at(-1)! + letter;
    if (widthOf(longer, size) <= most) pieces[pieces.length - 1] = longer;
    else pieces.push(letter);
  }
  return pieces;
}
