/**
 * The user's folder of compiled files. A file appears in it whole or not at all, and a damaged one
 * is not handed out: loading half a library kills the process, with no error to catch.
 */
import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { setting } from "../launcher/launcher.ts";
import type { Environment } from "../../os/settings.ts";

/** Ends a checked file, before the hash of the content. A loader of ELF ignores both. */
const SEAL = "\nbsync ";
const SEAL_BYTES = SEAL.length + 64;

/** SHA-256 in hexadecimal digits. */
export function digest(...parts: (string | Uint8Array)[]): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) {
    hasher.update(part);
    hasher.update("\0");
  }
  return hasher.digest("hex");
}

/** The cache's folder: the user's choice, or the usual place for such files. */
function preferred(env: Environment): string {
  const own = setting(env, "BSYNC_CACHE_DIR");
  if (own !== undefined) return own;
  const xdg = setting(env, "XDG_CACHE_HOME");
  return xdg !== undefined && isAbsolute(xdg)
    ? join(xdg, "bsync")
    : join(setting(env, "HOME") ?? homedir(), ".cache", "bsync");
}

/** Whether only this user can have put files into a folder. */
function isPrivate(folder: string): boolean {
  try {
    const info = lstatSync(folder);
    return info.isDirectory() && info.uid === process.getuid?.() && (info.mode & 0o077) === 0;
  } catch {
    return false;
  }
}

/** The user's cache, in the folder that `env` gives. */
export class Cache {
  readonly #preferred: string;
  readonly #spare: string;

  constructor(env: Environment) {
    this.#preferred = preferred(env);
    this.#spare = join(tmpdir(), `bsync-${process.getuid?.() ?? 0}`);
  }

  /** The folders that are read, for messages. */
  get places(): string[] {
    return [this.#preferred, this.#spare];
  }

  /** The folder to write to, created if necessary; null if there is none. */
  writable(): string | null {
    try {
      mkdirSync(this.#preferred, { recursive: true, mode: 0o700 });
      accessSync(this.#preferred, constants.W_OK | constants.X_OK);
      return this.#preferred;
    } catch {
      // A read-only home, a full quota of inodes, no home at all: use the spare folder.
    }
    try {
      mkdirSync(this.#spare, { mode: 0o700 });
    } catch {
      // It exists, or cannot be created; the next line tells.
    }
    // The temporary folder is shared: this name may be another user's trap.
    return isPrivate(this.#spare) ? this.#spare : null;
  }

  /** The folders to read in. */
  #readable(): string[] {
    return isPrivate(this.#spare) ? this.places : [this.#preferred];
  }

  /** The path of a sealed file, if it is there and undamaged. */
  find(name: string): string | undefined {
    const paths = this.#readable().map((folder) => join(folder, name));
    return paths.find(isWhole);
  }

  /** All files in the cache. */
  *entries(): Iterable<{ name: string; path: string; bytes: number }> {
    for (const folder of this.#readable()) {
      let names: string[] = [];
      try {
        names = readdirSync(folder).sort();
      } catch {
        // Missing, or no folder: nothing is in it.
      }
      for (const name of names) {
        const path = join(folder, name);
        const info = lstatSync(path, { throwIfNoEntry: false });
        if (info !== undefined) yield { name, path, bytes: info.size };
      }
    }
  }

  /** Remembers `text` under `key`. A cache that cannot be written forgets. */
  set(key: string, text: string): void {
    const folder = this.writable();
    if (folder === null) return;
    const path = join(folder, `said-${digest(key).slice(0, 24)}`);
    const temporary = `${path}.${process.pid}`;
    try {
      writeFileSync(temporary, text + SEAL + digest(text), { mode: 0o600 });
      renameSync(temporary, path);
    } catch {
      rmSync(temporary, { force: true });
    }
  }

  /** The text remembered under `key`. */
  get(key: string): string | undefined {
    const path = this.find(`said-${digest(key).slice(0, 24)}`);
    return path && readFileSync(path, "utf8").slice(0, -SEAL_BYTES);
  }
}

/** Seals the file at `temporary` and moves it to `path`, atomically. */
export function publish(temporary: string, path: string): void {
  const content = readFileSync(temporary);
  writeFileSync(temporary, SEAL + digest(content), { flag: "a" });
  renameSync(temporary, path);
}

/** Whether a sealed file is undamaged. */
export function isWhole(path: string): boolean {
  try {
    const all = readFileSync(path);
    const content = all.subarray(0, -SEAL_BYTES);
    return all.subarray(-SEAL_BYTES).toString("latin1") === SEAL + digest(content);
  } catch {
    return false;
  }
}
