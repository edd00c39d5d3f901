import { mainScript, mainText } from "../function/main-script.ts";
import type { Link, LinkOwner } from "../link/link.ts";
import { LocalLink, type LocalOptions } from "../link/local/process.ts";
import { Pump } from "../link/pump.ts";
import type { Opening } from "../wire/messages.ts";
import type { Asker, Surroundings } from "./backend.ts";
import { introduce } from "../wire/greeting.ts";
import { newSession } from "../wire/session.ts";

/** µs that the controller looks for an answer at each turn of the event loop, before it sleeps. */
const SPIN_US = 100;

/** The outside of a pool of local processes: started here, and woken and waking by bells. */
export class LocalSurroundings implements Surroundings {
  readonly session = newSession();
  readonly opening: Opening;
  readonly #options: LocalOptions;
  readonly #links = new Set<LocalLink>();
  readonly #pump: Pump;
  #asker: Asker | null = null;

  constructor({ env, cwd }: Omit<LocalOptions, "place">, spin: number | undefined) {
    const spinUs = spin ?? SPIN_US;
    this.#options = { env, cwd, place: null };
    this.opening = { main: mainScript(), text: mainText(), ...introduce(spinUs) };
    const links = this.#links;
    const pumped = {
      poll: () => this.poll(),
      due: () => this.#asker?.due ?? false,
      sleep() {
        for (const link of links) if (!link.sleep()) return false;
        return true;
      },
      awake() {
        for (const link of links) link.awake();
      },
      nap: () => Infinity,
      // Bun can't; but it sleeps, which does the same.
      yield: () => {},
      announces: true,
    };
    this.#pump = new Pump(pumped, spinUs);
  }

  attach(asker: Asker): void {
    this.#asker = asker;
  }

  connect(_: number, owner: LinkOwner): LocalLink {
    const link: LocalLink = new LocalLink(this.#options, owner, this.#pump.onBell, () =>
      this.#pump.wake(),
    );
    this.#links.add(link);
    // The pump may be asleep, and the new worker does not know yet that it has to ring.
    this.#pump.wake();
    return link;
  }

  hostOf(): string {
    return this.opening.host;
  }

  rankOf(): null {
    return null;
  }

  disconnect(link: Link): void {
    this.#links.delete(link as LocalLink);
  }

  poll(): boolean {
    let moved = false;
    for (const link of this.#links) if (link.poll()) moved = true;
    return moved;
  }

  wait(ms: number): void {
    Bun.sleepSync(ms);
  }

  checkAlive(): void {
    for (const link of this.#links) link.checkAlive();
  }

  wake(): void {
    this.#pump.wake();
  }

  rest(): void {
    this.#pump.rest();
  }

  leave(): void {}
}
