#!/usr/bin/env bun
/** The command `bsync`: runs the subcommand, or lists them all. */
import manifest from "../../package.json" with { type: "json" };
import { doctor } from "./doctor.ts";
import { speaks } from "./output.ts";

/** A subcommand: gets the words after its name, resolves with the exit code. */
type Command = (args: string[]) => Promise<number>;

const COMMANDS: Record<string, { readonly about: string; readonly run: Command }> = {
  doctor: {
    about:
      "what MPI is here, is its binding built, does it match the launcher, what is slow and why",
    run: doctor,
  },
};

const USAGE = `bsync ${manifest.version}

Usage: bsync <command> [options]

${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name}    ${about}`)
  .join("\n")}

bsync <command> --help tells its options.
`;

/** The exit code for a wrong command line. */
const MISUSED = 2;

async function main([name = "", ...args]: string[]): Promise<number> {
  if (name === "--help" || name === "-h" || name === "help") {
    if (speaks()) process.stdout.write(USAGE);
    return 0;
  }
  if (name === "--version" || name === "-v") {
    if (speaks()) process.stdout.write(`${manifest.version}\n`);
    return 0;
  }
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]!.run(args);
  // Only one rank of a job reports it.
  if (!speaks()) return MISUSED;
  const wrong = name === "" ? "no command was given" : `there is no command "${name}"`;
  process.stderr.write(`bsync: Cannot run: ${wrong}\n\n${USAGE}`);
  return MISUSED;
}

process.exitCode = await main(process.argv.slice(2));
