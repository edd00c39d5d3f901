/**
 * What a local worker process runs: the mirror of `link/local.ts`. Serves the one pool of the
 * process that started it, over its IPC channel, until that lets it go or goes itself.
 */
import { serveParent } from "./local.ts";

serveParent();
