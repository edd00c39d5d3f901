/**
 * Asks each host of a launch what it has: by the launcher itself, which starts a look at it in the
 * program's place.
 */
import { basename } from "node:path";
import { EXAMINE_PLACE, PLACE_MARK, type PlaceQuestion } from "./place.ts";
import type { LaunchFacts, PlaceFacts } from "./report.ts";
import { lastWords, run, SPARE_MS } from "./run.ts";

/** Begins a line of a host on which Bun does not run; then follow its name and its PATH. */
const NO_BUN_MARK = "bsync-doctor-no-bun ";

/** For `sh -c`: $1 is Bun, $2 the text to run, $3 its argument, $4 the mark. */
const ASK =
  `"$1" --version >/dev/null 2>&1 && exec "$1" --no-install -e "$2" "$3"; ` +
  `printf '%s%s %s\\n' "$4" "$(uname -n)" "$PATH"`;

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
    const question: PlaceQuestion = { ...programOf(bun, words), mark: PLACE_MARK };
    const asked = [bun.replace(/bunx(?=(?:\.exe)?$)/, "bun"), EXAMINE_PLACE];
    return [
      ...part.slice(0, at),
      ...["sh", "-c", ASK, "bsync", ...asked, JSON.stringify(question), NO_BUN_MARK],
    ];
  });
  if (looks.includes(null)) return null;
  return looks.flatMap((part, i) => (i === 0 ? part! : [NEXT, ...part!]));
}

/** Commands of Bun's own, which run neither a file nor a script of a package's. */
const NO_PROGRAM = new Set(["exec", "repl", "test", "x"]);

/** Flags of Bun's whose values are words of their own. */
const WITH_VALUE =
  /^(?:--(?:cwd|env-file|preload|require|import|config|conditions|define|loader|tsconfig-override|shell|install|port|title)|-[rcdl])$/;

/** What these words have Bun run. */
function programOf(bun: string, words: readonly string[]): Omit<PlaceQuestion, "mark"> {
  const isPackage = basename(bun).startsWith("bunx");
  const name = words.find((word, i) => {
    const isFlag = word.startsWith("-") || WITH_VALUE.test(words[i - 1] ?? "");
    return !isFlag && (isPackage || word !== "run");
  });
  // Of another folder than the one that it is started in nothing is known.
  if (
    name === undefined ||
    words.some((word) => /^--cwd\b/.test(word)) ||
    (!isPackage && NO_PROGRAM.has(name))
  ) {
    return { program: null, kind: "file" };
  }
  if (isPackage) return { program: name, kind: "command" };
  return { program: name, kind: /\/|\.[cm]?[jt]sx?$/.test(name) ? "file" : "script" };
}

/** Starts the look; `asked` is what `lookInPlaceOf` made of `command`. */
export async function examineLaunch(
  command: readonly string[],
  asked: string[],
  timeoutMs: number,
): Promise<LaunchFacts> {
  const outcome = await run(asked, { env: process.env, limitMs: timeoutMs + SPARE_MS });
  const { stdout, stderr, exitCode } = outcome;
  // Of many ranks that say the same one is enough.
  const places = new Map<string, PlaceFacts>();
  const others: string[] = [];
  for (const line of stdout.split("\n")) {
    const facts = placeIn(line);
    if (facts === null) others.push(line);
    else places.set(`${facts.host} ${facts.program?.path}`, facts);
  }
  const isWell = exitCode === 0 && places.size > 0;
  const failure = isWell ? null : lastWords(outcome, `${stderr}${others.join("\n")}`);
  const byHost = (a: PlaceFacts, b: PlaceFacts) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0);
  return { command: command.join(" "), hosts: [...places.values()].sort(byHost), failure };
}

/** What a line says of a host; null if it says something else. */
function placeIn(line: string): PlaceFacts | null {
  // Some launchers put a label before it, if they are told to.
  const told = line.indexOf(PLACE_MARK);
  if (told >= 0) {
    try {
      return JSON.parse(line.slice(told + PLACE_MARK.length)) as PlaceFacts;
    } catch {
      return null;
    }
  }
  const missing = line.indexOf(NO_BUN_MARK);
  if (missing < 0) return null;
  const [host = "", ...path] = line.slice(missing + NO_BUN_MARK.length).split(" ");
  const nothing = { folder: null, program: null, missing: [], bsync: null, mpi: null };
  return { host, bun: { version: null, path: path.join(" ") }, ...nothing };
}
