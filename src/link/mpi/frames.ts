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
import type { Kind } from "../../wire/messages.ts";
import type { MpiLink } from "./hub.ts";
import type { Frame } from "../../wire/reader.ts";
import { MessageWriter } from "../../wire/writer.ts";

/** Sends a message of one frame, with an object of numbers and texts. */
export function sendFrame(link: MpiLink, kind: Kind, task: number, content: object): void {
  const message = new MessageWriter(link.session);
  message.write(kind, task, 0, encodeValue(content, "content", encoding));
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
