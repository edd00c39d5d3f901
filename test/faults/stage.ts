/** One cell of the table, played: a pool of two, a task in its state, a fault, and what is true after. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AsyncPool,
  CancelledError,
  type MessageHandle,
  type PoolView,
  TimeoutError,
  ValueError,
  WorkerLostError,
} from "../../index.ts";
import { assert, until } from "../contract/assert.ts";
import type { Place } from "../contract/case.ts";
import { square } from "../contract/fixtures/functions.ts";
import { Gate, passGate } from "../contract/gate.ts";
import * as held from "./held.ts";
import type { Fault, State, Truth } from "./table.ts";

/** ms in which a fault has to have settled what it settles; a process that was stopped is watched for longer. */
const SETTLE_MS = 5_000;
const STALL_MS = 10_000;

/** ms that a task may run where the fault is a timeout: enough to come to its gate, also on a busy machine. */
export const TIMEOUT_MS = 250;

/** What a task with an AbortSignal rejects with. */
const REASON = new Error("nobody wants it");

const CONTROLLER = Symbol.for("faults.controller");

const HOLDING = {
  sync: held.holdSync,
  async: held.holdAsync,
  native: held.holdNative,
  replying: held.holdReply,
} as const;

/** A gate where a word is said. */
class WordGate extends Gate {
  say(word: string): void {
    const draft = join(this.path, "draft");
    writeFileSync(draft, word);
    renameSync(draft, join(this.path, "open"));
  }

  override open(): void {
    if (!existsSync(join(this.path, "open"))) this.say("return");
  }

  /** Of the process that is held here. */
  get pid(): number {
    return Number(readFileSync(join(this.path, "reached-0"), "utf8"));
  }
}

/** A worker that holds the subject or has it in its queue, one that must not notice, and a queue. */
export class Stage implements AsyncDisposable {
  gate = new WordGate();
  /** Where the neighbour's task waits. */
  #other = new Gate();
  readonly #aborter = new AbortController();
  readonly #stopped: number[] = [];
  readonly #pids = new Set<number>();
  readonly #place: Place;
  #pool: AsyncPool | null = null;
  #neighbour: MessageHandle<unknown> | null = null;
  #queue: MessageHandle<number>[] = [];
  /** What holds the worker where the subject is only queued, or was sent behind it. */
  #holder: MessageHandle<unknown> | null = null;
  /** The task in question; null where it comes after the fault. (Never returned by what is async: that would await it.) */
  #subject: MessageHandle<unknown> | null = null;
  #over = false;
  /** The worker in question does not outlive the fault. */
  #mortal = false;

  constructor(place: Place) {
    this.#place = place;
  }

  get pool(): AsyncPool {
    return this.#pool!;
  }

  /** The neighbour's worker first, then the one that comes to harm: `mortal` if it has to die of it. */
  #workers(mortal: boolean): number | (number | null)[] {
    if (!this.#place.mixed) return 2;
    return mortal ? [1, null] : [null, 1];
  }

  async play(fault: Fault, state: State, truth: Truth): Promise<void> {
    this.#mortal = isDeath(fault) || fault === "stop";
    if (state === "starting") return await this.#playStart(fault, truth);
    await this.#open();
    await this.#bringNeighbour();
    await this.#bring(fault, state);
    // An idle worker is sent something only when the fault is there.
    if (this.#subject !== null) this.#fillQueue();
    await this.#strike(fault, state, this.#subject);
    if (this.#subject === null) {
      this.#subject = this.pool.async(held.holdQuick, null);
      this.#fillQueue();
    }
    await this.#judge(fault, state, this.#subject, truth);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The pool is closed only where all went well; whatever is left ends with it.
    this.gate.open();
    for (const pid of this.#stopped) signal(pid, "SIGCONT");
    await this.#pool?.terminate();
    this.gate[Symbol.dispose]();
    this.#other[Symbol.dispose]();
  }

  #fillQueue(): void {
    this.#queue = [1, 2].map((x) => this.pool.async(square, x));
  }

  async #open(options: object = {}): Promise<void> {
    this.#pool = await AsyncPool.open(this.#workers(this.#mortal), options);
    this.#note();
  }

