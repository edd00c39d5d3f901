/**
 * The results of one map, kept in a file. Items come in by `take`, in order, and what is known of
 * one is given at once; results by `add`. A result that is committed survives every end of every
 * process.
 *
 * Results are committed together, at most every 100 ms: the first after a pause at once, so that a
 * program that then holds its event loop loses nothing by it; those that follow by a timer, or
 * sooner, when many have come together.
 */
import { dirname } from "node:path";
import { shortArguments } from "../codec/short.ts";
import { textOf } from "../errors.ts";
import { clearTimeout, performance, setTimeout } from "../os/natives.ts";
import { endUnseen, listenUnseen } from "../os/unseen.ts";
import { aside, keepWhole } from "../os/whole.ts";
import { type Computation, difference, type Maker } from "./computation.ts";
import { networkFileSystem } from "./mounts.ts";
import type { CheckedCheckpoint } from "./options.ts";
import { refusal } from "./refusals.ts";
import { type Row, Store } from "./store.ts";
import { type Classes, digestOf, keyCell, keyIn, ResultCodec } from "./values.ts";

/** ms between two commits. */
const COMMIT_MS = 100;
/**
 * On a network file system a commit may take tens of ms: it gets a tenth of the time, but is never
 * put off for longer than this.
 */
const SLOW_COMMIT_MS = 2_000;
const SLOW_SHARE = 10;

/** Rows, and bytes of them, that wait for a commit at most. */
const MOST_ROWS = 1_000;
const MOST_BYTES = 4 << 20;

/** Bytes of a value that SQLite can hold, with some to spare for the rest of its row. */
const MOST_VALUE_BYTES = 1e9 - 4_096;

/** Letters of an item that stand beside its result. */
const MOST_LETTERS = 60;

export interface Stored {
  readonly value: unknown;
}

/** What a checkpoint needs of the pool around it. */
export interface Surroundings {
  /** Where classes of errors among the results are found. */
  readonly classes?: Classes;
  /** Called once, from a timer, when results could not be committed; no later call throws then. */
  readonly failed?: (error: Error) => void;
  /** Instead of /proc/self/mountinfo. */
  readonly mounts?: string;
}

/** An item on its way: how its result will be known. */
interface Taken {
  readonly digest: number;
  readonly item: string;
  readonly key: string;
}

/** Paths that a warning was printed for. */
const warned = new Set<string>();

/** The checkpoints of this thread that are open. */
const open = new Set<Checkpoint>();

/** At the end of the process: what waits is committed, and each is one plain file. */
function closeAll(): void {
  for (const checkpoint of open) {
    try {
      checkpoint.close();
    } catch (error) {
      process.stderr.write(`bsync: ${textOf(error)}\n`);
    }
  }
}

export class Checkpoint {
  readonly #path: string;
  readonly #store: Store;
  readonly #codec: ResultCodec;
  readonly #options: CheckedCheckpoint;
  readonly #computation: Computation;
  readonly #failed: ((error: Error) => void) | null;
  readonly #isNetwork: boolean;
  /** By index. */
  readonly #taken = new Map<number, Taken>();
  /** By key: above 0 the row that was there; `~index` of an item of this run. */
  readonly #keys = new Map<string, number>();
  #rows: Row[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #committedAt = -Infinity;
  #interval = COMMIT_MS;
  #error: Error | null = null;
  /** Whether `#error` was thrown, or given to `failed`. */
  #isTold = false;
  #isClosed = false;

  /**
   * Opens or makes the file. Blocks for some seconds at most where another process has it.
   *
   * @throws CheckpointError if it is for something else, is held by another process, or is no such
   * file; it is not changed then.
   */
  static open(
    options: CheckedCheckpoint,
    computation: Computation,
    surroundings: Surroundings = {},
  ): Checkpoint {
    return new Checkpoint(options, computation, surroundings);
  }

