import type { Link, LinkOwner, ControllerEnd } from "../link/link.ts";
import type { MpiBackend } from "./mpi.ts";
import type { LocalBackend } from "./local.ts";
import type { BackendOwner, Backend } from "./backend.ts";
import type { WorkerList } from "../worker-list.ts";

/** The backend of a pool of ranks and of local processes: each worker has the one of its kind. */
export class MixedBackend implements Backend {
  readonly #workers: WorkerList;
  readonly #job: MpiBackend;
  readonly #local: LocalBackend;

  constructor(workers: WorkerList, job: MpiBackend, local: LocalBackend) {
    this.#workers = workers;
    this.#job = job;
    this.#local = local;
  }

  get session(): number {
    return this.#job.session;
  }

  get opening(): Backend["opening"] {
    return this.#job.opening;
  }

  attach(owner: BackendOwner): void {
    this.#job.attach(owner);
    this.#local.attach(owner);
  }

  connect(index: number, owner: LinkOwner): ControllerEnd {
    return this.#backendOf(index).connect(index, owner);
  }

  hostOf(index: number): string {
    return this.#backendOf(index).hostOf(index);
  }

  #backendOf(index: number): MpiBackend | LocalBackend {
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

  unref(): void {
    this.#job.unref();
    this.#local.unref();
  }

  close(): void {
    this.#job.close();
    this.#local.close();
  }
}
