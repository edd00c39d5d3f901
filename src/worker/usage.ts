import { cpuUsage, rss } from "../os/natives.ts";
import { Kind } from "../wire/frames.ts";
import type { MessageWriter } from "../wire/writer.ts";

/** ms between two reports of what a worker uses, at least. */
const USAGE_MS = 1_000;

/** µs of a call beside which the time that a look takes, some 50 µs, does not matter. */
const LONG_US = 5_000;

/** What this process uses: bytes resident, and ms of processor time so far. */
interface Usage {
  readonly bytes: number;
  readonly ms: number;
}

/**
 * Tells what this process uses, with messages that go anyway. It is looked at once answers have
 * left, and told with the next ones: a look takes as long as a call after a silence. After a long
 * call, which changes more, it is told at once.
 */
export class UsageReports {
  #dueAt = 0;
  #wasLong = false;
  #seen: Usage | null = null;

  /** A call has taken so many µs. */
  ran(us: number): void {
    if (us > LONG_US) this.#wasLong = true;
  }

  /** A message is to leave. */
  before(writer: MessageWriter, now: number): void {
    const usage = this.#wasLong && now >= this.#dueAt ? this.#look(now) : this.#seen;
    this.#seen = null;
    if (usage !== null) writeUsage(writer, usage);
  }

  /** It has left. */
  after(now: number): void {
    if (now >= this.#dueAt) this.#seen = this.#look(now);
  }

  /** The last message of all. */
  end(writer: MessageWriter): void {
    const usage = usageNow();
    if (usage !== null) writeUsage(writer, usage);
  }

  #look(now: number): Usage | null {
    this.#dueAt = now + USAGE_MS;
    this.#wasLong = false;
    return usageNow();
  }
}

/** Null if that cannot be read in /proc: a task may have left no descriptor for it. */
export function residentBytes(): number | null {
  try {
    return rss();
  } catch {
    return null;
  }
}

function usageNow(): Usage | null {
  const bytes = residentBytes();
  if (bytes === null) return null;
  const { user, system } = cpuUsage();
  return { bytes, ms: Math.round((user + system) / 1000) };
}

function writeUsage(writer: MessageWriter, { bytes, ms }: Usage): void {
  if (!writer.fits()) return;
  // As in all numbers of frames there are 32 bits: they last for 49 days of one core.
  writer.write(Kind.Usage, ms >>> 0, bytes);
}
