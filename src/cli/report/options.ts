/** The command line of `bsync report`. */
import { Command } from "commander";

const ABOUT =
  "Makes one page of a trace that pool.trace() or BSYNC_TRACE wrote: in words what kept the " +
  "workers, then their timeline, waits and runs, the longest tasks, hosts and failures. The " +
  "page is one file that needs no other, of at most 5 MB. The trace may be gzipped, or cut " +
  "off anywhere.";

const ENDING = `
As in: BSYNC_TRACE=trace.json.gz mpirun -n 16 bun run job.ts
       bsync report trace.json.gz -o page.html
       bsync report trace.json.gz --png picture.png

Exit code: 0, 1 for a file that cannot be read or written, 2 for a wrong option.`;

export interface ReportOptions {
  /** Where the page goes; beside the trace if that is not said. */
  readonly output?: string;
  /** Where a picture of its first screen goes; none if that is not said. */
  readonly png?: string;
}

export function reportCommand(
  run: (path: string, options: ReportOptions) => Promise<void>,
): Command {
  return new Command("report")
    .summary("a trace as one page to look at: what kept the workers, in words and pictures")
    .description(ABOUT)
    .argument("<trace>", "the file of a trace: .json, or .json.gz")
    .option("-o, --output <page>", "where the page goes (the trace's name, with .html)")
    .option("--png <picture>", "draw its first screen, too: for slides, mail and chat")
    .helpOption("-h, --help", "print this")
    .addHelpText("after", ENDING)
    .action(run);
}
