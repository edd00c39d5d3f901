/**
 * Another pool for JavaScript, with one worker, under Bun: `pools.ts piscina`; as `pools.ts piscina
 * pace PHASES` a call after each silence (`paces.ts`). They may be missing, hence the types of our
 * own.
 */
import { callsAfterSilences, phasesOf } from "../programs/paces.ts";
import { report, quantile, roundTrips } from "../programs/report.ts";
import { load } from "./load.ts";

/** What is used of them. */
interface Runner {
  run(data: number): Promise<unknown>;
  close(): Promise<unknown>;
}

interface FilePool {
  run(data: number): Promise<unknown>;
  destroy(): Promise<void>;
}

interface FilePoolOptions {
  readonly filename: string;
  readonly minThreads: number;
  readonly maxThreads: number;
}

interface NamedPool {
  exec(name: string, args: readonly unknown[]): Promise<unknown>;
  terminate(): Promise<unknown>;
}

interface FixedPool {
  execute(data: number): Promise<unknown>;
  destroy(): Promise<void>;
}

const RATE_CALLS = 10_000;

function fileOf(name: string): string {
  return `${import.meta.dir}/${name}`;
}

function ofFile(Pool: new (options: FilePoolOptions) => FilePool): Runner {
  const pool = new Pool({ filename: fileOf("pools-export.ts"), minThreads: 1, maxThreads: 1 });
  return { run: (data) => pool.run(data), close: () => pool.destroy() };
}

const runners: Readonly<Record<string, () => Promise<Runner>>> = {
  async piscina() {
    const { Piscina } = (await load("piscina")) as { Piscina: Parameters<typeof ofFile>[0] };
    return ofFile(Piscina);
  },
  async tinypool() {
    const { Tinypool } = (await load("tinypool")) as { Tinypool: Parameters<typeof ofFile>[0] };
    return ofFile(Tinypool);
  },
  async workerpool() {
    const { pool: open } = (await load("workerpool")) as {
      pool: (file: string, options: object) => NamedPool;
    };
    const pool = open(fileOf("pools-workerpool.ts"), {
      minWorkers: 1,
      maxWorkers: 1,
      // Its threads never answer under Bun, whose threads have `postMessage` as Web Workers do.
      workerType: "web",
    });
    return { run: (data) => pool.exec("same", [data]), close: () => pool.terminate() };
  },
  async poolifier() {
    const { FixedThreadPool } = (await load("poolifier")) as {
      FixedThreadPool: new (workers: number, file: string) => FixedPool;
    };
    const pool = new FixedThreadPool(1, fileOf("pools-poolifier.ts"));
    return { run: (data) => pool.execute(data), close: () => pool.destroy() };
  },
};

const name = process.argv[2] ?? "";
const make = runners[name];
if (make === undefined) throw new Error(`one of ${Object.keys(runners).join(", ")}, please`);
const runner = await make();
if (process.argv[3] === "pace") {
  report(await callsAfterSilences((i) => runner.run(i), phasesOf(process.argv[4])));
  await runner.close();
  process.exit(0);
}
const times = await roundTrips((i) => runner.run(i), {
  warm: 1000,
  calls: 5000,
  warmMs: 200,
  ms: 300,
});
const start = performance.now();
const answers = await Promise.all(Array.from({ length: RATE_CALLS }, (_, i) => runner.run(i)));
const seconds = (performance.now() - start) / 1e3;
if (answers[RATE_CALLS - 1] !== RATE_CALLS - 1) throw new Error("wrong results");
report({ us: quantile(times, 0.5), p99: quantile(times, 0.99), rate: RATE_CALLS / seconds });
await runner.close();
process.exit(0);
