import type { EncodedAt } from "../codec/value.ts";
import { PoolClosedError } from "../errors.ts";
import type { FunctionRecord } from "../function/record.ts";
import { aside } from "../os/whole.ts";
import type { PoolShares, Peer } from "../share/pool-shares.ts";
import type { Shared } from "../share/shared.ts";
import type { Condition } from "./condition.ts";
import { type Connection, describe } from "./connection.ts";
import type { FrameSender } from "./sender.ts";
import type { Supervisor } from "./supervisor.ts";
import type { ValueEncoder } from "./values.ts";

/** The parts of the pool that its shared values use. */
interface SharingParts {
  readonly supervisor: Supervisor;
  readonly sender: FrameSender;
  readonly values: ValueEncoder;
  readonly condition: Condition;
}

/** The shared values of a pool, for its other parts: nothing is loaded before the first one. */
export class Sharing {
  readonly #parts: SharingParts;
  readonly #peers = new WeakMap<Connection, Peer>();
  #shares: PoolShares | null = null;

  readonly #isOpen: () => boolean;

  /** `isOpen`: whether the pool takes anything more. */
  constructor(parts: SharingParts, isOpen: () => boolean) {
    this.#parts = parts;
    this.#isOpen = isOpen;
  }

  /** Shares a value; resolves when each host has it. */
  async share(value: unknown): Promise<Shared<unknown>> {
    if (this.#isOpen()) return await this.#load().share(value);
    throw new PoolClosedError("Cannot share a value: the pool was closed");
  }

  /** A worker serves. */
  onMet(): void {
    this.#shares?.onMet();
  }

  /** A worker has told what became of a value. */
  onHeld(connection: Connection, frame: EncodedAt & { readonly task: number }): void {
    if (this.#shares === null) return;
    const { readHeldNotice } =
      require("../share/notices.ts") as typeof import("../share/notices.ts");
    const notice = readHeldNotice(this.#parts.values.decode(frame));
    if (notice !== null) this.#shares.onHeld(this.#peerOf(connection), frame.task, notice);
  }

  /** The pool is over. */
  end(): void {
    this.#shares?.end();
  }

  #load(): PoolShares {
    if (this.#shares !== null) return this.#shares;
    const { PoolShares } =
      require("../share/pool-shares.ts") as typeof import("../share/pool-shares.ts");
    const { supervisor, sender, values, condition } = this.#parts;
    const shares = new PoolShares({
      // Its getters are the program's code.
      encodeValue: (value) => aside(() => values.encodeKept(value, "value")),
      encode: (value) => values.encode(value, "share"),
      peers: () =>
        supervisor.connections
          .filter(({ greeting, isDone }) => greeting !== null && !isDone)
          .map((connection) => this.#peerOf(connection)),
      flush: () => sender.flush(),
      wait: (condition_) => condition.wait(condition_, Infinity),
      changed: () => condition.notify(),
    });
    values.shares = shares;
    sender.kept = () => shares.functions();
    return (this.#shares = shares);
  }

  #peerOf(connection: Connection): Peer {
    let peer = this.#peers.get(connection);
    if (peer !== undefined) return peer;
    const { supervisor, sender } = this.#parts;
    peer = {
      space: connection.greeting?.pidSpace ?? "",
      get isIdle() {
        return supervisor.stateOf(connection) === "idle";
      },
      name: describe(connection),
      send: (kind, id, number, content) => sender.write(connection, kind, id, number, content),
      define: (functions: readonly FunctionRecord[]) => sender.define(connection, functions),
    };
    this.#peers.set(connection, peer);
    return peer;
  }
}
