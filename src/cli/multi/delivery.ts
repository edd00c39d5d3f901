/**
 * What becomes of the output of jobs: it is printed, kept in files, or both. One job's output at a
 * time, in pieces, so that neither a long output nor many need memory.
 */
import { textOf } from "../../errors.ts";
import { FarmError } from "./errors.ts";
import type { FarmJob, OutputReader } from "./farm-job.ts";
import type { JobResult } from "./job-result.ts";
import { NoReaderError, Tagger, writeAll } from "./printer.ts";

/** Bytes of one piece. */
const PIECE = 1 << 20;

/** Something that takes the output of jobs, one after another. */
export interface Keeper {
  /** Where it keeps them, for people. */
  readonly place: string;
  begin(job: FarmJob, result: JobResult): void | Promise<void>;
  take(stream: 0 | 1, bytes: Uint8Array): void | Promise<void>;
  end(): void | Promise<void>;
  /** Instead of `end`: the rest of the output is lost, or could not be taken. */
  drop(): void;
  close(): void;
}

/** The pieces of an output. */
export async function* piecesOf(
  { sizes, outputs }: JobResult,
  reader: OutputReader,
  stream: 0 | 1,
): AsyncGenerator<Uint8Array> {
  const whole = outputs[stream];
  if (whole !== null) {
    if (whole.length > 0) yield whole;
    return;
  }
  const size = sizes[stream];
  const read = (from: number) => reader.read(stream, from, Math.min(PIECE, size - from));
  let next = size > 0 ? read(0) : null;
  for (let from = 0; next !== null;) {
    const bytes: Uint8Array = await next;
    from += bytes.length;
    // The next piece is on its way while this one is written.
    next = from < size && bytes.length > 0 ? read(from) : null;
    yield bytes;
  }
}

/** What stands before each line of a job. */
export type TagOf = (job: FarmJob) => string;

/** Prints outputs, each line behind a tag where `tag` gives one. */
export class Printing implements Keeper {
  readonly place = "standard output and error";
  readonly #tag: TagOf | null;
  #taggers: (Tagger | null)[] = [];

  constructor(tag: TagOf | null) {
    this.#tag = tag;
  }

  begin(job: FarmJob): void {
    const tag = this.#tag?.(job) ?? null;
    this.#taggers = [0, 1].map(() => (tag === null ? null : new Tagger(`${tag}\t`)));
  }

  async take(stream: 0 | 1, bytes: Uint8Array): Promise<void> {
    await writeAll(stream + 1, this.#taggers[stream]?.tagged(bytes) ?? bytes);
  }

  end(): void {}

  drop(): void {}

  close(): void {}
}

/** Gives the output of one job to all keepers. */
export async function deliver(
  job: FarmJob,
  result: JobResult,
  reader: OutputReader,
  keepers: readonly Keeper[],
): Promise<void> {
  const give = async (deed: (keeper: Keeper) => void | Promise<void>) => {
    for (const keeper of keepers) {
      try {
        await deed(keeper);
      } catch (error) {
        throw refusal(job, keeper, error);
      }
    }
  };
  try {
    await give((keeper) => keeper.begin(job, result));
    for (const stream of [0, 1] as const) {
      for await (const bytes of piecesOf(result, reader, stream)) {
        await give((keeper) => keeper.take(stream, bytes));
      }
    }
    await give((keeper) => keeper.end());
  } catch (error) {
    for (const keeper of keepers) keeper.drop();
    throw error;
  }
}

function refusal({ sequence }: FarmJob, { place }: Keeper, error: unknown): Error {
  if (error instanceof NoReaderError) return error;
  return new FarmError(`Cannot write the output of job ${sequence} to ${place}: ${textOf(error)}`);
}
