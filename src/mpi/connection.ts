/**
 * The connection to the launcher, where that is a descriptor which each rank inherits (PMI_FD: MPICH's
 * Hydra, Slurm's PMI-2). `bunx` and `bun run SCRIPT` start their programs without such descriptors, and
 * then MPI_Init would write to whatever has that number here. The process in between still has it open.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { dlopen } from "bun:ffi";
import { MpiError } from "../errors.ts";
import { setting, type Environment } from "./launcher.ts";
import { parentOf } from "./processes.ts";
import { setForC } from "./symbols.ts";

/** Of Linux, on every architecture that Bun runs on. */
const SYS_PIDFD_OPEN = 434n;
const SYS_PIDFD_GETFD = 438n;

/** Looks whether the launcher's connection came as far as this process, and fetches it if not. */
export function fetchConnection(env: Environment): void {
  const fd = setting(env, "PMI_FD");
  if (process.platform !== "linux" || fd === undefined || !/^\d+$/.test(fd)) return;
  const holder = firstOfRank(env);
  const connection = holder === null ? null : descriptor(holder, fd);
  if (holder === null || connection === null || connection === descriptor("self", fd)) return;
  const copy = copyOf(holder, Number(fd));
  if (copy === null) throw severed(holder, env);
  setForC("PMI_FD", String(copy));
}

/** The process that the launcher started as this rank, when that is not this one but led to it. */
function firstOfRank(env: Environment): number | null {
  let first: number | null = null;
  let pid = process.ppid;
  while (pid > 1 && isSameRank(pid, env)) {
    first = pid;
    pid = parentOf(pid);
  }
  return first;
}

function isSameRank(pid: number, env: Environment): boolean {
  try {
    const theirs = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    return ["PMI_FD", "PMI_RANK"].every((name) => theirs.includes(`${name}=${env[name]}`));
  } catch {
    return false;
  }
}

/** What the descriptor leads to, as in "socket:[4711]". */
function descriptor(pid: number | "self", fd: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return null;
  }
}

/** A descriptor for what `fd` is in another process (pidfd_getfd(2)); null where that is forbidden. */
function copyOf(pid: number, fd: number): number | null {
  const { symbols, close } = dlopen("libc.so.6", {
    syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" },
    close: { args: ["int"], returns: "int" },
  });
  const process = symbols.syscall(SYS_PIDFD_OPEN, BigInt(pid), 0n, 0n);
  if (process < 0n) return null;
  const copy = symbols.syscall(SYS_PIDFD_GETFD, process, BigInt(fd), 0n);
  symbols.close(Number(process));
  close();
  return copy < 0n ? null : Number(copy);
}

function severed(pid: number, env: Environment): MpiError {
  let name = "a process";
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    name = `\`${words.join(" ")}\``;
  } catch {
    // Then without its name.
  }
  return new MpiError(
    `Cannot start MPI on rank ${env["PMI_RANK"]}: ${name} (pid ${pid}) stands between the launcher and ` +
      `this program and has not passed on the launcher's connection (PMI_FD), and this system does ` +
      `not let it be fetched; start the program without it, as in mpirun -n 4 bun FILE, or give ` +
      `MPICH's mpirun the option -pmi-port`,
  );
}
