/** What signals mean to a farm: an end that leaves time, or an end at once. */
import { constants } from "node:os";
import type { Farm } from "./farm.ts";
import { STOP_SIGNALS } from "./rank.ts";

/** Those of people: Ctrl-C, and a terminal that is closed. */
const END_SIGNALS = ["SIGINT", "SIGHUP"] as const;

/** ms that ending at once may take: jobs are asked first, and what they have left is printed. */
const LAST_MS = 3_000;

type Signal = (typeof STOP_SIGNALS)[number] | (typeof END_SIGNALS)[number];

/** Has a farm stop on signals; returns what ends that. */
export function stopOnSignals(farm: Farm, graceMs: number): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isEnding = false;
  const end = (signal: Signal) => {
    // Whatever holds it up is not waited for a second time.
    if (isEnding) process.exit(codeOf(signal));
    isEnding = true;
    // A reader that has stopped reading would hold up what was printed last.
    setTimeout(() => process.exit(codeOf(signal)), LAST_MS).unref();
    farm.stop({ when: "now", exitCode: codeOf(signal), ifLeft: true });
  };
  const ask = (signal: Signal) => {
    if (timer !== null) return end(signal);
    const { running } = farm.counts();
    const jobs = `${running} job${running === 1 ? "" : "s"}`;
    process.stderr.write(
      `bsync multi: stops on ${signal}: no more jobs start, and the ${jobs} that run have ` +
        `${graceMs / 1_000} s; --joblog and --resume go on from there\n`,
    );
    timer = setTimeout(() => end(signal), graceMs);
    farm.stop({ when: "soon", exitCode: codeOf(signal), ifLeft: true });
  };
  for (const signal of END_SIGNALS) process.on(signal, end);
  for (const signal of STOP_SIGNALS) process.on(signal, ask);
  return () => {
    if (timer !== null) clearTimeout(timer);
    for (const signal of END_SIGNALS) process.off(signal, end);
    for (const signal of STOP_SIGNALS) process.off(signal, ask);
  };
}

/** The exit code of a program that a signal has ended, as a shell has it. */
function codeOf(signal: Signal): number {
  return 128 + constants.signals[signal];
}
