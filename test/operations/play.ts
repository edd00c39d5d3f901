/**
 * Random operations on one pool, by a model of what may become of each call. Operations are done in the midst of
 * others, too: arguments have getters that submit, cancel, wait, close and terminate while they are encoded.
 */
import {
  AsyncPool,
  CancelledError,
  type MessageHandle,
  PoolClosedError,
  TimeoutError,
  ValueError,
  WorkerLostError,
} from "../../index.ts";
import { Random } from "../fuzz/random.ts";
import * as tasks from "./tasks.ts";

export interface PlaySettings {
  readonly seed: number;
  /** Which play of that seed. */
  readonly play: number;
  /** The most workers a pool may have. */
  readonly workers: number;
  /** Workers are processes, which may be ended. */
  readonly mortal: boolean;
  readonly isolate: boolean;
  readonly operations: number;
}

/** How often each operation was done, and each outcome seen. */
export type Tally = Record<string, number>;

type Name = keyof typeof tasks;

/** A call, and what the operations on it so far allow. */
interface Call {
  readonly number: number;
  readonly name: Name;
  readonly handle: MessageHandle<unknown>;
  /** What it is to return, as JSON. */
  readonly value: string;
  readonly hasTimeout: boolean;
  readonly hasSignal: boolean;
  /** It cannot be encoded: an argument's getter throws, or has a value that cannot travel. */
  readonly isBad: boolean;
  /** The pool was closed while its arguments were read. */
  readonly isLate: boolean;
  /** `cancel` has said that it was not settled yet. */
  cancelled: boolean;
  /** How often its promise was settled. */
  settled: number;
}

/** Getters within getters, no deeper than that. */
const MOST_DEPTH = 3;

/** Calls that a play has on its hands at a time: those settled before are judged and forgotten. */
const WINDOW = 200;

/** Of an endless call, which only these end. */
const SHORT_MS = [1, 3, 8] as const;

const SIGNALS = 3;

class Play {
  readonly #random: Random;
  readonly #settings: PlaySettings;
  readonly #pool: AsyncPool;
  readonly #tally: Tally;
  readonly #aborters = Array.from({ length: SIGNALS }, () => new AbortController());
  #calls: Call[] = [];
  #number = 0;
  #depth = 0;
  #left: number;
  #deaths = 0;
  #isClosed = false;
  #isTerminated = false;

  constructor(pool: AsyncPool, settings: PlaySettings, tally: Tally) {
    this.#pool = pool;
    this.#settings = settings;
    this.#tally = tally;
    this.#left = settings.operations;
    this.#random = new Random(settings.seed, settings.play);
  }

  /** For who wants to know why it does not end. */
  toString(): string {
    const open = this.#calls.filter(({ settled }) => settled === 0);
    const calls = open.map(({ number, name, handle }) => [number, name, handle.state]);
    const { seed, play } = this.#settings;
    return `play ${play} of seed ${seed}: ${JSON.stringify({ workers: this.#pool.workers, calls })}`;
  }

