/**
 * Examines each host of a launch: the launcher itself starts the examination instead of the
 * program.
 */
import { basename } from "node:path";
import { EXAMINE_PLACE, PLACE_MARK, type PlaceQuestion } from "./place.ts";
import type { LaunchFacts, PlaceFacts } from "./report.ts";
import { lastWords, run, SPARE_MS } from "./run.ts";

/** Begins the line of a host where Bun does not run; its name and its PATH follow. */
const NO_BUN_MARK = "bsync-doctor-no-bun ";

/** For `sh -c`: $1 is Bun, $2 the text to run, $3 its argument, $4 the mark. */
const ASK =
  `"$1" --version >/dev/null 2>&1 && exec "$1" --no-install -e "$2" "$3"; ` +
  `printf '%s%s %s\\n' "$4" "$(uname -n)" "$PATH"`;

const BUN = /^bunx?(?:\.exe)?$/;

/** Separates the ranks of two programs, as in `mpirun -n 1 a : -n 4 b`. */
const NEXT = ":";

/**
 * The command with an examination instead of each program that Bun runs; null if it has none.
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

/** Bun's own commands that run neither a file nor a package's script. */
const NO_PROGRAM = new Set(["exec", "repl", "test", "x"]);

/** Bun's flags whose values are separate words. */
const WITH_VALUE =
  /^(?:--(?:cwd|env-file|preload|require|import|config|conditions|define|loader|tsconfig-override|shell|install|port|title)|-[rcdl])$/;

/** The program that these words make Bun run. */
function programOf(bun: string, words: readonly string[]): Omit<PlaceQuestion, "mark"> {
  const isPackage = basename(bun).startsWith("bunx");
  const name = words.find((word, i) => {
    const isFlag = word.startsWith("-") || WITH_VALUE.test(words[i - 1] ?? "");
    return !isFlag && (isPackage || word !== "run");
  });
  // Nothing is known of another folder than the one it is started in.
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

/** Starts the examination; `asked` is `lookInPlaceOf(command)`. */
export async function examineLaunch(
  command: readonly string[],
  asked: string[],
  timeoutMs: number,
): Promise<LaunchFacts> {
  const outcome = await run(asked, { env: process.env, limitMs: timeoutMs + SPARE_MS });
  const { stdout, stderr, exitCode } = outcome;
  // One of many equal reports is enough.
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

/** The facts of a host in a line; null if it has none. */
function placeIn(line: string): PlaceFacts | null {
  // Some launchers put a label before each line, if asked to.
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
