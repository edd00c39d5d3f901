/**
 * Ends the jobs of a worker that was killed, and so could not do it: a small process of another
 * session knows the groups that run, and notices the worker's end.
 */

/**
 * Reads "slot group" for a job that has begun, "slot" for one that has ended. At the end of its
 * input all that still runs is killed.
 */
const SCRIPT = `trap '' INT TERM HUP USR1
top=0
while read -r slot group; do
  eval "group_$slot=\\$group"
  [ "$slot" -gt "$top" ] && top=$slot
done
while [ "$top" -gt 0 ]; do
  eval "group=\\$group_$top"
  [ -n "$group" ] && kill -KILL "-$group" 2>/dev/null
  top=$((top - 1))
done`;

let input: Bun.FileSink | null = null;

/** The groups that run; null: a free place. Places are counted from 1. */
const groups: (number | null)[] = [0];

/**
 * ms after which it is told that a group has ended, unless the place has another one by then: short
 * jobs are told once each.
 */
const FREE_MS = 50;

/** Has a group killed if this process ends; returns what takes that back. */
export function endWithWorker(group: number): () => void {
  const free = groups.indexOf(null);
  const slot = free < 0 ? groups.length : free;
  groups[slot] = group;
  tell(`${slot} ${group}\n`);
  return () => {
    groups[slot] = null;
    setTimeout(() => {
      if (groups[slot] === null) tell(`${slot}\n`);
    }, FREE_MS).unref();
  };
}

function tell(line: string): void {
  input ??= start();
  input.write(line);
  void input.flush();
}

function start(): Bun.FileSink {
  const child = Bun.spawn(["/bin/sh", "-c", SCRIPT], {
    cwd: "/",
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  child.unref();
  return child.stdin;
}
