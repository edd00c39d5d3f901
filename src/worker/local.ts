import type { Link } from "../link/link.ts";
import { type MessageWriter, readHead } from "../wire.ts";
import { WORKER_MARK } from "../link/local.ts";
import { surviveStrayErrors } from "./guard.ts";
import { Session } from "./session.ts";

/** Serves the process that started this one. Returns at once; the event loop does the rest. */
export function serveParent(): void {
  delete process.env[WORKER_MARK]; // it is not for what this process starts in turn
  surviveStrayErrors(`local worker (pid ${process.pid})`);
  // Ctrl-C reaches the whole process group: what it means is for the parent to say.
  process.on("SIGINT", () => {});
  process.on("disconnect", () => process.exit(0));
  let session: Session | null = null;
  process.on("message", (message: unknown) => {
    if (!Array.isArray(message)) return;
    const [bytes, ...buffers] = message as Uint8Array[];
    if (bytes === undefined) return;
    if (session === null) {
      session = new Session(readHead(bytes, bytes.length).session, () => process.exit(0));
      session.serve(new ParentLink());
    }
    session.receive(bytes, bytes.length, buffers);
  });
}

/** The worker's end of a `LocalLink`. */
class ParentLink implements Link {
  readonly rank = null;

  send(message: MessageWriter): void {
    const { bytes, length, buffers } = message.take();
    process.send?.([bytes.slice(0, length), ...buffers]);
  }

  poll(): boolean {
    return false;
  }

  drain(): void {}

  close(): void {}
}
