import type { Link, LinkOwner, ControlledLink } from "../link/link.ts";
import type { JobSurroundings } from "./mpi.ts";
import type { LocalSurroundings } from "./local.ts";
import type { Asker, Surroundings } from "./backend.ts";
import type { WorkerList } from "../worker-list.ts";

/**
 * The outside of a pool of ranks and of processes beside rank 0: each worker as its kind has it.
 */
export class MixedSurroundings implements Surroundings {
  readonly #workers: WorkerList;
  readonly #job: JobSurroundings;
  readonly #local: LocalSurroundings;

  constructor(workers: WorkerList, job: JobSurroundings, local: LocalSurroundings) {
    this.#workers = workers;
    this.#job = job;
    this.#local = local;
  }

  get session(): number {
    return this.#job.session;
  }

  get opening(): Surroundings["opening"] {
    return this.#job.opening;
  }

  attach(asker: Asker): void {
    this.#job.attach(asker);
    this.#local.attach(asker);
  }

  connect(index: number, owner: LinkOwner): ControlledLink {
    return this.#placeOf(index).connect(index, owner);
  }

  hostOf(index: number): string {
    return this.#placeOf(index).hostOf(index);
  }

  #placeOf(index: number): JobSurroundings | LocalSurroundings {
    return this.#workers[index] === null ? this.#local : this.#job;
  }

  rankOf(index: number): number | null {
    return this.#workers[index]!;
  }

  disconnect(link: Link): void {
    if (link.rank === null) this.#local.disconnect(link);
  }

  poll(): boolean {
    const moved = this.#job.poll();
    return this.#local.poll() || moved;
  }

  checkAlive(): void {
    this.#local.checkAlive();
  }

  wait(ms: number): void {
    this.#job.wait(ms);
  }

  wake(): void {
    this.#job.wake();
    this.#local.wake();
  }

  rest(): void {
    this.#job.rest();
    this.#local.rest();
  }

  leave(): void {
    this.#job.leave();
    this.#local.leave();
  }
}
