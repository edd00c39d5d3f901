/** Outputs that wait here for their turn, in a file without a name once they are many. */
import { writeSync } from "node:fs";
import type { OutputReader } from "./farm-job.ts";
import type { JobResult } from "./job.ts";
import { Spool } from "./spool.ts";

/** Bytes that wait in memory. */
const IN_MEMORY = 32 << 20;

export class Spill {
  #bytes = 0;
  #spool: Spool | null = null;
  #end = 0;

  /** Takes an output that came with its job's end; a reader for it if it is in memory no more. */
  hold({ outputs }: JobResult): OutputReader | null {
    const [out, error] = outputs;
    if (out === null || error === null) return null;
    const size = out.length + error.length;
    if (this.#bytes + size <= IN_MEMORY) {
      this.#bytes += size;
      return null;
    }
    const places = [this.#put(out), this.#put(error)];
    const spool = this.#spool!;
    return {
      read: async (stream, from, length) => spool.read(0, places[stream]! + from, length),
      follow: () => Promise.reject(new Error("Cannot follow a job that is over")),
      drop: () => {},
    };
  }

  /** An output that was held in memory is not any more. */
  free({ outputs: [out, error] }: JobResult): void {
    if (out !== null && error !== null) this.#bytes -= out.length + error.length;
  }

  close(): void {
    this.#spool?.close();
  }

  #put(bytes: Uint8Array): number {
    this.#spool ??= new Spool();
    const place = this.#end;
    for (let from = 0; from < bytes.length;)
      from += writeSync(this.#spool.descriptors[0], bytes, from);
    this.#end += bytes.length;
    return place;
  }
}
