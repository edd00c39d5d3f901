import type { Server, ServerWebSocket } from "bun";
import { BsyncError } from "../errors.ts";
import { clearInterval, isError, performance, setInterval } from "../os/natives.ts";
import { Access } from "./access.ts";
import type { DashboardOptions } from "./dashboard-options.ts";
import { metricsOf } from "./metrics.ts";
import { FILES } from "./page/files.ts";
import type { PoolStats } from "./stats.ts";
import { Viewing } from "./viewing.ts";
import type { Watch } from "./watch.ts";

/** ms between two pictures. */
const PICTURE_MS = 500;

/** Bytes in a ms that a viewer is sent: after a large picture the next one comes later. */
const MOST_RATE = 50;

/** Bytes that a viewer has not taken yet from which on it skips pictures. */
const SLOW_BYTES = 64 * 1024;

/** Viewers at a time. */
const MOST_VIEWERS = 32;

const HEADERS: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/**
 * The server of a pool's live page. Pictures are made while somebody looks, one for all viewers. It
 * keeps no program alive.
 */
export class DashboardServer {
  readonly #watch: Watch;
  readonly #stats: () => PoolStats;
  readonly #access: Access;
  readonly #server: Server<undefined>;
  readonly #viewers = new Set<ServerWebSocket<undefined>>();
  readonly #ending: Disposable;
  readonly #host: string;
  readonly port: number;
  #view: { readonly viewing: Viewing; readonly added: Disposable } | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  #isOver = false;
  #restsUntil = -Infinity;

  constructor(watch: Watch, stats: () => PoolStats, options: Required<DashboardOptions>) {
    this.#watch = watch;
    this.#stats = stats;
    this.#access = new Access(options.host);
    this.#host = options.host;
    this.#server = this.#serve(options);
    this.#server.unref();
    this.port = this.#server.port!;
    this.#ending = watch.atEnd(() => this.stop());
  }

  get url(): string {
    const isWide = this.#host === "0.0.0.0" || this.#host === "::";
    const named = this.#host.includes(":") ? `[${this.#host}]` : this.#host;
    return `http://${isWide ? "localhost" : named}:${this.port}/?token=${this.#access.token}`;
  }

  /** Viewers see the last numbers; after that nothing is served. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#show(true);
    for (const viewer of this.#viewers) viewer.close(1000, "this was the last");
    this.#viewers.clear();
    this.#rest();
    this.#ending[Symbol.dispose]();
    void this.#server.stop(true);
  }

  #serve({ port, host }: Required<DashboardOptions>): Server<undefined> {
    try {
      return Bun.serve<undefined>({
        // Without development Bun shares a port with others, unless it is told not to.
        ...{ port, hostname: host, development: false, reusePort: false },
        fetch: (request, server) => this.#answer(request, server),
        error: () => answer(500, "Something went wrong here."),
        websocket: {
          ...{ maxPayloadLength: 1024, perMessageDeflate: false },
          open: (viewer) => this.#enter(viewer),
          close: (viewer) => this.#leave(viewer),
          // Viewers have nothing to say.
          message: () => {},
        },
      });
    } catch (error) {
      const why = isError(error) ? error.message : String(error);
      const isTaken = (error as { code?: unknown }).code === "EADDRINUSE";
      throw new BsyncError(
        "BSYNC_DASHBOARD",
        `Cannot serve the dashboard: ` +
          (isTaken
            ? `port ${port} of ${host} is in use; give another port, or 0 for any that is free`
            : `${host}, port ${port}: ${why}; give another host or port`),
        { cause: error },
      );
    }
  }

  #answer(request: Request, server: Server<undefined>): Response | undefined {
    const refused = this.#access.refusal(request);
    if (refused !== null) return answer(refused.status, refused.why);
    const url = new URL(request.url);
    const hasToken = this.#access.hasToken(request, url);
    if (!hasToken && !this.#access.hasCookie(request, this.port)) {
      return answer(401, "Open the address that the program has printed, with its token.");
    }
    if (url.pathname === "/metrics") return this.#metrics();
    if (url.pathname === "/live") {
      if (this.#viewers.size >= MOST_VIEWERS) return answer(503, "Too many viewers.");
      return server.upgrade(request) ? undefined : answer(426, "This is for a WebSocket.");
    }
    const file = Object.hasOwn(FILES, url.pathname) ? FILES[url.pathname] : undefined;
    if (file === undefined) return answer(404, "There is nothing here.");
    if (url.searchParams.has("token")) {
      const headers = { ...HEADERS, Location: "/", "Set-Cookie": this.#access.cookie(this.port) };
      return new Response(null, { status: 303, headers });
    }
    return answer(200, file[1], file[0]);
  }

  #metrics(): Response {
    const { wait, run } = this.#watch;
    return answer(200, metricsOf(this.#stats(), wait, run), "text/plain; version=0.0.4");
  }

  #enter(viewer: ServerWebSocket<undefined>): void {
    this.#viewers.add(viewer);
    if (this.#view === null) {
      const viewing = new Viewing(this.#watch, this.#stats);
      this.#view = { viewing, added: this.#watch.add(viewing) };
      this.#timer = setInterval(() => {
        if (performance.now() >= this.#restsUntil) this.#show(false);
      }, PICTURE_MS);
      this.#timer.unref();
    }
    this.#view.viewing.retell();
    this.#show(false);
  }

  #leave(viewer: ServerWebSocket<undefined>): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size === 0) this.#rest();
  }

  /** Nobody looks: nothing is gathered. */
  #rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#view?.added[Symbol.dispose]();
    this.#view = null;
  }

  #show(isOver: boolean): void {
    if (this.#view === null) return;
    const { viewing } = this.#view;
    const picture = viewing.picture(isOver);
    this.#restsUntil = performance.now() + Buffer.byteLength(picture) / MOST_RATE;
    for (const viewer of this.#viewers) {
      if (viewer.getBufferedAmount() > SLOW_BYTES) viewing.retell();
      else viewer.send(picture, false);
    }
  }
}

function answer(status: number, text: string, type = "text/plain"): Response {
  const headers = { ...HEADERS, "Content-Type": `${type}; charset=utf-8` };
  return new Response(text, { status, headers });
}
