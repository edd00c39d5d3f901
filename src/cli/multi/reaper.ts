/**
 * Ends the jobs of a worker that was killed, and so could not do it: a small process of another
 * session notices the worker's end, and then reads which groups ran. They stand in a file without a
 * name that both have, so that a job costs no more than a few bytes there.
 */
import { writeSync } from "node:fs";
import { openNameless } from "./spool.ts";

/** Waits for the end of its input; its output is the file. */
const SCRIPT = `trap '' INT TERM HUP USR1
read -r _
while read -r group; do
  [ "$group" -gt 1 ] && kill -KILL "-$group" 2>/dev/null
done <&1`;

/** Characters of a line, of which there is one for each place. */
const LINE = 11;

/** Lines that are written at once, so that a disk that gets full later has room for them. */
const FIRST_LINES = 256;

/** The groups that run; null: a free place. */
const groups: (number | null)[] = [];

let file: number | null = null;

/** What tells the other process of this one's end, by closing. */
let life: Bun.FileSink | null = null;

/** Has a group killed if this process ends; returns what takes that back. */
export function endWithWorker(group: number): () => void {
  const free = groups.indexOf(null);
  const place = free < 0 ? groups.length : free;
  groups[place] = group;
  put(place, group);
  return () => {
    groups[place] = null;
    put(place, 0);
  };
}

function put(place: number, group: number): void {
  file ??= start();
  try {
    writeSync(file, lineOf(group), place * LINE);
  } catch {
    // No room on the disk: the group is not ended with this process.
  }
}

function lineOf(group: number): string {
  return `${String(group).padStart(LINE - 1)}\n`;
}

function start(): number {
  const fd = openNameless();
  writeSync(fd, lineOf(0).repeat(FIRST_LINES), 0);
  const child = Bun.spawn(["/bin/sh", "-c", SCRIPT], {
    cwd: "/",
    stdin: "pipe",
    stdout: fd,
    stderr: "ignore",
    detached: true,
  });
  child.unref();
  life = child.stdin;
  return fd;
}
