import { type AsyncPool, CancelledError, type MessageHandle } from "../../index.ts";
import { Random } from "./random.ts";
import { check, MOST_BYTES, newBytes, Refusal, refuse, reply, replyLater } from "./work.ts";

/** At most so many calls are unsettled at a time; how many it is varies. */
const MOST_OPEN = 16_384;

/** What the calls that were made came to. */
export interface Tally {
  done: number;
  failed: number;
  cancelled: number;
  /** Bytes of all arguments, and of the results that came. */
  sent: number;
  received: number;
  /** How many calls did not end as they should have. */
  wrong: number;
  /** What was wrong with the first of them. */
  readonly complaints: string[];
}

/** One call that is not settled. */
interface Call {
  readonly id: number;
  readonly handle: MessageHandle<Uint8Array>;
  /** Cancels it, if it has a signal. */
  readonly controller: AbortController | null;
  readonly given: number;
  readonly fails: boolean;
  /** What its handle has to reject with, once it was cancelled. */
  reason: "CancelledError" | Error | null;
  /** Its place among those that are open. */
  place: number;
}

/**
 * Calls of random sizes and priorities, some of them cancelled, in bursts and lulls. One in twenty carries
 * up to 1 MiB each way, the others up to 1 KiB, one in ten nothing; on average some 4 KiB.
 */
export class Calls {
  readonly tally: Tally = {
    done: 0,
    failed: 0,
    cancelled: 0,
    sent: 0,
    received: 0,
    wrong: 0,
    complaints: [],
  };
  readonly #pool: AsyncPool;
  readonly #random: Random;
  readonly #open: Call[] = [];
  #made = 0;
  /** Called when no more than so many are open. */
  #waiter: { readonly most: number; readonly resolve: () => void } | null = null;

  constructor(pool: AsyncPool, seed: number) {
    this.#pool = pool;
    this.#random = new Random(seed);
  }

  /** Makes so many calls; resolves when the last one is settled, and judged. */
  async make(count: number): Promise<void> {
    const end = this.#made + count;
    while (this.#made < end) {
      const most = this.#random.ofAnyLength(MOST_OPEN);
      while (this.#open.length < most && this.#made < end) this.#makeOne();
      await this.#until(this.#random.below(most));
    }
    await this.#until(0);
  }

  #makeOne(): void {
    const random = this.#random;
    const id = ++this.#made;
    const taken = this.#size();
    const given = this.#size();
    const controller = random.chance(0.05) ? new AbortController() : null;
    const view = this.#pool.with({
      priority: random.chance(0.2) ? 0 : random.below(1000) - 500,
      ...(random.chance(0.02) ? { timeout: 600_000 } : {}),
      ...(random.chance(0.02) ? { retries: 1 } : {}),
      ...(controller === null ? {} : { signal: controller.signal }),
    });
    const kind = random.next();
    const fn = kind < 0.85 ? reply : kind < 0.95 ? replyLater : refuse;
    const handle = view.async(fn, id, taken, newBytes(id, "argument", taken), given);
    const place = this.#open.length;
    const call = { id, handle, controller, given, fails: fn === refuse, reason: null, place };
    this.#open.push(call);
    this.tally.sent += taken;
    void this.#judge(call);
    if (random.chance(0.04)) this.#cancelOne();
  }

  #size(): number {
    const random = this.#random;
    if (random.chance(0.1)) return 0;
    return random.ofAnyLength(random.chance(0.05) ? MOST_BYTES : 1024);
  }

  /** Whichever it is: it may wait, be on its way there, run, or be on its way back. */
  #cancelOne(): void {
    const call = this.#open[this.#random.below(this.#open.length)];
    if (call === undefined || call.reason !== null || call.handle.ready()) return;
    if (call.controller !== null) {
      call.reason = new Error(`call ${call.id} is not wanted`);
      call.controller.abort(call.reason);
      return;
    }
    call.reason = "CancelledError";
    if (!call.handle.cancel()) this.#complain(`call ${call.id}: cancel() said it was settled`);
    if (call.handle.state !== "cancelled") {
      this.#complain(`call ${call.id}: it was cancelled, and is ${call.handle.state}`);
    }
  }

  async #judge(call: Call): Promise<void> {
    try {
      const bytes = await call.handle;
      this.#judgeResult(call, bytes);
    } catch (error) {
      this.#judgeError(call, error);
    }
    const last = this.#open.pop()!;
    if (last !== call) {
      this.#open[call.place] = last;
      last.place = call.place;
    }
    // Also while others run: what is cancelled in `make` has seldom begun.
    if (this.#random.chance(0.03)) this.#cancelOne();
    if (this.#waiter !== null && this.#open.length <= this.#waiter.most) {
      this.#waiter.resolve();
      this.#waiter = null;
    }
  }

  #judgeResult(call: Call, bytes: Uint8Array): void {
    this.tally.done++;
    this.#expect(call, call.reason === null && !call.fails, "it has a result");
    this.#checkBytes(call, bytes);
  }

  #judgeError(call: Call, error: unknown): void {
    if (call.reason !== null) {
      this.tally.cancelled++;
      const isReason =
        call.reason === "CancelledError" ? error instanceof CancelledError : error === call.reason;
      return this.#expect(call, isReason, error);
    }
    this.tally.failed++;
    const isRefusal = call.fails && error instanceof Refusal && error.call === call.id;
    this.#expect(call, isRefusal, error);
    if (isRefusal) this.#checkBytes(call, error.bytes);
  }

  #checkBytes({ id, given }: Call, bytes: Uint8Array): void {
    this.tally.received += given;
    try {
      check(id, "result", given, bytes);
    } catch (error) {
      this.#complain((error as Error).message);
    }
  }

  #expect({ id, handle, reason, fails }: Call, holds: boolean, got: unknown): void {
    const what = reason !== null ? "cancelled" : fails ? "refused" : "done";
    if (!holds) this.#complain(`call ${id} should be ${what}: ${Bun.inspect(got)}`);
    const state = what === "refused" ? "failed" : what;
    if (handle.state !== state) this.#complain(`call ${id} is ${handle.state}, not ${state}`);
  }

  #complain(text: string): void {
    this.tally.wrong++;
    if (this.tally.complaints.length < 10) this.tally.complaints.push(text);
  }

  #until(most: number): Promise<void> {
    if (this.#open.length <= most) return Promise.resolve();
    return new Promise((resolve) => (this.#waiter = { most, resolve }));
  }
}
