/**
 * Whether a folder lies on a network file system. SQLite's write-ahead log is not safe there, and
 * the locks of some reach no other host.
 */
import { readFileSync, realpathSync, statfsSync } from "node:fs";

/** Types of mounts that other hosts may share; `fuse.` and what follows is one, too. */
const NETWORK = new Set([
  ...["9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "fhgfs", "fuse", "gfs2", "glusterfs"],
  ...["gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs"],
  ...["pvfs2", "quobyte", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "wekafs"],
]);

/** File systems in user space that lie on a disk of this host. */
const LOCAL_FUSE = /^fuse\.(?:fuse-overlayfs|unionfs|mergerfs|bindfs|encfs|gocryptfs|ntfs.*)$/;

/** What statfs(2) calls them, for a process that is shown no table of mounts. */
const MAGIC: Readonly<Record<number, string>> = {
  0x6969: "nfs",
  0x0bd00bd0: "lustre",
  0x47504653: "gpfs",
  0x19830326: "beegfs",
  0xff534d42: "cifs",
  0xfe534d42: "smb2",
  0x517b: "smbfs",
  0x00c36400: "ceph",
  0x65735546: "fuse",
  0x01021997: "9p",
  0x5346414f: "afs",
  0x01161970: "gfs2",
  0x7461636f: "ocfs2",
  0x20030528: "orangefs",
  0xaad7aaea: "panfs",
};

/**
 * The type of the network file system on which a folder lies; null on others. `mounts` is the text
 * of /proc/self/mountinfo.
 */
export function networkFileSystem(folder: string, mounts = ownMounts()): string | null {
  const real = realFolder(folder);
  const type = mounts === null ? typeByMagic(real) : typeOfMount(real, mounts);
  return type !== null && isNetwork(type) ? type : null;
}

function isNetwork(type: string): boolean {
  return NETWORK.has(type) || (type.startsWith("fuse.") && !LOCAL_FUSE.test(type));
}

/** The type of the innermost mount, and among those at one place of the one mounted last. */
function typeOfMount(folder: string, mounts: string): string | null {
  let innermost = "";
  let type: string | null = null;
  for (const line of mounts.split("\n")) {
    // "36 35 98:0 /root /place options [tags…] - type source options" (proc(5)).
    const [before, after] = line.split(" - ", 2);
    const place = unescaped(before?.split(" ")[4] ?? "");
    const isAbove = place === "/" || folder === place || folder.startsWith(`${place}/`);
    if (after === undefined || place === "" || !isAbove) continue;
    if (place.length < innermost.length) continue;
    innermost = place;
    type = after.split(" ")[0] ?? null;
  }
  return type;
}

/** Blanks and the like stand there as octal numbers. */
function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  const bytes = text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );
  return bytes;
}

function ownMounts(): string | null {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return null;
  }
}

function typeByMagic(folder: string): string | null {
  // The numbers are Linux's.
  if (process.platform !== "linux") return null;
  try {
    return MAGIC[Number(statfsSync(folder).type) >>> 0] ?? null;
  } catch {
    return null;
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}
