/** Debian's chromium, as a browser that a program drives; it is installed where it may be, as the MPIs are. */
import { type Browser, chromium } from "playwright-core";
import { apt } from "./mpi.ts";

/** Without a font there is nothing to see. */
const PACKAGES = ["chromium", "fonts-dejavu-core"];
const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** Starts it, without a window. Another name, as any that somebody may have in DNS, leads to this machine, too. */
export async function launchChromium(name = "bsync.example"): Promise<Browser> {
  const executablePath = find() ?? (await install());
  const args = [`--host-resolver-rules=MAP ${name} 127.0.0.1`];
  // Its sandbox does not start as root, nor in most containers; what it shows here is our own.
  return await chromium.launch({ executablePath, chromiumSandbox: false, args });
}

function find(): string | undefined {
  return NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

async function install(): Promise<string> {
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...PACKAGES];
  if (!Bun.which("apt-get") || process.getuid?.() !== 0) {
    throw new Error(
      `Cannot look at a page: no chromium here. On Debian and its kin, type\n\n` +
        `  sudo sh -c 'apt-get update && ${install.join(" ")}'\n`,
    );
  }
  console.error(`no chromium here; installing ${PACKAGES.join(" ")} …`);
  for (const command of [["apt-get", "update"], install]) await apt(command);
  const path = find();
  if (path === undefined)
    throw new Error("Cannot look at a page: installed, but found no chromium");
  return path;
}