  /** How many operations were done. */
  async run(): Promise<number> {
    // A pool that was closed refuses all that is submitted: some of that is enough.
    while (this.#left > 0 && !this.#isTerminated && !(this.#isClosed && this.#random.oneIn(20))) {
      this.#operate();
      if (this.#random.oneIn(4)) await new Promise((resolve) => setImmediate(resolve));
      if (this.#calls.length > WINDOW) await this.#judgeSettled();
    }
    for (const aborter of this.#aborters) aborter.abort("the end");
    // What waits without end, and has neither timeout nor signal, is ended by `terminate` alone.
    for (const call of this.#calls) if (call.name === "wait") this.#cancel(call);
    if (this.#random.oneIn(3)) void this.#terminate();
    await this.#pool.close();
    await this.#judgeAll();
    for (const { state } of this.#pool.workers)
      this.#expect(state === "gone", `a worker is ${state}`);
    return this.#settings.operations - this.#left;
  }

  /** One operation, of any kind; done by getters, too. */
  #operate(): void {
    this.#left--;
    const random = this.#random;
    const dice = random.below(100);
    if (dice < 55) this.#submit();
    else if (dice < 63) this.#with((call) => this.#cancel(call));
    else if (dice < 70) this.#with((call) => void call.handle.ready());
    else if (dice < 76) this.#with((call) => this.#getSync(call));
    else if (dice < 82) this.#with((call) => void call.handle.get().catch(() => {}));
    else if (dice < 84) this.#abort(random.below(SIGNALS));
    else if (dice < 86) this.#each();
    else if (dice < 97) void `${this.#pool.size} ${JSON.stringify(this.#pool.workers)}`;
    else if (dice < 98 && random.oneIn(8)) this.#submitDeep();
    else if (random.oneIn(this.#depth > 0 ? 8 : 60)) void this.#close();
    else if (random.oneIn(this.#depth > 0 ? 8 : 60)) void this.#terminate();
    else if (this.#settings.mortal && random.oneIn(20)) this.#kill();
  }

  #with(deed: (call: Call) => void): void {
    if (this.#calls.length > 0) deed(this.#random.pick(this.#calls));
  }

  #submit(): void {
    const random = this.#random;
    const number = this.#number++;
    const name = this.#pickName();
    const signal = name === "wait" || random.oneIn(8) ? random.below(SIGNALS) : null;
    const timeout = name === "wait" || random.oneIn(8) ? random.pick(SHORT_MS) : null;
    const isBad = random.oneIn(25);
    const before = this.#isClosed;
    let handle: MessageHandle<unknown>;
    try {
      const view = this.#pool.with({
        priority: random.oneIn(4) ? random.below(5) - 2 : 0,
        retries: random.oneIn(6) ? 1 : 0,
        ...(random.oneIn(4) ? { worker: random.below(this.#pool.size) } : {}),
        ...(random.oneIn(2) ? { retryOn: () => this.#retryOn() } : {}),
        ...(timeout === null ? {} : { timeout }),
        ...(signal === null ? {} : { signal: this.#aborters[signal]!.signal }),
      });
      handle = view.async(tasks[name], this.#argument(number, isBad));
    } catch (error) {
      this.#count("refused");
      const isKnown =
        (error instanceof PoolClosedError && this.#isClosed) ||
        (error instanceof WorkerLostError && this.#deaths >= 3);
      if (!isKnown) throw error;
      if (!before && !this.#isClosed) this.#isTerminated = true;
      return;
    }
    this.#expect(!before, "a closed pool has taken a call");
    const call: Call = {
      number,
      name,
      handle,
      value: JSON.stringify({ number }),
      hasTimeout: timeout !== null,
      hasSignal: signal !== null,
      isBad,
      isLate: this.#isClosed,
      cancelled: false,
      settled: 0,
    };
    this.#calls.push(call);
    const settle = () => void call.settled++;
    handle.then(settle, settle);
  }

  /** Some answers come when something else was done, as ending the pool. */
  #retryOn(): boolean | number {
    const random = this.#random;
    if (random.oneIn(3) && this.#left > 0 && this.#depth < MOST_DEPTH) {
      this.#depth++;
      try {
        this.#operate();
      } finally {
        this.#depth--;
      }
    }
    return random.pick([true, false, 0, 0.5, 3]);
  }

  /** Submits where the stack ends: some of it may fail, half-way, with the engine's own error. */
  #submitDeep(): void {
    const submit = () => {
      try {
        this.#submit();
        return true;
      } catch (error) {
        if (error instanceof RangeError && error.message.includes("call stack")) return false;
        throw error;
      }
    };
    const walk = (): boolean => {
      try {
        return walk();
      } catch {
        return submit();
      }
    };
    walk();
  }

  #pickName(): Name {
    const random = this.#random;
    const dice = random.below(100);
    if (dice < 55) return "echo";
    if (dice < 70) return "echoLater";
    if (dice < 78) return "spin";
    if (dice < 86) return "fail";
    if (dice < 91) return "refuse";
    if (dice < 99 || !this.#settings.mortal || !random.oneIn(5)) return "wait";
    this.#deaths++;
    return "exit";
  }

  /** An argument whose JSON says the call's number; in some getters do something else meanwhile. */
  #argument(number: number, isBad: boolean): object {
    if (isBad) return this.#random.oneIn(2) ? { number, bad: Symbol("bad") } : thrower();
    if (!this.#random.oneIn(6)) return { number };
    const operate = () => {
      if (this.#depth >= MOST_DEPTH) return;
      this.#depth++;
      try {
        this.#operate();
      } finally {
        this.#depth--;
      }
    };
    const read = () => {
      operate();
      return number;
    };
    if (this.#random.oneIn(2))
      return Object.defineProperty({}, "number", { get: read, enumerable: true });
    return new Proxy({ number }, { ownKeys: (target) => (operate(), Reflect.ownKeys(target)) });
  }

  #cancel(call: Call): void {
    const isSettled = call.handle.state !== "queued" && call.handle.state !== "running";
    const did = call.handle.cancel(`call ${call.number}`);
    this.#expect(!(did && isSettled), "a settled call was cancelled");
    if (did) call.cancelled = true;
  }

  #getSync(call: Call): void {
    try {
      const value = call.handle.getSync({ timeout: this.#random.pick([0, 0.1, 1]) });
      this.#expect(call.handle.state === "done", "getSync has a value of what is not done");
      this.#expect(JSON.stringify(value) === call.value, `getSync has ${JSON.stringify(value)}`);
    } catch (error) {
      if (error instanceof Failed) throw error;
    }
  }

  #abort(which: number): void {
    this.#aborters[which]!.abort("aborted");
    this.#aborters[which] = new AbortController();
  }

  #each(): void {
    try {
      this.#pool.each(tasks.echo, 1).catch(() => {});
    } catch {
      // It is closed, or broken.
    }
  }

  #kill(): void {
    const { pid } = this.#random.pick(this.#pool.workers);
    if (pid === 0) return;
    this.#deaths++;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }

  #close(): Promise<void> {
    this.#isClosed = true;
    // Else it would wait for what never ends.
    for (const call of this.#calls) if (call.name === "wait") this.#cancel(call);
    return this.#pool.close();
  }

  #terminate(): Promise<void> {
    this.#isClosed = true;
    this.#isTerminated = true;
    return this.#pool.terminate("over");
  }

  async #judgeSettled(): Promise<void> {
    const settled = this.#calls.filter(
      ({ handle }) => handle.state !== "queued" && handle.state !== "running",
    );
    // Promises tell in the turn after.
    await new Promise((resolve) => setImmediate(resolve));
    for (const call of settled) await this.#judge(call);
    const done = new Set(settled);
    this.#calls = this.#calls.filter((call) => !done.has(call));
    // The window is full of what waits: it has to go on.
    if (done.size === 0)
      await Promise.race(
        this.#calls.map(({ handle }) =>
          handle.then(
            () => {},
            () => {},
          ),
        ),
      );
  }

  async #judgeAll(): Promise<void> {
    await Promise.allSettled(this.#calls.map(({ handle }) => handle.get()));
    await new Promise((resolve) => setImmediate(resolve));
    for (const call of this.#calls) await this.#judge(call);
  }

  async #judge(call: Call): Promise<void> {
    const { handle } = call;
    const [first, second] = await Promise.allSettled([handle.get(), handle.get()]);
    const fail = (what: string): never => {
      throw new Failed(
        `call ${call.number} (${call.name}, ${handle.state}): ${what}: ${Bun.inspect(first)}`,
      );
    };
    if (call.settled !== 1) fail(`its promise was settled ${call.settled} times`);
    if (first!.status !== second!.status) fail("it tells different things");
    if (!handle.ready()) fail("it is settled, and not ready");
    if (first!.status === "fulfilled") {
      this.#count("done");
      if (handle.state !== "done") fail("it has a value, and is not done");
      const isRight = JSON.stringify(first.value) === call.value;
      if (!isRight || !RETURNING.includes(call.name) || call.isBad) fail("a wrong value");
      return;
    }
    const outcome = this.#outcomeOf(call, (first as PromiseRejectedResult).reason);
    if (outcome === null) return fail("nothing led to that");
    this.#count(outcome);
    const state = outcome === "cancelled" || outcome === "aborted" ? "cancelled" : "failed";
    if (handle.state !== state) fail(`it is ${handle.state}, and was ${outcome}`);
  }

  /** The name of a failure that the operations so far explain; null for any other. */
  #outcomeOf(call: Call, reason: unknown): string | null {
    const { name, hasTimeout, hasSignal, isBad, cancelled } = call;
    if (reason instanceof CancelledError)
      return cancelled || this.#isTerminated ? "cancelled" : null;
    if (reason === "aborted" || reason === "the end") return hasSignal ? "aborted" : null;
    if (reason instanceof PoolClosedError) return call.isLate ? "closed meanwhile" : null;
    if (reason instanceof TimeoutError) return hasTimeout ? "timeout" : null;
    if (reason instanceof WorkerLostError) return this.#deaths > 0 ? "lost" : null;
    if (reason instanceof ValueError) return isBad || name === "refuse" ? "cannot travel" : null;
    if (reason instanceof RangeError) return name === "fail" && !isBad ? "failed" : null;
    return isBad && reason instanceof Thrown ? "getter" : null;
  }

  #count(name: string): void {
    this.#tally[name] = (this.#tally[name] ?? 0) + 1;
  }

  #expect(condition: boolean, what: string): void {
    if (!condition) throw new Failed(what);
  }
}

const RETURNING: readonly Name[] = ["echo", "echoLater", "spin"];

/** What the model does not allow. */
class Failed extends Error {}

/** What a getter throws. */
class Thrown extends Error {}

function thrower(): object {
  return Object.defineProperty({}, "number", {
    get() {
      throw new Thrown("of a getter");
    },
    enumerable: true,
  });
}

/** Plays to the end: how many operations that were. `watch` is given what can say how far it is. */
export async function play(
  settings: PlaySettings,
  tally: Tally,
  watch: (play: object) => void,
): Promise<number> {
  const random = new Random(settings.play, settings.seed);
  const count = 1 + random.below(settings.workers);
  const pool = await AsyncPool.open(count, { isolate: settings.isolate });
  const one = new Play(pool, settings, tally);
  watch(one);
  return await one.run();
}
