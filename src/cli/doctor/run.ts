/**
 * Runs programs of which anything may be wrong: an end to each, whatever it does or leaves behind.
 */
import { textOf } from "../../errors.ts";
import { endAll, endWithThis, timeFor } from "../../os/ask.ts";

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** As "exit code 1", or "SIGKILL". */
  readonly end: string;
  readonly exitCode: number | null;
}

/** How much of what a program said is told. */
const WORDS = 12;

/** How it ended, and what it said then, for a message. `said` is all of that. */
export function lastWords({ end }: Outcome, said: string): string {
  const lines = said.trim().split("\n").filter(Boolean).slice(0, WORDS);
  return `it ended with ${end}${lines.length > 0 ? `:\n${lines.join("\n")}` : ""}`;
}

/** ms that starting and ending a job take, beyond the time that its ranks have. */
export const SPARE_MS = 10_000;

export interface RunOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** ms that it has. */
  readonly limitMs: number;
}

/**
 * ms from SIGTERM to SIGKILL: asked to, a launcher ends its ranks; killed outright it would leave
 * them.
 */
const END_MS = 3_000;

/** ms in which what it has said is read to the end, once it is over. */
const READ_MS = 1_000;

/** Bytes of what it says that are kept, of each of its two outputs. */
const MOST_BYTES = 1 << 20;

/**
 * Past the limit the program is ended, with all that it has started; so is what it leaves behind.
 */
export async function run(command: string[], options: RunOptions): Promise<Outcome> {
  try {
    return await runToEnd(command, { ...options, limitMs: timeFor(options.limitMs) });
  } catch (error) {
    // It is not there, or is no program.
    return { stdout: "", stderr: textOf(error), exitCode: null, end: "no start" };
  }
}

async function runToEnd(command: string[], { env, limitMs }: RunOptions): Promise<Outcome> {
  if (limitMs === 0) {
    const stderr = "the time was over that doctor takes in all (--timeout)";
    return { stdout: "", stderr, exitCode: null, end: "no start" };
  }
  await using child = Bun.spawn(command, {
    env: { ...env, NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    // A group of its own, to be ended as one.
    detached: true,
  });
  using _ = endWithThis(child);
  let late = false;
  const asking = setTimeout(() => {
    late = true;
    child.kill("SIGTERM");
  }, limitMs);
  const killing = setTimeout(() => endAll(child), limitMs + END_MS);
  const said = [collect(child.stdout), collect(child.stderr)];
  await child.exited;
  clearTimeout(asking);
  clearTimeout(killing);
  endAll(child);
  // A process that it has left behind, out of its group, may hold its pipes for ever.
  const closing = setTimeout(() => said.forEach(({ close }) => close()), READ_MS);
  const [stdout = "", stderr = ""] = await Promise.all(said.map(({ text }) => text));
  clearTimeout(closing);
  const { exitCode, signalCode } = child;
  const end = String(signalCode ?? `exit code ${exitCode}`);
  return {
    stdout,
    stderr,
    exitCode,
    end: late ? `${end}, after ${limitMs / 1000} s without an end` : end,
  };
}

/** What comes until the end, or until it is closed: of more than may be kept, the beginning. */
function collect(stream: ReadableStream<Uint8Array>): { text: Promise<string>; close: () => void } {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const read = async (): Promise<string> => {
    let text = "";
    for (let bytes = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return text;
      // It goes on to be read, for whoever writes it.
      if (bytes < MOST_BYTES) text += decoder.decode(value, { stream: true });
      bytes += value.byteLength;
    }
  };
  return { text: read(), close: () => void reader.cancel() };
}
