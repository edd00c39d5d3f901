/** Which program runs a job: the one that its command names, or a shell. */
import { basename } from "node:path";
import { quoted } from "./quoting.ts";
import { evenLine, isOdd } from "./raw-text.ts";

/** Shells that quote as POSIX says; others read the commands of the default shell. */
const POSIX_SHELLS = new Set(["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash"]);

/** Words that a shell takes for more than a program, even where a program of that name exists. */
const OF_SHELLS = new Set(
  (
    ". : ! [[ alias bg break builtin caller case cd command continue coproc declare dirs disown " +
    "do done elif else enable esac eval exec exit export fc fg fi for function getopts hash help " +
    "history if in jobs kill let local logout mapfile popd pushd pwd read readarray readonly " +
    "return select set shift shopt source suspend then time times trap type typeset ulimit umask " +
    "unalias unset until wait while { }"
  ).split(" "),
);

type Environment = Readonly<Record<string, string>>;

/** The shell for commands: PARALLEL_SHELL, SHELL, or sh. */
export function shellOf(env: Environment): string {
  if (env.PARALLEL_SHELL) return env.PARALLEL_SHELL;
  return env.SHELL && POSIX_SHELLS.has(basename(env.SHELL)) ? env.SHELL : "/bin/sh";
}

/** Programs that were found, by name. */
const paths = new Map<string, string>();
const MOST_NAMES = 256;

/** The command line that starts a job. */
export function programFor(
  job: { readonly line: string; readonly words: readonly string[] | null; readonly folder: string },
  env: Environment,
): string[] {
  const [name = "", ...others] = job.words ?? [];
  const path = name === "" || OF_SHELLS.has(name) ? null : pathOf(name, job.folder, env);
  // A shell says itself what is wrong with a command that is not found.
  if (path === null) return shellFor(job.line, env);
  // The runtime passes on no bytes that are no UTF-8.
  if (others.some(isOdd)) return shellFor(["exec", path, ...others].map(quoted).join(" "), env);
  return [path, ...others];
}

/** The command line that has the shell run another one. */
export function shellFor(line: string, env: Environment): string[] {
  return [shellOf(env), "-c", isOdd(line) ? evenLine(line) : line];
}

function pathOf(name: string, folder: string, env: Environment): string | null {
  const key = name.includes("/") ? `${folder}\0${name}` : name;
  const known = paths.get(key);
  if (known !== undefined) return known;
  const path = Bun.which(name, { PATH: env.PATH ?? "", cwd: folder });
  if (paths.size >= MOST_NAMES) paths.clear();
  if (path !== null) paths.set(key, path);
  return path;
}
