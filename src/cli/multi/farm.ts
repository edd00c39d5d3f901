/** Runs the jobs of a farm on the workers of a pool, as many at once as there are slots. */
import type { AsyncPool } from "../../pool.ts";
import { deliver, type Keeper } from "./delivery.ts";
import { type FarmJob, hasFailed, idOf, type OutputReader } from "./farm-job.ts";
import { dropJob, type JobResult, readOutput, runJob } from "./job.ts";
import type { MultiOptions } from "./options.ts";
import type { Template } from "./template.ts";

export interface Plan {
  readonly template: Template;
  readonly inputs: AsyncIterable<readonly string[]>;
  /** The number of inputs; null if it is not known. */
  readonly total: number | null;
  /** How many jobs run at once, at most. */
  readonly atOnce: number;
  readonly folder: string;
  readonly keepers: readonly Keeper[];
  readonly options: MultiOptions;
}

export class Farm {
  readonly #pool: AsyncPool;
  readonly #plan: Plan;
  failed = 0;

  constructor(pool: AsyncPool, plan: Plan) {
    this.#pool = pool;
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const { template, inputs, atOnce, folder, keepers } = this.#plan;
    const free = Array.from({ length: atOnce }, (_, i) => i + 1);
    const running = new Set<Promise<void>>();
    let sequence = 0;
    let delivered = Promise.resolve();
    for await (const values of inputs) {
      while (free.length === 0) await Promise.race(running);
      const slot = free.shift()!;
      const job: FarmJob = { sequence: ++sequence, values, tries: 1, slot, line: "" };
      job.line = template.line(job);
      const worker = (slot - 1) % this.#pool.size;
      const spec = {
        id: idOf(job),
        sequence,
        slot,
        line: job.line,
        words: template.words(job),
        folder,
        timeout: 0,
        isFollowed: false,
      };
      const done = this.#pool
        .with({ worker })
        .async(runJob, spec)
        .then((result: JobResult) => {
          free.push(slot);
          if (hasFailed(result)) this.failed++;
          const reader: OutputReader = {
            read: (stream, from, length) =>
              this.#pool.with({ worker }).async(readOutput, spec.id, stream, from, length).get(),
            drop: () => void this.#pool.with({ worker }).async(dropJob, spec.id),
          };
          delivered = delivered
            .then(() => deliver(job, result, reader, keepers))
            .then(() => {
              if (result.outputs.includes(null)) reader.drop();
            });
        })
        .finally(() => running.delete(done)) as Promise<void>;
      running.add(done);
    }
    await Promise.all(running);
    await delivered;
  }
}
