/** Whether a checkpoint was made by the computation that is to go on with it. */
import { oneLine } from "../codec/short.ts";
import type { CheckpointError } from "../errors.ts";
import { JSON } from "../os/natives.ts";
import { refusal } from "./refusals.ts";

/** What a map computes. */
export interface Computation {
  readonly kind: "map" | "starmap";
  /** The function's name, for people. */
  readonly label: string;
  /** Its own text: what it calls is not in there. */
  readonly text: string;
}

/** A computation as a checkpoint keeps it. */
export interface Maker extends Computation {
  /** How items are known: by their place, or by a key. */
  readonly by: "place" | "key";
  /** The user's version as text, null without one. */
  readonly version: string | null;
  /** Bun's: it prints a function's text in its own way. */
  readonly bun: string;
}

const ANEW = "give another path, or remove the file, to begin anew";
const ACCEPT = `${ANEW}; or pass \`accept: true\` to the checkpoint if its results still hold`;

/** Letters of a line that are shown. */
const MOST_LETTERS = 80;

/** Why a file of `made` is not for `now`; null if it is. `accept` allows for what may be. */
export function difference(
  path: string,
  made: Maker,
  now: Maker,
  accept: boolean,
): CheckpointError | null {
  if (made.by !== now.by) {
    const finding = `its items are known ${words(made.by)}, and those of this map ${words(now.by)}`;
    return refusal(path, finding, ANEW);
  }
  if (accept) return null;
  if (made.kind !== now.kind) {
    const finding = `it was made by pool.${made.kind}, and this is pool.${now.kind}`;
    return refusal(path, finding, ACCEPT);
  }
  if (made.version !== now.version) {
    const finding = `it was made with ${version(made)}, and this map has ${version(now)}`;
    return refusal(path, finding, ACCEPT);
  }
  return made.text === now.text ? null : refusal(path, changed(made, now), ACCEPT);
}

function words(by: Maker["by"]): string {
  return by === "key" ? "by a key" : "by their place, without a key";
}

function version({ version }: Maker): string {
  return version === null ? "no version" : `version ${JSON.stringify(version)}`;
}

/** The first line that differs, as it was and as it is. */
function changed(made: Maker, now: Maker): string {
  const old = made.text.split("\n");
  const lines = now.text.split("\n");
  let at = 0;
  while (old[at] === lines[at]) at++;
  const name =
    made.label === now.label
      ? `the function ${shown(now.label)} has changed`
      : `it was made by the function ${shown(made.label)}, and this is ${shown(now.label)}`;
  const runtime =
    made.bun === now.bun
      ? ""
      : ` (made under Bun ${made.bun}, and this is ${now.bun}, which may print the same otherwise)`;
  return `${name}${runtime}: line ${at + 1} ${pair(old[at], lines[at])}`;
}

/** Both lines, around the letter at which they begin to differ. */
function pair(old: string | undefined, now: string | undefined): string {
  if (old === undefined) return `was not there, and is ${around(now!, 0)}`;
  if (now === undefined) return `was ${around(old, 0)}, and is not there any more`;
  let same = 0;
  while (same < old.length && old[same] === now[same]) same++;
  const from = Math.max(0, same - MOST_LETTERS / 2);
  return `was ${around(old, from)}, and is ${around(now, from)}`;
}

/** Quoted, so that blanks show. */
function around(line: string, from: number): string {
  const part = line.slice(from, from + MOST_LETTERS).toWellFormed();
  const head = from > 0 ? "…" : "";
  const tail = from + MOST_LETTERS < line.length ? "…" : "";
  return JSON.stringify(`${head}${part}${tail}`);
}

function shown(label: string): string {
  return oneLine(label).slice(0, MOST_LETTERS) || "(anonymous)";
}
