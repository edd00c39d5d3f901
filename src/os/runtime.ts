/**
 * What a program runs under: the flags that Bun was started with, its executable, and the folder
 * for config files, preloads and other relative paths. Workers are started with the same.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { folderAtLoad, isCompiled, isGiven, mainAtLoad } from "./natives.ts";
import { readProc } from "./proc.ts";
import { testRunner } from "./test-run.ts";
import type { Environment } from "./settings.ts";

/**
 * Flags for this process alone: the text that it runs instead of a script; a debugger's address,
 * which can be taken once; profiles, which have one file; restarts when a file changes; and scripts
 * of package.json. Environment files were read: workers get their result.
 */
const OWN_FLAGS = new Set(
  (
    "-e --eval -p --print --inspect --inspect-wait --inspect-brk --watch --watch-kill-signal " +
    "--hot --no-clear-screen --interactive --check --cpu-prof --cpu-prof-name --cpu-prof-dir " +
    "--cpu-prof-md --cpu-prof-interval --heap-prof --heap-prof-name --heap-prof-dir " +
    "--heap-prof-md --heap-prof-interval --cron-title --cron-period --silent --elide-lines -F " +
    "--filter --workspaces --parallel --sequential --no-exit-on-error --if-present --shell " +
    "--cwd --env-file --no-env-file -- -"
  ).split(" "),
);

/** The flags among them that take the next argument, if they have no "=". */
const WITH_VALUE =
  /^(-e|--eval|-p|--print|-F|--(watch-kill-signal|(cpu|heap)-prof-(name|dir|interval)|cron-\w+|elide-lines|filter|shell|cwd|env-file))$/;

/**
 * Flags of `bun test` that decide how modules are read; it does not count them among the runtime's.
 */
const READING =
  /^(?:--(?:conditions|define|loader|tsconfig-override|main-fields|extension-order|drop|feature|jsx-[\w-]+)|-[dl])(?:=|$)/;

/** Where a debugger listens, or waits. */
const DEBUGGER = /^BUN_INSPECT/;

/** The folder of this process; undefined if it was removed. */
export function currentFolder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/**
 * The folder this process was started in, where relative paths of flags and config files mean the
 * same as they did for it. Undefined if it is gone.
 */
export function startFolder(): string | undefined {
  start ??= findStart();
  return start !== undefined && existsSync(start) ? start : undefined;
}

let start: string | undefined;

/**
 * A program may have changed its folder before bsync was loaded: then the shell's PWD counts, if
 * the script is found there.
 */
function findStart(): string | undefined {
  const script = commandLine().findLast((word) => word !== "--");
  if (script === undefined || isAbsolute(script)) return folderAtLoad;
  const found = [folderAtLoad, process.env["PWD"]].find(
    (folder) => folder !== undefined && isMain(resolve(folder, script)),
  );
  return found ?? folderAtLoad;
}

function isMain(path: string): boolean {
  try {
    return realpathSync(path) === realpathSync(mainAtLoad);
  } catch {
    return mainAtLoad.startsWith(`${path}.`);
  }
}

/** The words this process was started by, up to its script; none if unknown. */
function commandLine(): string[] {
  const words = wordsOf(process.pid);
  return words.slice(0, words.length - process.argv.length + 2);
}

/** This process's executable, even if it was moved or removed meanwhile. */
export function executable(): string {
  const self = "/proc/self/exe";
  return existsSync(self) ? self : process.execPath;
}

/** The flags for a process that runs what this one runs; `env` is its environment. */
export function runtimeFlags(env: Environment): string[] {
  if (isCompiled()) return [];
  const inherits =
    env["BUN_OPTIONS"] !== undefined && env["BUN_OPTIONS"] === process.env["BUN_OPTIONS"];
  const flags = inherits ? typedFlags() : process.execArgv;
  return [...sharedFlags(flags), ...testFlags(), "--no-env-file"];
}