  private constructor(
    options: CheckedCheckpoint,
    computation: Computation,
    { classes, failed, mounts }: Surroundings,
  ) {
    const { path, key, version, accept } = options;
    const network = networkFileSystem(dirname(path), mounts);
    const now: Maker = {
      kind: computation.kind,
      label: computation.label,
      text: computation.text,
      by: key === null ? "place" : "key",
      version: version === null ? null : String(version),
      bun: Bun.version,
    };
    this.#store = Store.open({ path, network }, (made) => {
      const found = made === null ? null : difference(path, made, now, accept);
      if (found !== null) throw found;
      return now;
    });
    this.#path = path;
    this.#codec = new ResultCodec(classes ?? null);
    this.#options = options;
    this.#computation = computation;
    this.#failed = failed ?? null;
    this.#isNetwork = network !== null;
    if (key !== null) this.#loadKeys();
    if (network !== null) warn(path, network);
    if (open.size === 0) listenUnseen("exit", closeAll);
    open.add(this);
  }

  #loadKeys(): void {
    try {
      for (const [id, cell] of this.#store.keys()) this.#keys.set(keyIn(cell), id);
    } catch (error) {
      this.#store.close();
      throw error;
    }
  }

  /** How many results were there when it was opened. */
  get count(): number {
    return this.#store.count;
  }

  /**
   * The result of an item, if it is kept; else null: its result is to be added, or the item
   * dropped.
   *
   * @throws CheckpointError if another item was in its place, or its key has come before; what
   * `key` throws; and, where `key` returns no text, TypeError.
   */
  take(item: unknown, index: number): Stored | null {
    this.#check();
    if (this.#isClosed) return null;
    return this.#options.key === null
      ? this.#takePlaced(item, index)
      : this.#takeKeyed(item, index, this.#options.key);
  }

  #takePlaced(item: unknown, index: number): Stored | null {
    const digest = aside(() => digestOf(item));
    const row = this.#store.at(index);
    if (row === null) {
      this.#taken.set(index, { digest, item: this.#shown(item), key: "" });
      return null;
    }
    if (row.digest !== digest) {
      if (!this.#options.accept) throw this.#differs(index, row.item, item);
      this.#push([index, this.#shown(item), digest, row.value], row.value.length);
    }
    return this.#decoded(row.value, `item ${index}`);
  }

  #takeKeyed(
    item: unknown,
    index: number,
    keyOf: NonNullable<CheckedCheckpoint["key"]>,
  ): Stored | null {
    const key: unknown = aside(() => keyOf(item as never, index));
    if (typeof key !== "string") {
      const got = key instanceof Promise ? "a promise" : shortArguments([key]);
      throw new TypeError(
        `Cannot use the key of item ${index}: key must return a text, and returned ${got}`,
      );
    }
    const known = this.#keys.get(key);
    if (known !== undefined && known < 0) {
      throw refusal(
        this.#path,
        `items ${~known} and ${index} have the same key, ${shortArguments([key])}`,
        "give each item a key of its own",
      );
    }
    this.#keys.set(key, ~index);
    if (known !== undefined) {
      return this.#decoded(this.#store.valueOf(known), `key ${shortArguments([key])}`);
    }
    this.#taken.set(index, { digest: 0, item: "", key });
    return null;
  }

  #decoded(bytes: Uint8Array, whose: string): Stored {
    try {
      return { value: this.#codec.decode(bytes) };
    } catch (error) {
      const finding = `the result of ${whose} in it cannot be read (${textOf(error)})`;
      throw refusal(this.#path, finding, "give another path, or remove the file", error);
    }
  }

  #differs(index: number, was: string, item: unknown) {
    return refusal(
      this.#path,
      `it was made for other items: item ${index} was ${was}, and is ${this.#shown(item)}` +
        (was === this.#shown(item) ? ", which differ further inside" : ""),
      "give another path, or remove the file, to begin anew; pass `accept: true` to the " +
        "checkpoint to take its results by their place all the same; or give it a `key`, by " +
        "which items are known wherever they stand",
    );
  }

  #shown(item: unknown): string {
    const args = this.#computation.kind === "starmap" && Array.isArray(item) ? item : [item];
    const text = shortArguments(args as unknown[]);
    return text.length > MOST_LETTERS ? `${text.slice(0, MOST_LETTERS - 1)}…` : text;
  }

  /**
   * Keeps the result of an item that `take` did not know. The value may change afterwards. Does
   * nothing for an item that is not awaited, and once this is closed.
   *
   * @throws CheckpointError if it cannot be kept, or if what came before could not be.
   */
  add(index: number, value: unknown): void {
    this.#check();
    const taken = this.#taken.get(index);
    if (taken === undefined || this.#isClosed) return;
    this.#taken.delete(index);
    const bytes = this.#encoded(value, index);
    const row =
      this.#options.key === null
        ? [index, taken.item, taken.digest, bytes]
        : [null, keyCell(taken.key), bytes];
    this.#push(row, bytes.length + taken.key.length);
  }

  /** Forgets an item whose result will not come, as it failed; its key stays taken. */
  drop(index: number): void {
    this.#taken.delete(index);
  }

  #encoded(value: unknown, index: number): Uint8Array {
    const whose = `the result of item ${index}`;
    let bytes: Uint8Array;
    try {
      bytes = aside(() => this.#codec.encode(value, "result"));
    } catch (error) {
      const finding = `${whose} cannot be kept in it (${textOf(error)})`;
      throw refusal(this.#path, finding, "return data of which it can be made again", error);
    }
    if (bytes.length <= MOST_VALUE_BYTES) return bytes;
    const finding = `${whose} takes ${bytes.length} bytes, and SQLite holds 10^9 in one value`;
    throw refusal(this.#path, finding, "let the function write it to a file, and return its path");
  }

  #push(row: Row, bytes: number): void {
    this.#rows.push(row);
    this.#bytes += bytes;
    const now = performance.now();
    const isDue = now - this.#committedAt >= this.#interval;
    if (isDue || this.#rows.length >= MOST_ROWS || this.#bytes >= MOST_BYTES) {
      this.flush();
    } else if (this.#timer === null) {
      const delay = this.#committedAt + this.#interval - now;
      // The process need not stay for it: what waits is committed when that ends.
      this.#timer = setTimeout(() => this.#flushLater(), delay).unref();
    }
  }

  /** Commits what waits. Throws CheckpointError if that fails: then none of it is kept. */
  flush(): void {
    this.#check();
    if (this.#rows.length === 0) return;
    this.#commit();
    this.#check();
  }

  /** As `flush`, by the timer, which has no caller to throw to. */
  #flushLater(): void {
    this.#timer = null;
    this.#commit();
    if (this.#error === null || this.#isTold || this.#failed === null) return;
    this.#isTold = true;
    this.#failed(this.#error);
  }

  #commit(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    if (rows.length === 0 || this.#error !== null) return;
    const start = performance.now();
    try {
      this.#store.write(rows);
    } catch (error) {
      this.#error = error as Error;
    }
    this.#committedAt = performance.now();
    if (!this.#isNetwork) return;
    const slow = SLOW_SHARE * (this.#committedAt - start);
    this.#interval = Math.min(Math.max(COMMIT_MS, slow), SLOW_COMMIT_MS);
  }

  /** Throws the error of a failed commit, once: the map ends by it. */
  #check(): void {
    if (this.#error === null || this.#isTold) return;
    this.#isTold = true;
    throw this.#error;
  }

  /**
   * Commits what waits, and leaves one plain file, with no log beside it. May be called twice.
   *
   * @throws CheckpointError if results could not be committed, and no earlier call has said so.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#commit();
    this.#store.close();
    this.#taken.clear();
    this.#keys.clear();
    open.delete(this);
    if (open.size === 0) endUnseen("exit", closeAll);
    this.#check();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

keepWhole([Checkpoint.prototype, Checkpoint]);

function warn(path: string, network: string): void {
  if (warned.has(path)) return;
  warned.add(path);
  process.stderr.write(
    `bsync: the checkpoint ${path} lies on ${network}, a network file system: results are ` +
      "committed there in a slower way, up to 2 s apart, and its locks may not keep runs on " +
      "other hosts away; a disk of this host suits better\n",
  );
}
