/**
 * Whether this machine can be several hosts: namespaces may be made here, and joined. Containers are
 * seldom allowed to; then the tests of several hosts are left out, and that is said.
 */
import { apt } from "./mpi.ts";

/** Null if it can, else why it cannot. */
export async function whyNoHosts(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "only root may make namespaces here";
  const make = ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc"];
  for (const tool of ["unshare", "nsenter"]) {
    if (!Bun.which(tool)) return `there is no ${tool} (util-linux)`;
  }
  if (!Bun.which("ip")) {
    if (!Bun.which("apt-get")) return "there is no ip (iproute2)";
    console.error("test: no ip here; installing iproute2 …");
    await apt(["apt-get", "install", "-y", "--no-install-recommends", "iproute2"]);
  }
  const bridge = "mount -t tmpfs tmpfs /dev/shm && ip link add eth0 type bridge";
  const { exitCode, stderr } = Bun.spawnSync([...make, "sh", "-c", bridge], { stdin: "ignore" });
  return exitCode === 0 ? null : `namespaces cannot be made here: ${stderr.toString().trim()}`;
}