/** The flags behind the word `test` that are for workers, too. */
function testFlags(): string[] {
  if (testRunner() === null) return [];
  const words = wordsOf(process.pid);
  return readingFlags(words.slice(words.indexOf("test") + 1));
}

/** The arguments of `bun test` that decide how modules are read. */
export function readingFlags(words: readonly string[]): string[] {
  return words.flatMap((word, i) => {
    if (!READING.test(word)) return [];
    return word.includes("=") || word === "--jsx-side-effects" ? [word] : words.slice(i, i + 2);
  });
}

/** Flags without those for one process alone. */
export function sharedFlags(flags: readonly string[]): string[] {
  const shared: string[] = [];
  for (let i = 0; i < flags.length; i++) {
    const flag = flags[i]!;
    if (!OWN_FLAGS.has(flag.replace(/=.*/s, ""))) shared.push(flag);
    else if (WITH_VALUE.test(flag)) i++;
  }
  return shared;
}

function wordsOf(pid: number): string[] {
  const text = readProc(pid, "cmdline") ?? "";
  return Buffer.from(text, "latin1").toString().split("\0").slice(0, -1);
}

/** The flags of the command line, without those that BUN_OPTIONS put before them. */
function typedFlags(): string[] {
  const { execArgv } = process;
  const words = commandLine();
  if (words.length === 0) return execArgv;
  let from = execArgv.length;
  for (let at = words.length - 1; at > 0 && from > 0; at--) {
    if (words[at] === execArgv[from - 1]) from--;
  }
  return execArgv.slice(from);
}

/** An environment for another process, without the debugger's address, which is taken. */
export function withoutDebugger(env: Record<string, string>): Record<string, string> {
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (DEBUGGER.test(name) && value === process.env[name]) continue;
    copy[name] = name === "BUN_OPTIONS" ? withoutOwnFlags(value) : value;
  }
  return copy;
}

/** BUN_OPTIONS, unchanged unless it has a flag that cannot serve two processes. */
function withoutOwnFlags(options: string): string {
  const words = options.split(/\s+/);
  const hasOwn = words.some((word) => OWN_FLAGS.has(word.replace(/=.*/s, "")));
  return hasOwn ? sharedFlags(words).join(" ") : options;
}

const ENTRY = join(import.meta.dir, "..", "worker", "entry.ts");

/** The words that start a worker; `env` is its environment. */
export function workerCommand(env: Environment): string[] {
  // The program's own arguments, for modules that read them.
  const args = process.argv.slice(isGiven(mainAtLoad) ? 1 : 2);
  if (isCompiled()) return [executable(), ...args];
  // Bun takes the first "--" for the end of its own flags.
  if (args[0] === "--") args.unshift("--");
  return [executable(), ...runtimeFlags(env), ...script(), ...args];
}

/** The script of a worker: bsync's entry, or the program or library that bsync is bundled into. */
function script(): string[] {
  if (!isBundled()) return [ENTRY];
  if (!inLibrary()) return [mainAtLoad];
  return ["-e", `import(${JSON.stringify(import.meta.path)})`, "--"];
}

/** A bundle that is no module may have kept the path that this file had when it was built. */
function isBundled(): boolean {
  return !import.meta.path.endsWith("/src/os/runtime.ts") || !existsSync(ENTRY);
}

/**
 * Whether bsync is part of a file that the program imports and that is not of its own bundle: a
 * library, whose workers do not need the rest of the program.
 */
export function inLibrary(): boolean {
  // Each `import.meta` in full: a bundle that is no module has none otherwise.
  if (!isBundled() || import.meta.path === mainAtLoad || !existsSync(import.meta.path))
    return false;
  return dirname(mainAtLoad) !== import.meta.dir || !isBundle(mainAtLoad);
}

/** Whether a file was built by Bun. */
function isBundle(path: string): boolean {
  try {
    return /^(?:#!.*\n)?\/\/ @bun\b/.test(readFileSync(path, "utf8"));
  } catch {
    return false;
  }
}
