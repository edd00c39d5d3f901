/**
 * Outputs that wait here for their turn: in memory, or, where those behind them may not be kept
 * waiting, in a file without a name once they are many.
 */
import { ftruncateSync, writeSync } from "node:fs";
import type { OutputReader } from "./farm-job.ts";
import type { JobResult } from "./job-result.ts";
import { Spool } from "./spool.ts";

/** Bytes that wait in memory, and in the file: what comes then is held up. */
const IN_MEMORY = 32 << 20;
const IN_FILE = 2 ** 30;

export class Spill {
  /** Whether outputs go to the file before they fill the memory. */
  readonly #mayMove: boolean;
  #bytes = 0;
  #spool: Spool | null = null;
  /** Outputs in the file, and where it ends. */
  #moved = 0;
  #end = 0;

  constructor(mayMove: boolean) {
    this.#mayMove = mayMove;
  }

  /** Whether no more should come. */
  get isFull(): boolean {
    return this.#bytes > IN_MEMORY || this.#end > IN_FILE;
  }

  /** Takes an output that came with its job's end; a reader for it if it is in memory no more. */
  hold({ outputs }: JobResult): OutputReader | null {
    const [out, error] = outputs;
    if (out === null || error === null) return null;
    const size = out.length + error.length;
    const isLong = this.#bytes + size > IN_MEMORY;
    const moved = this.#mayMove && isLong ? this.#move(out, error) : null;
    if (moved === null) this.#bytes += size;
    return moved;
  }

  /** An output that was held in memory is not any more. */
  free({ outputs: [out, error] }: JobResult): void {
    if (out !== null && error !== null) this.#bytes -= out.length + error.length;
  }

  close(): void {
    this.#spool?.close();
  }

  /** Null where the file cannot take it: then it stays, and holds up what would come. */
  #move(out: Uint8Array, error: Uint8Array): OutputReader | null {
    const places: number[] = [];
    try {
      const spool = (this.#spool ??= new Spool());
      for (const bytes of [out, error]) {
        places.push(this.#end);
        for (let from = 0; from < bytes.length;) {
          const count = writeSync(spool.descriptors[0], bytes, from);
          from += count;
          this.#end += count;
        }
      }
      this.#moved++;
      return {
        read: async (stream, from, length) => spool.read(0, places[stream]! + from, length),
        follow: () => Promise.reject(new Error("Cannot follow a job that is over")),
        drop: () => this.#dropMoved(),
      };
    } catch {
      return null;
    }
  }

  /** The file begins anew when nothing in it is needed. */
  #dropMoved(): void {
    if (--this.#moved > 0) return;
    ftruncateSync(this.#spool!.descriptors[0]);
    this.#end = 0;
  }
}
