/**
 * Frames of ranks about themselves: between a controller and a rank's relay, or of the job. No
 * session sees them.
 */
import {
  type DecodeContext,
  decodeValue,
  type EncodeContext,
  encodeValue,
} from "../../codec/value.ts";
import { ValueError } from "../../errors.ts";
import type { Frames, Kind } from "../../wire/frames.ts";
import type { Frame } from "../../wire/reader.ts";
import { MessageWriter } from "../../wire/writer.ts";
import type { RankLink } from "./rank.ts";

/** Sends a message of one frame; its body is an object of numbers and texts, or empty. */
export function sendFrame<K extends Kind>(
  link: RankLink,
  kind: K,
  task: number,
  body?: Frames[K],
  number = 0,
): void {
  const message = new MessageWriter(link.session);
  const content = body === undefined ? undefined : encodeValue(body, "content", encoding);
  message.write(kind, task, number, content);
  link.send(message);
}

/** The object in such a frame. */
export function readContent(frame: Frame): unknown {
  return decodeValue(frame.content, decoding);
}

const encoding: EncodeContext = {
  functionId: (_, path) => {
    throw new ValueError(`Cannot send ${path}: such a frame holds no functions`);
  },
  classOf: () => null,
};

const decoding: DecodeContext = {
  functionOf: () => {
    throw new ValueError("Cannot read a frame: it holds a function, as no rank sends");
  },
  classFor: () => null,
};
