/** Reports uncaught errors of a worker on stderr: who, in which task, where. */
import { writeSync } from "node:fs";
import { withFrames } from "../codec/stacks.ts";
import { INLINE } from "../function/paths.ts";
import { isLeave } from "../os/output.ts";
import { endUnseen, listenUnseen } from "../os/unseen.ts";
import { currentCall, latestCalls } from "../context.ts";
import { functions } from "./functions-lazy.ts";
import { isStop } from "../os/failure.ts";

/** What this process is, for people. */
let role = `pid ${process.pid}`;

export function setRole(what: string): void {
  role = `${what}, pid ${process.pid}`;
}

interface Stray {
  readonly head: string;
  readonly error: unknown;
}

/** Errors that wait for the lines of an inline function, and those that came after them. */
const waiting: Stray[] = [];

/** Reports an error: at once, unless the lines of an inline function have to be found first. */
export function reportStray(error: unknown): void {
  if (isStop(error) || isLeave(error)) return;
  const stray = { head: `bsync: ${whoAmI()}: an error that nobody caught${whence()}`, error };
  if (waiting.length === 0 && inlinesIn(error).length === 0) return report(stray);
  if (waiting.push(stray) > 1) return;
  listenUnseen("exit", reportAll);
  void findAllLines();
}

async function findAllLines(): Promise<void> {
  for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
    for (const id of inlinesIn(next.error)) await functions()?.lines.findLines(id);
    // It may have been reported meanwhile, at the end of the process.
    if (waiting.shift() !== undefined) report(next);
  }
  endUnseen("exit", reportAll);
}

/** The process ends: reports all, with lines as they are. */
function reportAll(): void {
  for (const stray of waiting.splice(0)) report(stray);
}

/** Numbers of the inline functions in its stack whose lines are to be found yet. */
function inlinesIn(error: unknown): number[] {
  try {
    const { stack } = error as Error;
    if (!Error.isError(error) || typeof stack !== "string") return [];
    const found = stack.matchAll(INLINE_PLACE);
    return [...new Set(Array.from(found, ([, id]) => Number(id)))].filter(
      (id) => functions()?.lines.needsLines(id) === true,
    );
  } catch {
    return [];
  }
}

const INLINE_PLACE = RegExp(`${INLINE.replace("?", "\\?")}(\\d+):`, "g");

function report({ head, error }: Stray): void {
  const text = `${head}: ${textOf(error)}\n`;
  try {
    process.stderr.write(text);
  } catch {
    // A task may have changed that stream.
    writeSync(2, text);
  }
}

export function whoAmI(): string {
  const [call] = latestCalls();
  return `${call === undefined ? "a worker" : `worker ${call.worker}`} (${role})`;
}

/** The task that it comes from, as far as is known: of a rejection the engine does not say. */
export function whence(): string {
  const own = currentCall();
  if (own !== null) return `, in what ${own.label} has begun`;
  const [latest, before] = latestCalls();
  if (latest === undefined) return "";
  if (latest.isOver)
    return `, after ${[latest, before].flatMap((call) => call?.label ?? []).join(" and ")}`;
  return `, while ${latest.label} ran${before === undefined ? "" : `, after ${before.label}`}`;
}

/** For people: files under their own names, and the causes below it. */
export function textOf(error: unknown): string {
  try {
    if (!Error.isError(error)) return Bun.inspect(error);
    const { stack, message, cause } = error as Error;
    const change = (frames: string) => functions()?.stack.userFrames(frames) ?? frames;
    const text = typeof stack === "string" ? withFrames(stack, message, change) : String(error);
    return Error.isError(cause) ? `${text}\ncaused by ${textOf(cause)}` : text;
  } catch {
    return "something that cannot be shown";
  }
}
