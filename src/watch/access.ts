import { createHash, timingSafeEqual } from "node:crypto";
import { hostname } from "node:os";
import { crypto } from "../os/natives.ts";

/** Bytes of a secret. */
const SECRET_BYTES = 24;

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];
const ANYWHERE = ["0.0.0.0", "::", "[::]"];

/**
 * Who may see a dashboard. A browser has secrets of its own: any page that it shows may send it
 * here, so a request has to come from where the dashboard itself was opened.
 */
export class Access {
  /** What the address has, and what a browser gets for it. */
  readonly token = secret();
  readonly #session = secret();
  readonly #hosts: readonly string[];
  readonly #takesAddresses: boolean;

  constructor(host: string) {
    const isWide = ANYWHERE.includes(host);
    const named = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    this.#hosts = [...LOOPBACK, ...(isWide ? [hostname()] : [named])].map((name) =>
      name.toLowerCase(),
    );
    // A name may be made to lead here by anybody (DNS rebinding), an address may not.
    this.#takesAddresses = isWide;
  }

  /** Why a request is refused whatever it brings; null if it is not. */
  refusal(request: Request): { readonly status: number; readonly why: string } | null {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return { status: 405, why: "This page can only be read." };
    }
    const host = request.headers.get("host") ?? "";
    if (!this.#knows(host)) {
      return { status: 403, why: "This address is not one of the dashboard's." };
    }
    const site = request.headers.get("sec-fetch-site");
    if (site !== null && site !== "same-origin" && site !== "none") {
      return { status: 403, why: "Another page has asked for this; open the address itself." };
    }
    const origin = request.headers.get("origin");
    if (origin !== null && origin !== `http://${host}`) {
      return { status: 403, why: "A page of another origin has asked for this." };
    }
    return null;
  }

  /** Whether the request has the token, in its address or as a bearer. */
  hasToken(request: Request, url: URL): boolean {
    const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
    const given = bearer ?? url.searchParams.get("token");
    return given !== null && isSame(given, this.token);
  }

  /** Whether the request has the cookie of a browser that has shown the token. */
  hasCookie(request: Request, port: number): boolean {
    const wanted = `${cookieName(port)}=`;
    const pairs = (request.headers.get("cookie") ?? "").split(/; */);
    return pairs.some(
      (pair) => pair.startsWith(wanted) && isSame(pair.slice(wanted.length), this.#session),
    );
  }

  /** The cookie for a browser that has shown the token. */
  cookie(port: number): string {
    return `${cookieName(port)}=${this.#session}; HttpOnly; SameSite=Strict; Path=/`;
  }

  #knows(host: string): boolean {
    const name = host.toLowerCase().replace(/:\d+$/, "");
    if (this.#hosts.includes(name)) return true;
    return this.#takesAddresses && /^(\d{1,3}(\.\d{1,3}){3}|\[[\da-f:.]+\])$/.test(name);
  }
}

/** Browsers keep the cookies of all ports of a host together. */
function cookieName(port: number): string {
  return `bsync-${port}`;
}

function secret(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(SECRET_BYTES))).toString("base64url");
}

/** Takes as long whatever differs: hashes are of one length. */
function isSame(a: string, b: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
