/**
 * What a program runs under: the flags that Bun was started with, its executable, and the folder in
 * which it looked for config files, preloads and all else that is named by a relative path. Workers
 * are started with the same.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { folderAtLoad, isCompiled, isGiven, mainAtLoad } from "./natives.ts";
import { readProc } from "./proc.ts";
import { testRunner } from "./test-run.ts";
import type { Environment } from "./settings.ts";

/**
 * Flags that mean this very process, and no other: the text that it runs in the place of a script;
 * a debugger's address, which can be taken once; profiles, which have one file; what starts it
 * again when a file changes; and what is about scripts of package.json. Environment files were
 * read: workers get all that came of them.
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

/** Those among them that take the next argument, if they have no "=". */
const WITH_VALUE =
  /^(-e|--eval|-p|--print|-F|--(watch-kill-signal|(cpu|heap)-prof-(name|dir|interval)|cron-\w+|elide-lines|filter|shell|cwd|env-file))$/;

/**
 * Flags of `bun test`, which it does not count among those of the runtime, that decide how modules
 * are read.
 */
const READING =
  /^(?:--(?:conditions|define|loader|tsconfig-override|main-fields|extension-order|drop|feature|jsx-[\w-]+)|-[dl])(?:=|$)/;

/** Where a debugger listens, or waits. */
const DEBUGGER = /^BUN_INSPECT/;

/** The folder this process is in; undefined if it was removed. */
export function currentFolder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/**
 * Where relative paths of flags and config files lead to what they led this process to: the folder
 * it was started in. Undefined if it is not there any more.
 */
export function startFolder(): string | undefined {
  start ??= findStart();
  return start !== undefined && existsSync(start) ? start : undefined;
}

let start: string | undefined;

/**
 * A program may have gone elsewhere before bsync was loaded: then the shell's word counts, if its
 * script is found there.
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

/** The words this process was started by, up to its script; none where that cannot be known. */
function commandLine(): string[] {
  const words = wordsOf(process.pid);
  return words.slice(0, words.length - process.argv.length + 2);
}

/** This very executable, be it moved or removed meanwhile. */
export function executable(): string {
  const self = "/proc/self/exe";
  return existsSync(self) ? self : process.execPath;
}

/** The flags for a process that is to run what this one does, `env` being its environment. */
export function runtimeFlags(env: Environment): string[] {
  if (isCompiled()) return [];
  const inherits =
    env["BUN_OPTIONS"] !== undefined && env["BUN_OPTIONS"] === process.env["BUN_OPTIONS"];
  const flags = inherits ? typedFlags() : process.execArgv;
  return [...sharedFlags(flags), ...testFlags(), "--no-env-file"];
}

/** What stands behind the word `test`, as far as it is for workers, too. */
function testFlags(): string[] {
  if (testRunner() === null) return [];
  const words = wordsOf(process.pid);
  return readingFlags(words.slice(words.indexOf("test") + 1));
}

/** Those among the arguments of `bun test` that decide how modules are read. */
export function readingFlags(words: readonly string[]): string[] {
  return words.flatMap((word, i) => {
    if (!READING.test(word)) return [];
    return word.includes("=") || word === "--jsx-side-effects" ? [word] : words.slice(i, i + 2);
  });
}

/** Flags without those that mean the one process alone. */
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

/** The flags of the command line, without those that BUN_OPTIONS has put before them. */
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

/** An environment for another process that runs under the same: a debugger's address is taken. */
export function withoutDebugger(env: Record<string, string>): Record<string, string> {
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (DEBUGGER.test(name) && value === process.env[name]) continue;
    copy[name] = name === "BUN_OPTIONS" ? withoutOwnFlags(value) : value;
  }
  return copy;
}

/** BUN_OPTIONS as it is, unless there is something in it that cannot serve two processes. */
function withoutOwnFlags(options: string): string {
  const words = options.split(/\s+/);
  const hasOwn = words.some((word) => OWN_FLAGS.has(word.replace(/=.*/s, "")));
  return hasOwn ? sharedFlags(words).join(" ") : options;
}

const ENTRY = join(import.meta.dir, "..", "worker", "entry.ts");

/** The words that start a worker, `env` being its environment. */
export function workerCommand(env: Environment): string[] {
  // The program's own arguments, for modules that read them.
  const args = process.argv.slice(isGiven(mainAtLoad) ? 1 : 2);
  if (isCompiled()) return [executable(), ...args];
  // Bun takes the first for the end of its own.
  if (args[0] === "--") args.unshift("--");
  return [executable(), ...runtimeFlags(env), ...script(), ...args];
}

/**
 * What a worker runs: bsync's own entry; or what bsync is bundled into, the program or a library of
 * it.
 */
function script(): string[] {
  if (!isBundled()) return [ENTRY];
  if (!inLibrary()) return [mainAtLoad];
  return ["-e", `import(${JSON.stringify(import.meta.path)})`, "--"];
}

/** One that is no module may have kept the path that this file had where it was built. */
function isBundled(): boolean {
  return !import.meta.path.endsWith("/src/os/runtime.ts") || !existsSync(ENTRY);
}

/**
 * Whether bsync is part of a file which the program imports, that being none of its own bundle: a
 * library, whose workers have no use for the rest of the program.
 */
export function inLibrary(): boolean {
  // Each named in full: a bundle that is no module has no `import.meta` else.
  if (!isBundled() || import.meta.path === mainAtLoad || !existsSync(import.meta.path))
    return false;
  return dirname(mainAtLoad) !== import.meta.dir || !isBundle(mainAtLoad);
}

/** Whether Bun has built a file. */
function isBundle(path: string): boolean {
  try {
    return /^(?:#!.*\n)?\/\/ @bun\b/.test(readFileSync(path, "utf8"));
  } catch {
    return false;
  }
}
