import { type Identity, ownIdentity } from "../os/identity.ts";
import { malformed } from "./frame-layout.ts";

/** How the two sides introduce themselves. */
export interface Greeting extends Identity {
  /** µs after its last message from which on it may sleep. */
  readonly spinUs: number;
  /**
   * Of a rank that serves a controller of its machine: where its status page is
   * (`link/mpi/status-page.ts`).
   */
  readonly statusPage?: { readonly fd: number; readonly key: number } | undefined;
}

/** The other side's greeting, checked: nothing that it sent is trusted. */
export function readGreeting(value: unknown): Greeting {
  if (typeof value === "object" && value !== null) {
    const { pid, host, pidSpace, spinUs } = value as Partial<Greeting>;
    const isPid = Number.isSafeInteger(pid) && pid! > 0;
    const isPlace = typeof host === "string" && typeof pidSpace === "string";
    if (isPid && isPlace && typeof spinUs === "number" && spinUs >= 0) {
      const statusPage = readStatusPage((value as Partial<Greeting>).statusPage);
      return { pid: pid!, host, pidSpace, spinUs, statusPage };
    }
  }
  throw malformed("its greeting is malformed");
}

function readStatusPage(value: unknown): Greeting["statusPage"] {
  if (typeof value !== "object" || value === null) return undefined;
  const { fd, key } = value as { fd?: unknown; key?: unknown };
  const isWord = (word: unknown): word is number => Number.isInteger(word) && (word as number) >= 0;
  return isWord(fd) && isWord(key) ? { fd, key } : undefined;
}

/** `spinUs` is how long this process looks for messages before it may fall asleep. */
export function introduce(spinUs: number): Greeting {
  return { ...ownIdentity(), spinUs };
}
