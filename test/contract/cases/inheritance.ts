import { AsyncPool, ProcException } from "../../../index.ts";
import { assert, failure } from "../assert.ts";
import { Subject } from "../case.ts";
import { square } from "../fixtures/functions.ts";

/** What objects inherit is none of their options. */
export const inheritance = new Subject("inheritance", "code");

/** Each would fail, hang or change what is called, if it were taken. */
const POISON: Readonly<Record<string, unknown>> = {
  timeout: 0,
  priority: "high",
  retries: -1,
  signal: AbortSignal.abort("inherited"),
  mpi: "never",
  tag: 70_000,
  keepUnused: "yes",
  release: "yes",
  initializer: "() => { throw new Error('inherited') }",
  env: { PATH: "" },
  cwd: "/nowhere/at/all",
  isolate: "yes",
  maxTasksPerWorker: -1,
  maxMemoryPerWorker: -1,
  queueLimit: -1,
  spin: -1,
  comm: "none",
  drainSignals: ["SIGKILL"],
  drainTimeout: -1,
  openTimeout: 0,
  reraise: false,
  // What the engine's own functions would take.
  stdio: ["pipe", "pipe", "pipe"],
  argv0: "inherited",
  killSignal: "SIGSEGV",
  cause: "inherited",
  once: true,
  unknown: 1,
};

/** With all that in Object.prototype, while `deed` runs. */
async function poisoned<T>(deed: () => Promise<T>): Promise<T> {
  const prototype = Object.prototype as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(POISON)) {
    Object.defineProperty(prototype, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  try {
    return await deed();
  } finally {
    for (const name of Object.keys(POISON)) delete prototype[name];
  }
}

inheritance.it("open, with, get and getSync take nothing that their options inherit", () =>
  poisoned(async () => {
    await using pool = await AsyncPool.open(1, {});
    assert.equal(await pool.async(square, 3), 9);
    assert.equal(await pool.with({}).async(square, 4).get({}), 16);
    assert.equal(pool.async(square, 5).getSync({}), 25);
    assert.deepEqual(await pool.each(square, 2), [4]);
    const thrown = await failure(pool.async("JSON.parse", "{").get({}), SyntaxError);
    assert.ok(!(thrown instanceof ProcException));
  }),
);

inheritance.it("nor what an object made of others inherits", async ({ workers }) => {
  await using pool = await AsyncPool.open(workers, Object.create(POISON));
  assert.equal(await pool.with(Object.create(POISON)).async(square, 3), 9);
  assert.equal(await pool.async(square, 3).get(Object.create(POISON)), 9);
  assert.equal(pool.async(square, 3).getSync(Object.create(POISON)), 9);
});

inheritance.it(
  "a local worker is in the program's own folder, with its variables",
  async () => {
    const place = () => [process.cwd(), process.env["PATH"]];
    const found = await poisoned(async () => {
      await using pool = await AsyncPool.open(1);
      return await pool.async(place);
    });
    assert.deepEqual(found, place());
  },
  { modes: ["local"] },
);
