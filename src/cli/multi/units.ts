/** Numbers with units on the command line, as GNU parallel reads them. */

const SECONDS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3_600, d: 86_400 };

/** ms of a text as "1.5", "90s", "1h30m"; null if it is none. */
export function milliseconds(text: string): number | null {
  if (!/^(\d+(\.\d+)?|\.\d+)[smhd]?((\d+(\.\d+)?|\.\d+)[smhd])*$/i.test(text)) return null;
  let seconds = 0;
  for (const [, number, unit] of text.matchAll(/([\d.]+)([a-z]?)/gi)) {
    seconds += Number(number) * SECONDS[unit!.toLowerCase()]!;
  }
  return seconds * 1_000;
}

/** The number before a "%"; null if the text is none. */
export function percentage(text: string): number | null {
  return /^\d+(\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) : null;
}

/** Jobs at once for `-j 0`: as many as possible, where a machine still answers. */
const AS_MANY_AS_POSSIBLE = 250;

/**
 * The number of jobs at once that `-j` asks for, where `usual` is the number without it; null if
 * the text is none.
 */
export function jobsAtOnce(text: string, usual: number): number | null {
  const percent = percentage(text);
  if (percent !== null) return Math.max(1, Math.round((usual * percent) / 100));
  if (!/^[+-]?\d+$/.test(text)) return null;
  const number = Number(text);
  if (/^[+-]/.test(text)) return Math.max(1, usual + number);
  return number === 0 ? Math.max(usual, AS_MANY_AS_POSSIBLE) : number;
}

/** A time for people: "0:07", "12:34", "3:04:05". */
export function clock(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const two = (number: number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