  /** A worker is busy with the neighbour's task: the first one, where the second has to be of another kind. */
  async #bringNeighbour(): Promise<void> {
    const call = this.pool.async(passGate, this.#other.path, "untouched");
    await this.#other.reached();
    this.#neighbour = call;
    if (!this.#place.mixed || call.worker === 0) return;
    // The process was ready before the rank. The first one takes it while that is kept busy.
    const aside = this.#other;
    this.#other = new Gate();
    this.#neighbour = this.pool.async(passGate, this.#other.path, "untouched");
    await this.#other.reached();
    aside.open();
    await call;
    aside[Symbol.dispose]();
  }

  /** Those that are gone when the pool is: all but plain ranks. */
  #note(): void {
    for (const { pid, rank } of this.pool.workers) {
      if (rank === null || this.#place.isolated) this.#pids.add(pid);
    }
  }

  /** Calls go with what the fault needs. */
  #view(fault: Fault): PoolView {
    if (fault.endsWith("timeout")) return this.pool.with({ timeout: TIMEOUT_MS });
    return fault === "abort" ? this.pool.with({ signal: this.#aborter.signal }) : this.pool;
  }

  /** Brings the subject into its state. */
  async #bring(fault: Fault, state: State): Promise<void> {
    const { gate, pool } = this;
    const { path } = gate;
    const view = this.#view(fault);
    switch (state) {
      case "idle":
        await pool.async(held.holdAfter, path);
        // Its event loop has turned since: it has done all that belongs to the answer.
        await until("the worker to wait", () => existsSync(join(path, "waits")));
        return;
      case "queued":
        this.#holder = pool.async(held.holdSync, path);
        await gate.reached();
        this.#subject = view.async(held.holdQuick, null);
        return;
      case "behind":
        return await this.#bringBehind(view);
      case "answering":
        gate.say(fault);
        this.#subject = view.async(held.holdAnswer, path);
        return;
      case "answered":
        this.#subject = view.async(held.holdAfter, path);
        await this.#subject;
        return;
      case "loading":
        this.#subject = view.async(await this.#loadHolding(path));
        break;
      case "overdue":
        this.#subject = view.async(held.holdSync, path);
        await gate.reached();
        assert.equal(this.#subject.cancel(), true);
        return;
      case "retried":
        this.#subject = pool.with({ retries: 1 }).async(held.holdSync, path);
        break;
      case "waiting":
        // What a first child needs is loaded: that takes a good part of a short timeout.
        await pool.async(held.haveChild);
        this.#subject = view.async(held.holdChild, path);
        break;
      case "starting":
        throw new Error("a pool that starts has no stage yet");
      default:
        this.#subject = view.async(HOLDING[state], path);
    }
    await gate.reached();
  }

  /** A function of a module that holds whoever loads it. */
  async #loadHolding(path: string): Promise<() => number> {
    const file = join(path, "held.ts");
    writeFileSync(file, held.holdingModule(path));
    Reflect.set(globalThis, CONTROLLER, true);
    return ((await import(file)) as { loaded: () => number }).loaded;
  }

  /** A call that was sent behind another one: both are of a function that is known as short. */
  async #bringBehind(view: PoolView): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      await Promise.all(Array.from({ length: 20 }, () => this.pool.async(held.holdQuick, null)));
      this.#holder = this.pool.async(held.holdQuick, this.gate.path);
      this.#subject = view.async(held.holdQuick, null);
      await Promise.resolve();
      if (this.#subject.state === "running") return await this.gate.reached();
      // Something interrupted one of the calls, which made the function long.
      this.gate.open();
      await Promise.all([this.#holder, this.#subject]);
      this.gate[Symbol.dispose]();
      this.gate = new WordGate();
    }
    throw new Error("a short function was never taken for one");
  }

  async #strike(fault: Fault, state: State, subject: MessageHandle<unknown> | null): Promise<void> {
    const { gate } = this;
    if (fault.startsWith("SIG")) {
      if (state !== "answering") signal(gate.pid, fault);
      return;
    }
    if (fault.startsWith("exit") || fault === "throw" || fault === "scribble") {
      if (state !== "answering") gate.say(fault);
      return;
    }
    if (fault.startsWith("stop")) {
      const { pid } = gate;
      this.#stopped.push(pid);
      signal(pid, "SIGSTOP");
      if (fault === "stop, cancel") assert.equal(subject!.cancel(), true);
      return;
    }
    switch (fault) {
      case "cancel":
        assert.equal(subject!.cancel(), state !== "overdue" && state !== "answered");
        return;
      case "abort":
        return this.#aborter.abort(REASON);
      case "timeout":
        // Where its time does not count, it has passed before the task is let go.
        if (!["sync", "async", "native", "replying", "waiting"].includes(state)) {
          await Bun.sleep(2 * TIMEOUT_MS);
          gate.open();
        }
        return;
      case "terminate":
        this.#over = true;
        return await this.pool.terminate();
      case "close": {
        this.#over = true;
        const closed = this.pool.close();
        gate.open();
        this.#other.open();
        return await closed;
      }
    }
  }

  async #judge(
    fault: Fault,
    state: State,
    subject: MessageHandle<unknown>,
    truth: Truth,
  ): Promise<void> {
    const found = await outcomeOf(subject, fault === "stop" ? STALL_MS : SETTLE_MS);
    assert.equal(found, truth);
    const settled = subject.state;
    const terminated = fault === "terminate";
    if (!terminated && fault !== "close") assert.equal(this.#neighbour!.state, "running");
    this.#other.open();
    // The queue may have been sent behind the same call.
    if (state === "behind") this.gate.open();
    const stays = terminated ? "cancelled" : "done";
    assert.equal(await outcomeOf(this.#neighbour!), stays, "the neighbour's task");
    for (const handle of this.#queue) assert.equal(await outcomeOf(handle), stays, "the queue");
    this.gate.open();
    for (const pid of this.#stopped) signal(pid, "SIGCONT");
    if (this.#holder !== null) await this.#judgeHolder(fault, this.#holder);
    if (!this.#over) await this.#judgeSlots();
    await this.pool.close();
    // Nothing that came later has changed what was settled.
    assert.equal(subject.state, settled);
    assert.equal(await outcomeOf(subject), found);
    await this.#leftNothing();
  }

  async #judgeHolder(fault: Fault, holder: MessageHandle<unknown>): Promise<void> {
    const truth = isDeath(fault)
      ? "lost"
      : fault === "throw"
        ? "thrown"
        : fault === "terminate"
          ? "cancelled"
          : "done";
    assert.equal(await outcomeOf(holder), truth, "what held the worker");
  }

  /** Every worker's place is there for the next task. */
  async #judgeSlots(): Promise<void> {
    const pids = await this.pool.each(held.pidOf);
    this.#note();
    assert.equal(new Set(pids).size, 2);
    assert.deepEqual(
      this.pool.workers.map(({ pid }) => pid),
      pids,
    );
    // One that was recalled while it was slow has to say that it knows.
    await until("every worker to be idle", () =>
      this.pool.workers.every(({ state }) => state === "idle"),
    );
  }

  async #leftNothing(): Promise<void> {
    const left = () => [...this.#pids].filter((pid) => existsSync(`/proc/${pid}`));
    await until("the workers to be gone", () => left().length === 0, 1_000);
  }

  /** A pool whose first worker comes to harm in its initializer. */
  async #playStart(fault: Fault, truth: Truth): Promise<void> {
    const { gate } = this;
    const initializer = this.#place.mixed
      ? [held.holdWhere, gate.path, this.#mortal]
      : [held.holdSync, gate.path];
    const opening = this.#open({ initializer });
    opening.catch(() => {});
    await gate.reached();
    await this.#strike(fault, "starting", null);
    if (truth === "thrown") {
      await assert.rejects(opening, RangeError);
      return;
    }
    await opening;
    assert.equal(await outcomeOf(this.pool.async(held.holdQuick, null)), truth);
    await this.#judgeSlots();
    await this.pool.close();
    await this.#leftNothing();
  }
}

function isDeath(fault: Fault): boolean {
  return fault.startsWith("SIG") || fault.startsWith("exit") || fault === "scribble";
}

/** How a handle is settled, which it has to be in time. */
async function outcomeOf(handle: MessageHandle<unknown>, limit = SETTLE_MS): Promise<Truth> {
  await until("the handle to be settled", () => handle.ready(), limit);
  const outcome = await handle.get().then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) {
    assert.equal(handle.state, "done");
    return "done";
  }
  const { error } = outcome;
  if (error === REASON || error instanceof CancelledError) {
    assert.equal(handle.state, "cancelled");
    return error === REASON ? "reason" : "cancelled";
  }
  assert.equal(handle.state, "failed");
  if (error instanceof WorkerLostError) return "lost";
  if (error instanceof TimeoutError) return "timeout";
  if (error instanceof RangeError && error.message === "told to throw") return "thrown";
  if (error instanceof ValueError && error.message.includes("told to throw")) return "refused";
  throw error;
}

function signal(pid: number, name: string): void {
  try {
    process.kill(pid, name);
  } catch {
    // It was replaced meanwhile.
  }
}
