/**
 * What is told on stderr of an error on a worker that nobody has caught: who, in which task, where.
 */
import { writeSync } from "node:fs";
import { INLINE } from "../function/paths.ts";
import { isLeave } from "../os/output.ts";
import { endUnseen, listenUnseen } from "../os/unseen.ts";
import { currentCall, latestCalls } from "../context.ts";
import { functions } from "./functions.ts";
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

/** Those that wait for the lines of an inline function, and what came after them. */
const untold: Stray[] = [];

/**
 * Tells of an error: at once, unless it has to be found first where the lines of an inline function
 * stand.
 */
export function tellStray(error: unknown): void {
  if (isStop(error) || isLeave(error)) return;
  const stray = { head: `bsync: ${whoAmI()}: an error that nobody caught${whence()}`, error };
  if (untold.length === 0 && inlinesIn(error).length === 0) return tell(stray);
  if (untold.push(stray) > 1) return;
  listenUnseen("exit", tellAll);
  void findAllLines();
}

async function findAllLines(): Promise<void> {
  for (let next = untold[0]; next !== undefined; next = untold[0]) {
    for (const id of inlinesIn(next.error)) await functions()?.lines.findLines(id);
    // It may have been told meanwhile, at the end of the process.
    if (untold.shift() !== undefined) tell(next);
  }
  endUnseen("exit", tellAll);
}

/** The process ends: with lines as they are. */
function tellAll(): void {
  for (const stray of untold.splice(0)) tell(stray);
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

function tell({ head, error }: Stray): void {
  const text = `${head}: ${textOf(error)}\n`;
  try {
    process.stderr.write(text);
  } catch {
    // Whatever a task has made of that stream.
    writeSync(2, text);
  }
}

export function whoAmI(): string {
  const [call] = latestCalls();
  return `${call === undefined ? "a worker" : `worker ${call.worker}`} (${role})`;
}

/** What is known of the task that it comes from: of a rejection the engine does not say. */
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
    const { stack, cause } = error as Error;
    const text =
      typeof stack === "string" ? (functions()?.stack.userStack(stack) ?? stack) : String(error);
    return Error.isError(cause) ? `${text}\ncaused by ${textOf(cause)}` : text;
  } catch {
    return "something that cannot be shown";
  }
}
