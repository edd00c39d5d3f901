/**
 * The connection to the launcher, if that is a descriptor that each rank inherits (PMI_FD: MPICH's
 * Hydra, Slurm's PMI-2). `bunx` and `bun run SCRIPT` start programs without such descriptors;
 * MPI_Init would then write to any file that has the number here. The process in between still has
 * the connection open.
 */
import { readlinkSync, writeSync } from "node:fs";
import { MpiError } from "../../errors.ts";
import { ancestorsOfRank } from "./ancestry.ts";
import { linkOfProc, readProc } from "../../os/proc.ts";
import { findLauncher, setting } from "./launcher.ts";
import { openLibc, setForC } from "../../os/libc.ts";
import type { Environment } from "../../os/settings.ts";

/** Linux's numbers, on every architecture that Bun runs on. */
const SYS_PIDFD_OPEN = 434n;
const SYS_PIDFD_GETFD = 438n;

/** ms in which a launcher reads a rank's last messages: MPICH's drops the rest on an abort. */
export const LAST_WORDS_MS = 100;

/**
 * Fetches the launcher's connection unless it was passed on to this process.
 *
 * @throws MpiError if it cannot be fetched: MPI would end the process with a useless message.
 */
export function fetchConnection(env: Environment): void {
  const fd = connectionOf(env);
  if (fd === null) return;
  const holder = firstOfRank();
  if (isPassedOn(fd, holder)) return;
  const copy = holder === null ? null : copyOf(holder, fd);
  if (copy === null) throw severed(holder, env);
  setForC("PMI_FD", String(copy));
}

/** The connection's descriptor; null if the launcher talks in another way. */
function connectionOf(env: Environment): number | null {
  const fd = setting(env, "PMI_FD");
  return process.platform === "linux" && fd !== undefined && /^\d+$/.test(fd) ? Number(fd) : null;
}

/** Whether the connection is open here, as in the `holder`, if there is one. */
function isPassedOn(fd: number, holder: number | null): boolean {
  const ours = ownDescriptor(fd);
  const theirs = holder === null ? null : linkOfProc(holder, `fd/${fd}`);
  return theirs === null ? isConnection(ours) : ours === theirs;
}

/**
 * Ends the job of a rank that has not started MPI, by the message that MPI would send to MPICH's
 * launcher (PMI-1): that launcher ignores how a rank exits, and the other ranks would wait in
 * `MPI_Init`. Does nothing if the launcher cannot be reached, or this may be a process that the
 * rank started.
 */
export function abortByLauncher(env: Environment, code: number): void {
  const fd = connectionOf(env);
  if (findLauncher(env)?.family !== "mpich" || fd === null || !isPassedOn(fd, firstOfRank()))
    return;
  Bun.sleepSync(LAST_WORDS_MS);
  try {
    writeSync(fd, `cmd=abort exitcode=${code}\n`);
  } catch {
    // The launcher does not listen any more.
  }
}

function isConnection(descriptor: string | null): boolean {
  return descriptor !== null && /^(?:socket|pipe):/.test(descriptor);
}

/** The process that the launcher started as this rank, if it is an ancestor of this one. */
function firstOfRank(): number | null {
  return [...ancestorsOfRank()].at(-1) ?? null;
}

/** The target of a descriptor of this process, as "socket:[4711]". */
function ownDescriptor(fd: number): string | null {
  try {
    // The /proc of any namespace will do.
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
}

/** A copy of the descriptor `fd` of another process (pidfd_getfd(2)); null if that is forbidden. */
function copyOf(pid: number, fd: number): number | null {
  const libc = openLibc({
    syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" },
    close: { args: ["int"], returns: "int" },
  });
  if (libc === null) return null;
  try {
    const { syscall, close } = libc.symbols;
    const pidfd = syscall(SYS_PIDFD_OPEN, BigInt(pid), 0n, 0n);
    if (pidfd < 0n) return null;
    const copy = syscall(SYS_PIDFD_GETFD, pidfd, BigInt(fd), 0n);
    close(Number(pidfd));
    return copy < 0n ? null : Number(copy);
  } finally {
    libc.close();
  }
}

function severed(pid: number | null, env: Environment): MpiError {
  const who = pid === null ? "what stands" : `${nameOf(pid)} (pid ${pid}), which stands`;
  return new MpiError(
    `Cannot start MPI on rank ${env["PMI_RANK"]}: ${who} between the launcher and this program ` +
      `has not passed on the launcher's connection (descriptor PMI_FD=${env["PMI_FD"]}), and ` +
      "this system does not let it be fetched; start the program without it, as in mpirun -n 4 " +
      "bun FILE, or give MPICH's mpirun the option -pmi-port",
  );
}

function nameOf(pid: number): string {
  const words = readProc(pid, "cmdline")?.split("\0").filter(Boolean) ?? [];
  return words.length === 0 ? "a process" : `\`${words.join(" ")}\``;
}
