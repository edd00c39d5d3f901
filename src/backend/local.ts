import { mainScript, mainText } from "../function/main-script.ts";
import type { Link, LinkOwner } from "../link/link.ts";
import { ProcessLink, type ProcessOptions } from "../link/local/process.ts";
import { waitReadable } from "../os/poll.ts";
import { ProgressLoop } from "../link/progress-loop.ts";
import type { Opening } from "../wire/frames.ts";
import type { BackendOwner, Backend } from "./backend.ts";
import { introduce } from "../wire/greeting.ts";
import { newSession } from "../wire/session.ts";

/** µs that the controller looks for an answer at each turn of the event loop, before it sleeps. */
const SPIN_US = 100;

/** ms of a blocked thread's sleep where it cannot wait for rings. */
const NAP_MS = 1;

/**
 * The backend of a local pool: processes that are started here. Both sides wake each other by
 * doorbells.
 */
export class LocalBackend implements Backend {
  readonly session = newSession();
  readonly opening: Opening;
  readonly wakesBlocked = true;
  readonly #options: ProcessOptions;
  readonly #links = new Set<ProcessLink>();
  readonly #progress: ProgressLoop;
  #owner: BackendOwner | null = null;

  constructor({ env, cwd }: Omit<ProcessOptions, "servedRank">, spin: number | undefined) {
    const spinUs = spin ?? SPIN_US;
    this.#options = { env, cwd, servedRank: null };
    this.opening = { main: mainScript(), text: mainText(), ...introduce(spinUs) };
    const links = this.#links;
    const source = {
      poll: () => this.poll(),
      isExpecting: () => this.#owner?.isExpecting ?? false,
      arm() {
        for (const link of links) if (!link.arm()) return false;
        return true;
      },
      disarm() {
        for (const link of links) link.disarm();
      },
      sleepMs: () => Infinity,
      // Bun cannot; but it sleeps, which does the same.
      yieldCore: () => {},
      peerSeesSleep: true,
    };
    this.#progress = new ProgressLoop(source, spinUs);
  }

  attach(owner: BackendOwner): void {
    this.#owner = owner;
  }

  connect(_: number, owner: LinkOwner): ProcessLink {
    const link: ProcessLink = new ProcessLink(this.#options, owner, this.#progress.onDoorbell, () =>
      this.#progress.wake(),
    );
    this.#links.add(link);
    // The progress loop may be asleep, and the new worker does not know yet that it has to ring.
    this.#progress.wake();
    return link;
  }

  hostOf(): string {
    return this.opening.host;
  }

  rankOf(): null {
    return null;
  }

  disconnect(link: Link): void {
    this.#links.delete(link as ProcessLink);
  }

  poll(): boolean {
    let moved = false;
    for (const link of this.#links) if (link.poll()) moved = true;
    return moved;
  }

  wait(ms: number): void {
    const links = [...this.#links];
    if (links.every((link) => link.arm())) this.#waitForRing(links, ms);
    for (const link of links) link.disarm();
    // The progress loop may have been asleep, and armed.
    this.#progress.wake();
  }

  #waitForRing(links: readonly ProcessLink[], ms: number): void {
    const rung = links.filter(({ blockingEnd }) => blockingEnd !== null);
    const ready = waitReadable(
      rung.map(({ blockingEnd }) => blockingEnd!),
      ms,
    );
    if (ready === null) Bun.sleepSync(Math.min(ms, NAP_MS));
    else for (const i of ready) rung[i]!.takeRings();
  }

  checkAlive(): void {
    for (const link of this.#links) link.checkAlive();
  }

  wake(): void {
    this.#progress.wake();
  }

  unref(): void {
    this.#progress.unref();
  }

  close(): void {}
}
