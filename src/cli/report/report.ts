/** `bsync report`: reads a trace, writes its page, and says what kept the workers. */
import { stat } from "node:fs/promises";
import { textOf } from "../../errors.ts";
import { print } from "../output.ts";
import { NoTrace, readEvents, type Reading } from "./events.ts";
import { factsOf } from "./facts.ts";
import type { Report } from "./content.ts";
import type { ReportOptions } from "./options.ts";
import { pageOf } from "./page.ts";
import { workerName } from "./rows.ts";
import { Totals } from "./totals.ts";
import { verdictsOf } from "./verdicts.ts";

/** Resolves with the exit code. */
export async function report(path: string, { output, png }: ReportOptions): Promise<number> {
  const page = output ?? pagePath(path);
  const totals = new Totals();
  let reading: Reading;
  try {
    const { isDirectory } = await stat(path).then((one) => ({ isDirectory: one.isDirectory() }));
    if (isDirectory) throw new NoTrace("is a folder");
    reading = await readEvents(path, (event) => totals.add(event));
    if (!isOfPool(totals)) throw new NoTrace("is no trace of a pool: it has no workers or tasks");
  } catch (error) {
    return fail(`Cannot read ${path}: ${whyUnread(error)}`);
  }
  const facts = factsOf(totals);
  const verdicts = verdictsOf(facts, (key) => nameOf(totals, key));
  const remarks = remarksOf(totals, reading);
  const made = { path, totals, facts, verdicts, remarks };
  try {
    await write(path, page, pageOf(made), "-o");
  } catch (error) {
    return fail(`Cannot write ${page}: ${reasonOf(error)}`);
  }
  const said = verdicts.map(({ title, text }) => `${title}: ${text}\n`);
  await print(`${said.join("\n")}\n${remarks.map((one) => `${one}\n`).join("")}Page: ${page}\n`);
  return png === undefined ? 0 : await draw(made, png, page);
}

/** The page is there by now: a picture that is not to be had takes nothing from it. */
async function draw(made: Report, png: string, page: string): Promise<number> {
  const { pictureOf } = await import("./picture.ts");
  const { pngOf } = await import("./png.ts");
  try {
    if (await isSame(page, png)) throw new Error("it is the page; give another path with --png");
    await write(made.path, png, await pngOf(pictureOf(made)), "--png");
  } catch (error) {
    return fail(`Cannot draw ${png}: ${reasonOf(error)}`);
  }
  await print(`Picture: ${png}\n`);
  return 0;
}

async function write(trace: string, path: string, what: string | Uint8Array, option: string) {
  if (await isSame(trace, path)) {
    throw new Error(`it is the trace; give another path with ${option}`);
  }
  await Bun.write(path, what, { createPath: false });
}

/** Beside the trace. */
function pagePath(path: string): string {
  return `${path.replace(/(\.json)?(\.gz)?$/, "")}.html`;
}

function nameOf(totals: Totals, key: string): string {
  if (key.includes(":")) return workerName(totals, key);
  return totals.processes.get(Number(key)) ?? `host ${key}`;
}

function isOfPool(totals: Totals): boolean {
  return totals.workers.size > 0 || totals.notes.some((note) => note.startsWith("bsync trace"));
}

function remarksOf(totals: Totals, { isWhole, unread }: Reading): string[] {
  const remarks: string[] = [];
  if (!isWhole) {
    remarks.push("The trace is cut off: what came later, and calls that still ran, are missing.");
  } else if (totals.notes.some((note) => note.startsWith("maxBytes"))) {
    remarks.push(
      "The trace was full (maxBytes) before the pool closed: what came later is missing.",
    );
  }
  if (totals.merged > 0) {
    remarks.push(
      "Neighbouring short tasks are merged in the trace: of these only means are known.",
    );
  }
  if (unread > 0) remarks.push(`Events that could not be read: ${unread}.`);
  return remarks;
}

function whyUnread(error: unknown): string {
  return error instanceof NoTrace
    ? `it ${error.message}; give a file that pool.trace() or BSYNC_TRACE wrote`
    : reasonOf(error);
}

function reasonOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  const known: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file or folder",
    EACCES: "it is not permitted",
    EPERM: "it is not permitted",
    EISDIR: "it is a folder",
    ENOTDIR: "a part of the path is no folder",
    ENOSPC: "no space is left there",
    EROFS: "that file system can only be read",
  };
  return (typeof code === "string" ? known[code] : undefined) ?? textOf(error);
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [one, other] = await Promise.all([stat(a), stat(b).catch(() => null)]);
  return other !== null && one.ino === other.ino && one.dev === other.dev;
}

function fail(why: string): number {
  process.stderr.write(`bsync report: ${why}\n`);
  return 1;
}
