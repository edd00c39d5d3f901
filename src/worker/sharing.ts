import type { DecodeContext } from "../codec/value.ts";
import { decodeAt } from "../codec/value.ts";
import type { ReceivedShares } from "../share/received.ts";
import { Kind } from "../wire/frames.ts";
import type { Frame } from "../wire/reader.ts";
import type { Answers } from "./answers.ts";

/** The values that a session's pool has shared: nothing is loaded before the first one. */
export class SessionShares {
  readonly #decoding: DecodeContext;
  readonly #answers: Answers;
  readonly #onArrived: () => void;
  #received: ReceivedShares | null = null;

  /** `onArrived` is called when calls may begin that had to wait for a value. */
  constructor(decoding: DecodeContext, answers: Answers, onArrived: () => void) {
    this.#decoding = decoding;
    this.#answers = answers;
    this.#onArrived = onArrived;
  }

  /** Whether a value is on its way: no call begins before it is there. */
  get isArriving(): boolean {
    return this.#received?.isArriving ?? false;
  }

  /** Bytes of memory that this process maps, and has in common with others. */
  get mappedBytes(): number {
    return this.#received?.mappedBytes ?? 0;
  }

  /** A frame about a shared value. */
  take(frame: Frame): void {
    this.#load().take(frame);
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
    return (this.#received = new ReceivedShares({
      decoding: this.#decoding,
      decode: (frame) => decodeAt(frame, this.#decoding),
      answer: (id, notice) => answers.write(Kind.Held, id, 0, answers.encode(notice)),
      onArrived: this.#onArrived,
    }));
  }
}
