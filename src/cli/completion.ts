/** Scripts by which shells complete command lines of `bsync`: made of its commands and options. */
import { Argument, Command, type Option } from "commander";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

const ENDING = `
For bash and zsh:  eval "$(bsync completion bash)"   in ~/.bashrc, or zsh in ~/.zshrc
For fish:          bsync completion fish | source    in ~/.config/fish/config.fish`;

/** `say` gets the script. */
export function completionCommand(say: (script: string) => void): Command {
  const command = new Command("completion");
  return command
    .summary("print a script by which a shell completes commands and options")
    .description("Prints a script by which a shell completes the commands and options of bsync.")
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(SHELLS))
    .helpOption("-h, --help", "print this")
    .addHelpText("after", ENDING)
    .action((shell: Shell) => say(scriptFor(shell, command.parent!.commands)));
}

/** A script for a shell. */
export function scriptFor(shell: Shell, commands: readonly Command[]): string {
  return { bash, zsh, fish }[shell](commands);
}

/** The options that are no secret, and `--help`. */
function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined && flag !== null);
}

/** What may stand for an argument by itself. */
function choicesOf(command: Command): readonly string[] {
  return command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
}

function bash(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const flags = optionsOf(command)
      .flatMap(flagsOf)
      .filter((flag) => flag.startsWith("--"));
    return `    ${command.name()}) words="${[...choicesOf(command), ...flags].join(" ")}" ;;`;
  });
  const names = commands.map((command) => command.name()).join(" ");
  return `_bsync() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words="" word
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${names} --help --version"
  else
    # Behind these begin the words of another command.
    for word in "\${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
      case "$word" in --|:::*) words="" ;; esac
    done
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _bsync bsync
`;
}

function zsh(commands: readonly Command[]): string {
  const quote = (text: string) => text.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, "\\$&");
  const names = commands.map((one) => `    '${one.name()}:${quote(one.summary())}'`);
  const cases = commands.map((command) => {
    const lines = optionsOf(command).flatMap((option) =>
      flagsOf(option).map((flag) => {
        const value = option.required ? ": :_files" : "";
        return `'${flag}[${quote(option.description)}]${value}'`;
      }),
    );
    const choices = choicesOf(command);
    lines.push(choices.length > 0 ? `'*: :(${choices.join(" ")})'` : `'*: :_files'`);
    return `    ${command.name()}) _arguments -S ${lines.join(" \\\n      ")} ;;`;
  });
  return `#compdef bsync
_bsync() {
  local -a commands=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join("\n")}
  esac
}
compdef _bsync bsync
`;
}

function fish(commands: readonly Command[]): string {
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = ["complete -c bsync -n __fish_use_subcommand -f"];
  for (const command of commands) {
    const name = command.name();
    const summary = quote(command.summary());
    lines.push(`complete -c bsync -n __fish_use_subcommand -a ${name} -d ${summary}`);
    const inCommand = `complete -c bsync -n '__fish_seen_subcommand_from ${name}'`;
    for (const option of optionsOf(command)) {
      const short = option.short?.length === 2 ? ` -s ${option.short[1]}` : "";
      const long = option.long ? ` -l ${option.long.slice(2)}` : "";
      const value = option.required ? " -r" : "";
      lines.push(`${inCommand}${short}${long}${value} -d ${quote(option.description)}`);
    }
    const choices = choicesOf(command);
    if (choices.length > 0) lines.push(`${inCommand} -f -a ${quote(choices.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}
