/** Plays command lines of `bsync multi`, and of GNU parallel, in folders of their own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAIN } from "../setup.ts";
import type { Line } from "./table.ts";

export interface Played {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export const BSYNC = [process.execPath, MAIN, "multi"];

export const GNU = ["parallel", "--will-cite"];

/** Runs a line by a command, in a folder that is removed afterwards. */
export async function play(command: readonly string[], line: Line): Promise<Played> {
  const folder = await mkdtemp(join(tmpdir(), "bsync-multi-test-"));
  try {
    for (const [name, text] of Object.entries(line.files ?? {})) {
      await writeFile(join(folder, name), text);
    }
    return await run([...command, ...line.words], folder, line.stdin);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function run(
  command: readonly string[],
  folder: string,
  stdin = "",
  env: Readonly<Record<string, string>> = {},
): Promise<Played> {
  const child = Bun.spawn([...command], {
    cwd: folder,
    env: { ...process.env, SHELL: "/bin/bash", PARALLEL_HOME: folder, ...env },
    stdin: new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode };
}

/** What is to be compared of an output. */
export function shown(text: string, { isUnordered = false }: Line): string {
  return isUnordered ? text.split("\n").sort().join("\n") : text;
}
