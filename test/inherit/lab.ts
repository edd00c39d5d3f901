/** A folder with a program of its own in it, and this bsync among its packages. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Outcome, run } from "../mpi/launch.ts";

const ROOT = join(import.meta.dir, "../..");

export class Lab implements Disposable {
  readonly folder: string;

  constructor(files: Readonly<Record<string, string>>) {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), "bsync-inherit-")));
    mkdirSync(join(this.folder, "node_modules"));
    symlinkSync(ROOT, join(this.folder, "node_modules/bsync"));
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), text);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Runs a shell's command there, in which `bun` is this one. */
  async run(command: string, env: Record<string, string> = {}): Promise<Outcome> {
    const line = `cd "${this.folder}" && bun() { "${process.execPath}" "$@"; } && ${command}`;
    // Under `bun test` that is set, and means something to programs.
    const { stdout, ...rest } = await run(["bash", "-c", line], { NODE_ENV: "", ...env });
    // Open MPI's launcher gives programs a terminal, for which Bun has colours.
    return { ...rest, stdout: stdout.replaceAll(/\x1b\[\d*m/g, "") };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
