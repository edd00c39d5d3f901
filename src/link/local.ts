import { existsSync } from "node:fs";
import { join } from "node:path";
import { withoutLauncher } from "../mpi/launcher.ts";
import type { MessageWriter } from "../wire.ts";
import type { Ending, Link, LinkOwner } from "./link.ts";

/** What a local worker inherits. */
export interface LocalOptions {
  /** Its whole environment, as for `Bun.spawn`; that of this process when undefined. */
  readonly env: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd: string | undefined;
}

/** Marks a process as a worker: the entry, or in a bundled program `AsyncPool.open`, looks for it. */
export const WORKER_MARK = "BSYNC_LOCAL_WORKER";

const ENTRY = join(import.meta.dir, "..", "worker", "entry.ts");

/** Flags of this process that decide what code may do, or how it is read: its workers get them too. */
const INHERITED_FLAGS =
  /^(--disallow-code-generation|--preload|-r$|--require|--import|--conditions|--define|-d$|--loader|-l$|--tsconfig-override|--smol|--no-addons|--env-file)/;

const alive = new Set<LocalLink>();
let watching = false;

/** Workers go with the program, whatever they are doing. */
function killAtExit(link: LocalLink): void {
  alive.add(link);
  if (watching) return;
  watching = true;
  process.on("exit", () => {
    for (const link of alive) link.kill();
  });
}

/**
 * A link to a process on this machine, started here: the same Bun, with bsync's own entry as its
 * script (in a bundled program, where no such file is, with the program itself).
 */
export class LocalLink implements Link {
  readonly rank = null;
  readonly #process: Bun.Subprocess;
  #owner: LinkOwner;

  constructor(options: LocalOptions, owner: LinkOwner) {
    this.#owner = owner;
    this.#process = Bun.spawn(command(), {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: environment(options.env),
      stdio: ["ignore", "inherit", "inherit"],
      serialization: "advanced",
      ipc: (message) => this.#receive(message),
      onExit: (_, exitCode) => this.#end(exitCode),
    });
    this.#process.unref();
    killAtExit(this);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<unknown> {
    return this.#process.exited;
  }

  send(message: MessageWriter): void {
    const { bytes, length, buffers } = message.take();
    if (this.#process.exitCode !== null || this.#process.killed) return; // `onLost` tells the owner
    // A message or a buffer is copied into the channel before `send` returns.
    this.#process.send([bytes.slice(0, length), ...buffers]);
  }

  poll(): boolean {
    return false;
  }

  drain(): void {}

  close(): void {
    this.#owner = { onMessage() {}, onLost() {} };
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #receive(message: unknown): void {
    if (!Array.isArray(message)) return;
    const [bytes, ...buffers] = message as Uint8Array[];
    if (bytes !== undefined) this.#owner.onMessage(bytes, bytes.length, buffers);
  }

  #end(exitCode: number | null): void {
    alive.delete(this);
    this.#owner.onLost(ending(exitCode, this.#process.signalCode));
  }
}

function command(): string[] {
  const flags: string[] = [];
  const { execArgv } = process;
  for (let i = 0; i < execArgv.length; i++) {
    const flag = execArgv[i]!;
    if (!INHERITED_FLAGS.test(flag)) continue;
    flags.push(flag);
    const next = execArgv[i + 1];
    if (!flag.includes("=") && next !== undefined && !next.startsWith("-")) flags.push(next);
  }
  const script = existsSync(ENTRY) ? [ENTRY] : existsSync(Bun.main) ? [Bun.main] : [];
  // The worker goes when this process does, however it goes, even by SIGKILL.
  return [process.execPath, "--no-orphans", ...flags, ...script];
}

function environment(given: LocalOptions["env"]): Record<string, string | undefined> {
  return {
    ...withoutLauncher(given ?? process.env),
    // Seven marker threads a process are more than a machine full of workers needs.
    BUN_JSC_numberOfGCMarkers: "1",
    [WORKER_MARK]: "1",
  };
}

function ending(exitCode: number | null, signalCode: string | number | null): Ending {
  if (signalCode === null) return { exitCode, signal: null, text: `exited with code ${exitCode}` };
  const signal = String(signalCode);
  return { exitCode: null, signal, text: `was killed by ${signal}` };
}
