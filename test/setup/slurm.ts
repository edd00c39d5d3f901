/** Whether Slurm can be tried on this machine: its programs are here or can be had, and it can be several hosts. */
import { whyNoHosts } from "./hosts.ts";
import { apt } from "./mpi.ts";

const PROGRAMS = ["slurmctld", "slurmd", "srun", "munged"];
const PACKAGES = ["slurmctld", "slurmd", "slurm-client", "munge"];

/** Null if it can, else why it cannot. */
export async function whyNoSlurm(): Promise<string | null> {
  const reason = await whyNoHosts();
  if (reason !== null) return reason;
  const missing = PROGRAMS.filter((program) => !Bun.which(program));
  if (missing.length === 0) return null;
  if (!Bun.which("apt-get")) return `there is no ${missing.join(", ")}`;
  console.error(`test: no ${missing.join(", ")} here; installing ${PACKAGES.join(" ")} …`);
  for (const command of [
    ["apt-get", "update"],
    ["apt-get", "install", "-y", "--no-install-recommends", ...PACKAGES],
  ]) {
    await apt(command);
  }
  return null;
}
