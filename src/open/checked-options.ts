import { getRank } from "../job/environment.ts";
import type { Members } from "../job/communicator-members.ts";
import {
  DEFAULT_OPEN_TIMEOUT_MS,
  ownOption,
  type PoolOptions,
  type PoolSettings,
  readOption,
  readPoolOptions,
} from "../options.ts";
import { FOREVER_MS } from "../os/waits.ts";

/**
 * The options of one call of `open`, read once. Which ranks say what is wrong with them, and when,
 * differs from option to option: so an error is kept until it is asked for.
 */
export class OpenOptions {
  /** Null where something is wrong with them. */
  readonly settings: PoolSettings | null = null;
  readonly #given: PoolOptions;
  readonly #error: unknown;

  constructor(given: PoolOptions) {
    this.#given = given;
    try {
      this.settings = readPoolOptions(given);
    } catch (error) {
      this.#error = error;
    }
  }

  /** The settings, or a `TypeError` that says which option is wrong, and how. */
  check(): PoolSettings {
    if (this.settings === null) throw this.#error;
    return this.settings;
  }

  /** Whether the pool may be one of an MPI job, whatever else is wrong. */
  get mayUseMpi(): boolean {
    const mpi = this.settings === null ? ownOption(this.#given, "mpi") : this.settings.mpi;
    return mpi !== false;
  }

  /**
   * The communicator; undefined where there is none. Whose pool a rank is to serve is known by
   * nothing else: so a wrong one is a `TypeError` on every rank, and what is wrong with other
   * options is none.
   */
  get comm(): Members | undefined {
    if (this.settings !== null) return this.settings.comm;
    return readOption(this.#given, "comm") as Members | undefined;
  }

  /**
   * Whether ranks wait for what comes of the pool, and go on afterwards. That is known by nothing
   * else: so a wrong one is a `TypeError` on every rank, and what is wrong with other options is
   * none.
   */
  get release(): boolean {
    return this.settings?.release ?? readOption(this.#given, "release") === true;
  }

  /**
   * ms for MPI to start, whatever is wrong with the options: the others wait in it for this rank.
   * Rank 0 has workers to wait for; these wait for rank 0 as long as it lives.
   */
  get initTimeout(): number {
    if (getRank() !== 0) return FOREVER_MS;
    return this.settings?.openTimeout ?? DEFAULT_OPEN_TIMEOUT_MS;
  }
}
