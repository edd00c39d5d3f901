/**
 * What becomes of the outputs of all jobs, and when: at their ends, in order, or while they run.
 */
import { deliver, type Keeper, Printing, type TagOf } from "./delivery.ts";
import type { FarmJob, OutputReader } from "./farm-job.ts";
import type { JobResult } from "./job.ts";
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
  /** Ends when all of it is printed. */
  live: Promise<void> | null;
  readonly onDone: PromiseWithResolvers<void>;
}

/** Bytes that are printed at once. */
const PIECE = 1 << 20;

/** Outputs that wait on workers, at most: each takes two descriptors there. */
const MOST_WAITING = 200;

export class Outputs {
  readonly #options: OutputOptions;
  readonly #ordering: Ordering<Entry>;
  readonly #entries = new Map<FarmJob, Entry>();
  /** Ends of jobs, one after another. */
  readonly #turns = new Serial();
  /** Whole pieces, one after another. */
  readonly #printing = new Serial();
  readonly #spill = new Spill();
  #waiting = 0;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#ordering = new Ordering(options.keepsOrder);
  }

  /** Whether more may come. */
  get hasRoom(): boolean {
    return this.#waiting < MOST_WAITING;
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
    const entry: Entry = { job, reader, result: null, live: null, onDone };
    this.#entries.set(job, entry);
    this.#ordering.begin(entry);
    if (!this.#options.keepsOrder || this.#ordering.front === entry) this.#followInTurn(entry);
  }

  /** A job has ended for good; resolves once its output has gone where it should. */
  end(job: FarmJob, result: JobResult): Promise<void> {
    const entry = this.#entries.get(job)!;
    entry.result = result;
    const isSpilled = this.#hold(entry, result);
    if (!isSpilled && result.outputs.includes(null)) this.#waiting++;
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

  /** One that waits for its turn takes no more memory than there is; returns whether it moved. */
  #hold(entry: Entry, result: JobResult): boolean {
    if (!this.#options.keepsOrder) return false;
    const spilled = this.#spill.hold(result);
    if (spilled === null) return false;
    entry.reader = spilled;
    entry.result = { ...result, outputs: [null, null] };
    return true;
  }

  #finish(entry: Entry): void {
    const { job, onDone } = entry;
    this.#turns.add(() => this.#deliver(entry)).then(onDone.resolve, onDone.reject);
    this.#entries.delete(job);
  }

  async #deliver(entry: Entry): Promise<void> {
    const { job, reader, live } = entry;
    const result = entry.result!;
    const isPrinted = live !== null;
    if (isPrinted) await live;
    const keepers = [...this.#options.keepers];
    if (this.#options.prints && !isPrinted) keepers.push(new Printing(this.#options.tag));
    await this.#printing.add(() => deliver(job, result, reader, keepers));
    if (this.#options.keepsOrder) this.#spill.free(result);
    if (!result.outputs.includes(null)) return;
    this.#waiting = Math.max(0, this.#waiting - 1);
    reader.drop();
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
