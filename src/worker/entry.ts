/**
 * The entry of a local worker process, the other end of `link/local/process.ts`. Serves the one
 * pool of the process that started it until that closes it, or is gone itself.
 */
import { serveParent } from "./local.ts";

serveParent();
