/**
 * Runs programs with which anything may be wrong: each is ended, whatever it does or leaves behind.
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

/** Lines of a program's output in a message. */
const WORDS = 12;

/** How a program ended, and the beginning of its output `said`, for a message. */
export function lastWords({ end }: Outcome, said: string): string {
  const lines = said.trim().split("\n").filter(Boolean).slice(0, WORDS);
  return `it ended with ${end}${lines.length > 0 ? `:\n${lines.join("\n")}` : ""}`;
}

/** ms for starting and ending a job, beyond the time of its ranks. */
export const SPARE_MS = 10_000;

export interface RunOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The program's time limit in ms. */
  readonly limitMs: number;
}

/**
 * ms from SIGTERM to SIGKILL: at SIGTERM a launcher ends its ranks; killed at once it would leave
 * them.
 */
const END_MS = 3_000;

/** ms to read the rest of its output once it has ended. */
const READ_MS = 1_000;

/** Bytes that are kept of each of its two outputs. */
const MOST_BYTES = 1 << 20;

/** Ends the program at the limit, with all processes it started; also those it leaves behind. */
export async function run(command: string[], options: RunOptions): Promise<Outcome> {
  try {
    return await runToEnd(command, { ...options, limitMs: timeFor(options.limitMs) });
  } catch (error) {
    // It does not exist, or is no program.
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
    // A group of its own, so that it can be ended as one.
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
  // A process that it left behind, outside its group, may hold its pipes for ever.
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

/** The text of a stream until its end, or until `close`: beyond the limit only the beginning. */
function collect(stream: ReadableStream<Uint8Array>): { text: Promise<string>; close: () => void } {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  const read = async (): Promise<string> => {
    let text = "";
    for (let bytes = 0; ;) {
      const { done, value } = await reader.read();
      if (done) return text;
      // Reading goes on, or the writer would block.
      if (bytes < MOST_BYTES) text += decoder.decode(value, { stream: true });
      bytes += value.byteLength;
    }
  };
  return { text: read(), close: () => void reader.cancel() };
}
