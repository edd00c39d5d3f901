/** Asks each host of a launch what it has: by the launcher itself, which starts a look at it in the program's place. */
import { basename } from "node:path";
import { EXAMINE_PLACE, PLACE_MARK, type PlaceQuestion } from "./place.ts";
import type { LaunchFacts, PlaceFacts } from "./report.ts";
import { run } from "./run.ts";

/** What starting and ending take, beyond the time that the hosts have. */
const SPARE_MS = 10_000;

/** How much of what a launcher said is told. */
const WORDS = 12;

/** Begins a line of a host on which Bun does not run; then follow its name and its PATH. */
const NO_BUN_MARK = "bsync-doctor-no-bun ";

/** For `sh -c`: $1 is Bun, $2 the text to run, $3 its argument, $4 the mark. */
const ASK = `"$1" -e "$2" "$3" || printf '%s%s %s\\n' "$4" "$(uname -n)" "$PATH"`;

const BUN = /^bunx?(?:\.exe)?$/;

/** Ends the ranks of one program, and begins those of the next, as in `mpirun -n 1 a : -n 4 b`. */
const NEXT = ":";

/**
 * The command with a look in the place of each program that Bun runs; null where it names none.
 *
 * @example
 * lookInPlaceOf(["mpirun", "-n", "4", "bun", "run", "job.ts"]);
 * // ["mpirun", "-n", "4", "sh", "-c", …, "bun", …]
 */
export function lookInPlaceOf(command: readonly string[]): string[] | null {
  const parts: string[][] = [[]];
  for (const word of command) {
    if (word === NEXT) parts.push([]);
    else parts.at(-1)!.push(word);
  }
  const looks = parts.map((part, i) => {
    // The first word is the launcher.
    const at = part.findIndex((word, place) => (i > 0 || place > 0) && BUN.test(basename(word)));
    if (at < 0) return null;
    const [bun = "", ...words] = part.slice(at);
    const question: PlaceQuestion = { program: programOf(words), mark: PLACE_MARK };
    const asked = [bun.replace(/bunx(?=(?:\.exe)?$)/, "bun"), EXAMINE_PLACE];
    return [
      ...part.slice(0, at),
      ...["sh", "-c", ASK, "bsync", ...asked, JSON.stringify(question), NO_BUN_MARK],
    ];
  });
  if (looks.includes(null)) return null;
  return looks.flatMap((part, i) => (i === 0 ? part! : [NEXT, ...part!]));
}

/** The file that these words have Bun run: none for a package's command, or a script of package.json. */
function programOf(words: readonly string[]): string | null {
  const name = words.find((word) => !word.startsWith("-") && word !== "run");
  return name !== undefined && /\/|\.[cm]?[jt]sx?$/.test(name) ? name : null;
}

/** Starts the look; `asked` is what `lookInPlaceOf` made of `command`. */
export async function examineLaunch(
  command: readonly string[],
  asked: string[],
  timeoutMs: number,
): Promise<LaunchFacts> {
  const { stdout, stderr, exitCode, end } = await run(asked, {
    env: process.env,
    limitMs: timeoutMs + SPARE_MS,
  });
  const hosts = new Map<string, PlaceFacts>();
  const others: string[] = [];
  for (const line of stdout.split("\n")) {
    const facts = placeIn(line);
    if (facts === null) others.push(line);
    else if (!hosts.has(facts.host)) hosts.set(facts.host, facts);
  }
  const words = `${stderr}${others.join("\n")}`.trim().split("\n").filter(Boolean);
  const said = words.length > 0 ? `:\n${words.slice(0, WORDS).join("\n")}` : "";
  const failure = exitCode === 0 && hosts.size > 0 ? null : `it ended with ${end}${said}`;
  return { command: command.join(" "), hosts: [...hosts.values()], failure };
}

/** What a line says of a host; null if it says something else. */
function placeIn(line: string): PlaceFacts | null {
  if (line.startsWith(PLACE_MARK)) {
    try {
      return JSON.parse(line.slice(PLACE_MARK.length)) as PlaceFacts;
    } catch {
      return null;
    }
  }
  if (!line.startsWith(NO_BUN_MARK)) return null;
  const [host = "", ...path] = line.slice(NO_BUN_MARK.length).split(" ");
  const nothing = { folder: null, program: null, missing: [], bsync: null, mpi: null };
  return { host, bun: { version: null, path: path.join(" ") }, ...nothing };
}
