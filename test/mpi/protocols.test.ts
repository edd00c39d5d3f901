import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Family } from "../../src/mpi/launcher/launcher.ts";
import { findProtocol, speaks, type Protocol } from "../../src/mpi/launcher/protocols.ts";

test("how a launcher talks, as far as its variables tell", () => {
  expect(findProtocol({})).toBeNull();
  expect(findProtocol({ SLURM_PROCID: "0", SLURM_STEP_ID: "0" })).toBeNull();
  expect(findProtocol({ PMIX_RANK: "0", SLURM_PROCID: "0" })).toBe("PMIx");
  expect(findProtocol({ PMI_RANK: "0", PMI_FD: "6", SLURM_PROCID: "0" })).toBe("PMI");
});

/** A folder with a program of that name, which says `text`. */
class Programs implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "bsync-protocols-"));

  constructor(name: string, text: string) {
    const path = join(this.folder, name);
    writeFileSync(path, `#!/bin/sh\ncat <<'END'\n${text}\nEND\n`);
    chmodSync(path, 0o755);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

const COMPONENTS = 'mca:pmix:ext3x:version:"api:2.0.0"\nmca:pmix:flux:version:"api:2.0.0"';

test.each<[Family, string, string, Protocol, boolean]>([
  ["openmpi", "ompi_info", COMPONENTS, "PMIx", true],
  ["openmpi", "ompi_info", COMPONENTS, "PMI", false],
  ["openmpi", "ompi_info", `${COMPONENTS}\nmca:pmix:s2:version:"api:2.0.0"`, "PMI", true],
  ["mpich", "mpichversion", "MPICH configure: --with-pm=hydra", "PMI", true],
  ["mpich", "mpichversion", "MPICH configure: --with-pm=hydra", "PMIx", false],
  ["mpich", "mpichversion", "MPICH configure: --with-pmix=/opt/pmix", "PMIx", true],
  ["mpich", "somethingelse", "", "PMIx", true],
  ["unknown", "mpichversion", "", "PMIx", true],
])("%s whose %s says %j, and %s: %p", (family, name, text, protocol, known) => {
  using programs = new Programs(name, text);
  const said = new Map<string, string>();
  const ask = (): boolean => speaks(family, programs.folder, protocol, said);
  expect(ask()).toBe(known);
  expect(ask()).toBe(known);
});

test("a program that does not run well tells nothing, and nothing is remembered", () => {
  using programs = new Programs(
    "mpichversion",
    "MPICH configure: --with-pm=hydra\nEND\nexit 127\ncat <<'END'",
  );
  const said = new Map<string, string>();
  expect(speaks("mpich", programs.folder, "PMIx", said)).toBe(true);
  expect(said.size).toBe(0);
});
