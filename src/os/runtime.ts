/**
 * What a program runs under: the flags that Bun was started with, its executable, and the folder in which it looked for
 * config files, preloads and all else that is named by a relative path. Workers are started with the same.
 */
import { existsSync, realpathSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import type { Environment } from "../mpi/launcher.ts";
import { folderAtLoad, isCompiled, mainAtLoad } from "./natives.ts";
import { readProc } from "./proc.ts";

/**
 * Flags that mean this very process, and no other: the text that it runs in the place of a script; a debugger's
 * address, which can be taken once; profiles, which have one file; what starts it again when a file changes; and what
 * is about scripts of package.json. Environment files were read: workers get all that came of them.
 */
const OWN_FLAGS = new Set(
  (
    "-e --eval -p --print --inspect --inspect-wait --inspect-brk --watch --watch-kill-signal --hot " +
    "--no-clear-screen --interactive --check --cpu-prof --cpu-prof-name --cpu-prof-dir --cpu-prof-md " +
    "--cpu-prof-interval --heap-prof --heap-prof-name --heap-prof-dir --heap-prof-md --heap-prof-interval " +
    "--cron-title --cron-period --silent --elide-lines -F --filter --workspaces --parallel --sequential " +
    "--no-exit-on-error --if-present --shell --cwd --env-file --no-env-file -- -"
  ).split(" "),
);

/** Those among them that take the next argument, if they have no "=". */
const WITH_VALUE =
  /^(-e|--eval|-p|--print|-F|--(watch-kill-signal|(cpu|heap)-prof-(name|dir|interval)|cron-\w+|elide-lines|filter|shell|cwd|env-file))$/;

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
 * Where relative paths of flags and config files lead to what they led this process to: the folder it was started in.
 * Undefined if it is not there any more.
 */
export function startFolder(): string | undefined {
  start ??= findStart();
  return start !== undefined && existsSync(start) ? start : undefined;
}

let start: string | undefined;

/** A program may have gone elsewhere before bsync was loaded: then the shell's word counts, if its script is found there. */
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
  const text = readProc(process.pid, "cmdline") ?? "";
  const words = Buffer.from(text, "latin1").toString().split("\0").slice(0, -1);
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
  return [...sharedFlags(flags), "--no-env-file"];
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
