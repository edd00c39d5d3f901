/**
 * What becomes of the outputs of all jobs, and when: at their ends, in order, or while they run.
 */
import { deliver, type Keeper, Printing, type TagOf } from "./delivery.ts";
import type { FarmJob, OutputReader } from "./farm-job.ts";
import type { JobResult } from "./job-result.ts";
import { Ordering } from "./ordering.ts";
import { Serial } from "./serial.ts";
import { Spill } from "./spill.ts";

export interface OutputOptions {
  /** Where outputs are printed, if nothing else prints in that place. */
  readonly tag: TagOf | null;
  readonly prints: boolean;
  /** Others that take them. */
  readonly keepers: readonly Keeper[];
  readonly keepsOrder: boolean;
  /** Printed while their jobs run, by lines or as it comes; null: at their ends. */
  readonly live: "lines" | "bytes" | null;
}

interface Entry {
  readonly job: FarmJob;
  reader: OutputReader;
  result: JobResult | null;
  /** Whether its output is, now that the job has ended. */
  isOnWorker: boolean;
  /** Ends when all of it is printed. */
  live: Promise<void> | null;
  readonly onDone: PromiseWithResolvers<void>;
}

/** Bytes that are printed at once. */
const PIECE = 1 << 20;

/** Outputs that wait on workers, at most: each takes two descriptors there. */
const MOST_WAITING = 200;

/** Jobs that wait for their turn, or for a reader who is slow, at most: each takes 2 KB here. */
const MOST_ENDED = 20_000;

export class Outputs {
  readonly #options: OutputOptions;
  readonly #ordering: Ordering<Entry>;
  readonly #entries = new Map<FarmJob, Entry>();
  /** Ends of jobs, one after another. */
  readonly #turns = new Serial();
  /** Whole pieces, one after another. */
  readonly #printing = new Serial();
  readonly #spill: Spill;
  #waiting = 0;
  #ended = 0;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#ordering = new Ordering(options.keepsOrder);
    this.#spill = new Spill(options.keepsOrder);
  }

  /** Whether more may come. */
  get hasRoom(): boolean {
    return this.#waiting < MOST_WAITING && this.#ended < MOST_ENDED && !this.#spill.isFull;
  }

  /** A job starts, perhaps once more. */
  begin(job: FarmJob, reader: OutputReader): void {
    const known = this.#entries.get(job);
    if (known !== undefined) {
      known.reader = reader;
      known.live = null;
      this.#followInTurn(known);
      return;
    }
    const onDone = Promise.withResolvers<void>();
    const entry: Entry = { job, reader, result: null, isOnWorker: false, live: null, onDone };
    this.#entries.set(job, entry);
    this.#ordering.begin(entry);
    if (!this.#options.keepsOrder || this.#ordering.front === entry) this.#followInTurn(entry);
  }

  /** A job has ended for good; resolves once its output has gone where it should. */
  end(job: FarmJob, result: JobResult): Promise<void> {
    const entry = this.#entries.get(job)!;
    entry.result = result;
    this.#ended++;
    entry.isOnWorker = result.outputs.includes(null);
    if (entry.isOnWorker) this.#waiting++;
    else this.#hold(entry, result);
    for (const next of this.#ordering.end(entry)) this.#finish(next);
    this.#followFront();
    return entry.onDone.promise;
  }

  /** A try has ended, and the job starts again. */
  async endTry(job: FarmJob, { outputs }: JobResult): Promise<void> {
    const { live, reader } = this.#entries.get(job)!;
    await live?.catch(() => {});
    if (outputs.includes(null)) reader.drop();
  }

  /** What a job has left is not wanted. */
  drop(job: FarmJob): void {
    const entry = this.#entries.get(job);
    if (entry === undefined) return;
    this.#entries.delete(job);
    for (const next of this.#ordering.drop(entry)) this.#finish(next);
    this.#followFront();
  }

  /** Resolves once all that has ended is dealt with. */
  async close(): Promise<void> {
    await this.#turns.add(async () => {});
    for (const keeper of this.#options.keepers) keeper.close();
    this.#spill.close();
  }

  /** One that waits for its turn takes no more memory than there is. */
  #hold(entry: Entry, result: JobResult): void {
    const reader = this.#spill.hold(result);
    if (reader === null) return;
    entry.reader = reader;
    entry.result = { ...result, outputs: [null, null] };
  }

  #finish(entry: Entry): void {
    const { job, onDone } = entry;
    const done = this.#turns.add(() => this.#deliver(entry)).finally(() => this.#release(entry));
    done.then(onDone.resolve, onDone.reject);
    this.#entries.delete(job);
  }

  /** An output is where it should be, or cannot get there. */
  #release({ reader, result, isOnWorker }: Entry): void {
    this.#ended--;
    if (isOnWorker) this.#waiting--;
    if (result!.outputs.includes(null)) reader.drop();
    else this.#spill.free(result!);
  }

  async #deliver(entry: Entry): Promise<void> {
    const { job, reader, live } = entry;
    const result = entry.result!;
    const isPrinted = live !== null;
    if (isPrinted) await live;
    const keepers = [...this.#options.keepers];
    if (this.#options.prints && !isPrinted) keepers.push(new Printing(this.#options.tag));
    await this.#printing.add(() => deliver(job, result, reader, keepers));
  }

  /** The output of the job whose turn has come is printed while it runs. */
  #followFront(): void {
    const { front } = this.#ordering;
    if (front !== undefined && front.result === null && front.live === null) {
      this.#followInTurn(front);
    }
  }

  #followInTurn(entry: Entry): void {
    const { live, prints } = this.#options;
    if (live === null || !prints) return;
    const start = () => {
      if (entry.result === null && entry.live === null) {
        entry.live = this.#follow(entry, live === "lines");
        // Whatever is wrong is told when the job has ended: that waits for this.
        entry.live.catch(() => {});
      }
    };
    if (this.#options.keepsOrder) void this.#turns.add(async () => start());
    else start();
  }

  async #follow({ job, reader }: Entry, isByLine: boolean): Promise<void> {
    const printing = new Printing(this.#options.tag);
    printing.begin(job);
    const from: [number, number] = [0, 0];
    for (;;) {
      const { upTo, isOver } = await reader.follow(from, isByLine);
      if (isOver && upTo[0] <= from[0] && upTo[1] <= from[1]) return;
      await this.#printing.add(async () => {
        for (const stream of [0, 1] as const) {
          for (; from[stream] < upTo[stream];) {
            const length = Math.min(PIECE, upTo[stream] - from[stream]);
            const bytes = await reader.read(stream, from[stream], length);
            await printing.take(stream, bytes);
            from[stream] += length;
          }
        }
      });
    }
  }
}
