/** What is wrong with a command that starts a job, and on the hosts that it starts it on. */
import { asRoot, differing, error, versionsOf, warning } from "./problem-texts.ts";
import type { LaunchFacts, PlaceFacts, Problem } from "./report.ts";

export function* ofLaunch({ command, hosts, failure }: LaunchFacts): Iterable<Problem> {
  if (failure !== null) {
    const text =
      `\`${command}\` cannot be started, with a look at each host in the place of ` +
      "the program: ";
    const isRefused = failure.includes("attempt to run as root");
    yield isRefused
      ? error(
          "ROOT_REFUSED",
          `Open MPI does not start anything as root unless it is told to: ${asRoot("mpirun")}`,
        )
      : error("LAUNCHER_FAILED", text + failure);
  }
  for (const facts of hosts) yield* ofPlace(facts);
  const buns = versionsOf(hosts.map(({ host, bun }) => [host, bun.version]));
  if (buns.size > 1) yield warning("BUN_DIFFERS", differing("Bun", buns));
  const own = versionsOf(hosts.map(({ host, bsync }) => [host, bsync?.version ?? null]));
  if (own.size > 1) yield warning("BSYNC_DIFFERS", differing("bsync", own));
}

function* ofPlace({ host, bun, folder, program, missing, bsync, mpi }: PlaceFacts) {
  if (folder === null) {
    const text =
      `on ${host} Bun does not run: it is not in the PATH that programs have there, ` + bun.path;
    yield error("BUN_MISSING", `${text}; install it, or give its whole path in the command`);
    return;
  }
  if (program?.found === false) {
    const cure = "copy it there, or start it from a file system that all hosts share";
    const kinds = program.path.startsWith("/")
      ? ""
      : ", no file, script of package.json or command of a package";
    yield error("PROGRAM_MISSING", `on ${host} there is no ${program.path}${kinds}: ${cure}`);
  }
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(", ");
    yield error(
      "PACKAGE_MISSING",
      `on ${host} ${program?.path} imports ${names}, which cannot be found there: run bun ` +
        "install on that host, or put the program with its node_modules on a file system that " +
        "all hosts share",
    );
  }
  if (bsync?.error) {
    const text = `on ${host} bsync, in ${bsync.path}, does not load: ${bsync.error}`;
    yield error("PACKAGE_BROKEN", `${text}; install it there anew`);
  }
  if (mpi?.error) yield error("MPI_UNUSABLE", `on ${host}: ${mpi.error}`);
}
