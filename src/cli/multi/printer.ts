/** Standard output and error of the farm: pieces are written whole, one after another. */
import { write } from "node:fs";
import { bytesOfText } from "./raw-text.ts";

/** ms between two tries where a terminal or pipe without blocking has no room. */
const ROOM_MS = 5;

/** Nobody reads the output any more. */
export class NoReaderError extends Error {}

/** Writes all of the bytes. */
export async function writeAll(fd: number, bytes: Uint8Array): Promise<void> {
  for (let from = 0; from < bytes.length;) {
    const result = await writeSome(fd, bytes, from);
    if (typeof result === "number") from += result;
    else if (result.code === "EAGAIN") await Bun.sleep(ROOM_MS);
    else if (result.code === "EPIPE") throw new NoReaderError();
    else throw result;
  }
}

function writeSome(
  fd: number,
  bytes: Uint8Array,
  from: number,
): Promise<number | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    write(fd, bytes, from, bytes.length - from, null, (error, count) => resolve(error ?? count));
  });
}

const NEWLINE = 10;

/** Puts a tag before each line of a stream of bytes. */
export class Tagger {
  readonly #tag: Uint8Array;
  #isAtLine = true;

  constructor(tag: string) {
    this.#tag = bytesOfText(tag);
  }

  tagged(bytes: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let from = 0; from < bytes.length;) {
      if (this.#isAtLine) parts.push(this.#tag);
      const end = bytes.indexOf(NEWLINE, from) + 1;
      this.#isAtLine = end > 0;
      parts.push(bytes.subarray(from, end || bytes.length));
      from = end || bytes.length;
    }
    return Buffer.concat(parts);
  }
}
