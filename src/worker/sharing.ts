import { decodeAt } from "../codec/value.ts";
import type { ReceivedShares } from "../share/received.ts";
import { Kind } from "../wire/frames.ts";
import type { Frame } from "../wire/reader.ts";
import type { Answers } from "./answers.ts";
import type { FunctionTable } from "./function-table.ts";

const KINDS: readonly number[] = [Kind.Share, Kind.SharePart, Kind.Unshare];

/** The parts of a session that know its shared values by their numbers. */
interface SharesParts {
  readonly functions: FunctionTable;
  readonly answers: Answers;
}

/** The values that a session's pool has shared: nothing is loaded before the first one. */
export class SessionShares {
  readonly #functions: FunctionTable;
  readonly #answers: Answers;
  readonly #onArrived: () => void;
  #received: ReceivedShares | null = null;

  /** `onArrived` is called when calls may begin that had to wait for a value. */
  constructor({ functions, answers }: SharesParts, onArrived: () => void) {
    this.#functions = functions;
    this.#answers = answers;
    this.#onArrived = onArrived;
    functions.sharedOf = (id) => this.sharedOf(id);
    answers.sharedId = (value) => this.idOf(value);
  }

  /** Whether all is there that calls may need: functions are loaded, and no value is on its way. */
  get areThere(): boolean {
    return !this.#functions.isLoading && !(this.#received?.isArriving ?? false);
  }

  /** Bytes resident in this process that it has in common with others, at most. */
  get commonBytes(): number {
    return this.#received?.commonBytes ?? 0;
  }

  /** A frame about a shared value; others make no sense, and are dropped. */
  take(frame: Frame): void {
    if (KINDS.includes(frame.kind)) this.#load().take(frame);
  }

  sharedOf(id: number): object {
    return this.#load().sharedOf(id);
  }

  /** The number of a value that this session's pool has shared; null for any other value. */
  idOf(value: object): number | null {
    return this.#received?.idOf(value) ?? null;
  }

  /** The pool is over. */
  end(): void {
    this.#received?.end();
  }

  #load(): ReceivedShares {
    if (this.#received !== null) return this.#received;
    const { ReceivedShares } =
      require("../share/received.ts") as typeof import("../share/received.ts");
    const answers = this.#answers;
    const { decoding } = this.#functions;
    return (this.#received = new ReceivedShares({
      decoding,
      decode: (frame) => decodeAt(frame, decoding),
      answer: (id, notice) => answers.write(Kind.Held, id, 0, answers.encode(notice)),
      onArrived: this.#onArrived,
    }));
  }
}
