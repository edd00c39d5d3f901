/**
 * Command lines of `bsync multi`, and what GNU parallel makes of the same words (20221122, on
 * Debian). Each is played in a folder of its own, with the files that it names.
 */

export interface Line {
  readonly name: string;
  /** The words behind `multi`. */
  readonly words: readonly string[];
  readonly stdin?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly stdout: string;
  /** Where it is not said, nothing is asked of it. */
  readonly stderr?: string;
  readonly exitCode?: number;
  /** Lines may come in any order. */
  readonly isUnordered?: boolean;
  /** Why GNU parallel differs; it is not asked then. */
  readonly differs?: string;
}

const FRUIT = { "fruit.txt": "apple\nbanana\ncherry\n" };
const AWKWARD = `My brother's 12" *** record  (costs $$$).jpg`;

/** Replacement strings and input. */
const INPUT: readonly Line[] = [
  {
    name: "a command without {} has the value behind it",
    words: ["-k", "echo", "x", ":::", "a", "b", "c"],
    stdout: "x a\nx b\nx c\n",
  },
  {
    name: "{} is replaced wherever it stands; a source that is not there is empty",
    words: ["-k", "echo", "{}", "a{}b{}", "{3}.", ":::", "1", "2"],
    stdout: "1 a1b1 .\n2 a2b2 .\n",
  },
  {
    name: "values are cut as file names",
    words: ["-k", "echo", "{.}_{/}_{//}_{/.}", ":::", "a/b.c.gz", "sub.dir/x", "x", ".hid", "/x"],
    stdout: "a/b.c_b.c.gz_a_b.c\nsub.dir/x_x_sub.dir_x\nx_x_._x\n_.hid_._\n/x_x_/_x\n",
  },
  {
    name: "folders and dots at the ends of values",
    words: ["-k", "echo", "{.}_{/}_{//}_{/.}", ":::", "a/b/", "a//", "a/.b", "b.", "..", "a/b.c/"],
    stdout: "a/b/__a_\na//__._\na/_.b_a_\nb_b._._b\n._.._._.\na/b.c/__a_\n",
  },
  {
    name: "{#} counts the jobs",
    words: ["-k", "echo", "{#}:{}", ":::", "a", "b", "c"],
    stdout: "1:a\n2:b\n3:c\n",
  },
  {
    name: "{%} is a place among those that run",
    words: ["-j1", "echo", "{%}", ":::", "a", "b", "c"],
    stdout: "1\n1\n1\n",
  },
  {
    name: "two sources give all combinations, the last one varying fastest",
    words: ["-k", "echo", "{1}-{2}", ":::", "1", "2", ":::", "a", "b"],
    stdout: "1-a\n1-b\n2-a\n2-b\n",
  },
  {
    name: "{} is all sources, and cuts apply to each",
    words: ["-k", "echo", "{}", "/", "{.}", ":::", "a.x", "b.y", ":::", "c.z"],
    stdout: "a.x c.z / a c\nb.y c.z / b c\n",
  },
  {
    name: ":::+ goes alongside, as far as both go",
    words: ["-k", "echo", ":::", "a", "b", "c", ":::+", "1", "2"],
    stdout: "a 1\nb 2\n",
  },
  {
    name: "--link goes alongside, and short sources begin again",
    words: ["-k", "--link", "echo", ":::", "a", "b", "c", ":::", "1", "2"],
    stdout: "a 1\nb 2\nc 1\n",
  },
  {
    name: ":::: reads a file",
    words: ["-k", "echo", "::::", "fruit.txt"],
    files: FRUIT,
    stdout: "apple\nbanana\ncherry\n",
  },
  {
    name: "-a reads a file",
    words: ["-k", "-a", "fruit.txt", "echo", "{}!"],
    files: FRUIT,
    stdout: "apple!\nbanana!\ncherry!\n",
  },
  {
    name: "standard input is read where no source is named",
    words: ["-k", "echo"],
    stdin: "apple\nbanana\ncherry",
    stdout: "apple\nbanana\ncherry\n",
  },
  {
    name: "- is standard input",
    words: ["-k", "echo", "{1}{2}", ":::", "x", "y", "::::", "-"],
    stdin: "1\n2\n",
    stdout: "x1\nx2\ny1\ny2\n",
  },
  {
    name: "::::+ goes alongside",
    words: ["-k", "echo", ":::", "1", "2", "3", "::::+", "fruit.txt"],
    files: FRUIT,
    stdout: "1 apple\n2 banana\n3 cherry\n",
  },
  {
    name: "--colsep splits values into columns",
    words: ["-k", "--colsep", "\\t", "echo", "{2}", "{1}", "/", "{}"],
    stdin: "a\tb\nc\td\n",
    stdout: "b a / a b\nd c / c d\n",
  },
  {
    name: "--colsep is a regular expression, and spaces around columns go",
    words: ["-k", "--colsep", " *[,;] *", "echo", "[{3}]{1}"],
    stdin: "a , b;c\n",
    stdout: "[c]a\n",
  },
  {
    name: "-N takes several values, and those that lack are empty",
    words: ["-k", "-N2", "echo", "{1}--{2}"],
    stdin: "1\n2\n3\n",
    stdout: "1--2\n3--\n",
  },
  {
    name: "-N without {} puts all of them behind",
    words: ["-k", "-N3", "echo"],
    stdin: "1\n2\n3\n4\n5\n",
    stdout: "1 2 3\n4 5\n",
  },
  {
    name: "-N0 takes a value, and leaves it out",
    words: ["-k", "-N0", "echo", "hi"],
    stdin: "1\n2\n",
    stdout: "hi\nhi\n",
  },
  {
    name: "places from the back, and cuts of places",
    words: ["-k", "echo", "{-1}", "{2/.}", "{1//}", ":::", "a/b.c", ":::", "d/e.f"],
    stdout: "d/e.f e a\n",
  },
  {
    name: "an empty line is an empty value",
    words: ["-k", "echo", "x{}x"],
    stdin: "a\n\nb\n",
    stdout: "xax\nxx\nxbx\n",
  },
  {
    name: "-r leaves empty lines out",
    words: ["-k", "-r", "echo", "x{}x"],
    stdin: "a\n\n  \nb\n",
    stdout: "xax\nxbx\n",
  },
  { name: "empty input is no job", words: ["echo"], stdin: "", stdout: "", stderr: "" },
  {
    name: "-0 splits at zero bytes",
    words: ["-k", "-0", "-q", "echo", "<{}>"],
    stdin: "a\nb\0c\0",
    stdout: "<a\nb>\n<c>\n",
  },
  {
    name: "-d splits at a text",
    words: ["-k", "-d", ",", "echo"],
    stdin: "a,b,c",
    stdout: "a\nb\nc\n",
  },
  {
    name: "no file name is changed",
    words: ["-k", "echo", "{}", ":::", AWKWARD, "a  b", "$HOME", "`id`", "~", "*", "-x", "ü\\n"],
    stdout: `${AWKWARD}\na  b\n$HOME\n\`id\`\n~\n*\n-x\nü\\n\n`,
  },
  {
    name: "nor where a shell reads the command",
    words: ["-k", "echo {} | cat", ":::", AWKWARD, "a  b", "$HOME", "`id`", "~", "'", "''", ""],
    stdout: `${AWKWARD}\na  b\n$HOME\n\`id\`\n~\n'\n''\n\n`,
  },
  {
    name: "a composed command",
    words: ["-k", "echo {}; echo x", ":::", "a", "b"],
    stdout: "a\nx\nb\nx\n",
  },
  {
    name: "without a command each value is one",
    words: ["-k", ":::", "echo hi", 'echo "x  y"', "true", "echo a;echo b"],
    stdout: "hi\nx  y\na\nb\n",
  },
  {
    name: "values that begin the command are commands",
    words: ["-k", "{} x", ":::", "echo hi", "printf %s\\\\n"],
    stdout: "hi x\nx\n",
  },
  {
    name: "words with spaces are the shell's to split",
    words: ["-k", "echo", "a  b", ":::", "c  d"],
    stdout: "a b c  d\n",
  },
  {
    name: "-q keeps the command's own words",
    words: ["-k", "-q", "echo", "a  b", "$HOME", "{}", ":::", "c  d"],
    stdout: "a  b $HOME c  d\n",
  },
  {
    name: "-I stands for {}",
    words: ["-k", "-I", ",,", "echo", ",,", "{.}", ":::", "a.x"],
    stdout: "a.x a\n",
  },
  {
    name: "other braces are left alone",
    words: ["-k", "echo {} | awk '{print $1 \"{x}\"}'", ":::", "a b"],
    stdout: "a{x}\n",
  },
  {
    name: "ranges are values",
    words: ["-k", "echo", ":::", "[8-11]", "[01-10:4]", "[3-1]", "[a-b]"],
    stdout: "8\n9\n10\n11\n01\n05\n09\n3\n2\n1\n[a-b]\n",
    differs: "it has no ranges",
  },
  {
    name: "a value may have lines",
    words: ["-k", "-q", "echo", "<{}>", ":::", "a\nb"],
    stdout: "<a\nb>\n",
    differs: "it splits values behind ::: at line ends",
  },
  {
    name: "options behind the command are the command's",
    words: ["-k", "echo", "-n", "-j", "{}", ":::", "a"],
    stdout: "-j a",
  },
  {
    name: "-- ends the options",
    words: ["-k", "--", "echo", "-k", ":::", "a"],
    stdout: "-k a\n",
  },
  {
    name: "--halt now,done=3",
    words: ["-j1", "--halt", "now,done=3", "echo", "{}", "::::", "endless"],
    files: { endless: "1\n2\n3\n4\n5\n6\n" },
    stdout: "1\n2\n3\n",
    differs: "its exit code is 101, though no job failed",
  },
];

/** Output. */
const OUTPUT: readonly Line[] = [
  {
    name: "streams are kept apart",
    words: ["-k", "echo o{}; echo e{} >&2", ":::", "1", "2"],
    stdout: "o1\no2\n",
  },
  {
    name: "-k keeps the order of the input",
    words: ["-k", "-j4", "sleep {}; echo {}", ":::", "0.4", "0.2", "0"],
    stdout: "0.4\n0.2\n0\n",
  },
  {
    name: "--tag puts the values before each line",
    words: ["-k", "--tag", "printf 'a\\nb{}'", ":::", "1", "2"],
    stdout: "1\ta\n1\tb12\ta\n2\tb2",
  },
  {
    name: "--tag has all values",
    words: ["-k", "--tag", "echo x", ":::", "1", ":::", "2"],
    stdout: "1 2\tx 1 2\n",
  },
  {
    name: "--tagstring",
    words: ["-k", "--tagstring", "{#}.{/}", "echo", ":::", "x/a", "x/b"],
    stdout: "1.a\tx/a\n2.b\tx/b\n",
  },
  {
    name: "--line-buffer never mixes lines",
    words: ["-j4", "--line-buffer", "printf {}; sleep 0.2; echo {}", ":::", "a", "b", "c"],
    stdout: "aa\nbb\ncc\n",
    isUnordered: true,
  },
  {
    name: "-k --line-buffer keeps the order",
    words: ["-k", "-j4", "--lb", "--tag", "echo {}; sleep {}; echo x", ":::", "0.3", "0.1", "0"],
    stdout: "0.3\t0.3\n0.3\tx\n0.1\t0.1\n0.1\tx\n0\t0\n0\tx\n",
  },
  {
    name: "--dry-run prints the commands",
    words: ["-k", "--dry-run", "echo {}; x", ":::", "a b", "a'b", "", "c", "$", "ü"],
    stdout: "echo 'a b'; x\necho 'a'\"'\"'b'; x\necho ''; x\necho c; x\necho '$'; x\necho 'ü'; x\n",
  },
  {
    name: "jobs have /dev/null for standard input",
    words: ["-k", "cat; echo {}", ":::", "a", "b"],
    stdin: "not for them\n",
    stdout: "a\nb\n",
  },
  {
    name: "--wd",
    words: ["--wd", "/usr", "pwd; echo {}", ":::", "a"],
    stdout: "/usr\na\n",
  },
  {
    name: "PARALLEL_SEQ and PARALLEL_JOBSLOT",
    words: ["-j1", "echo $PARALLEL_SEQ $PARALLEL_JOBSLOT {}", ":::", "a", "b"],
    stdout: "1 1 a\n2 1 b\n",
  },
  {
    name: "--shuf runs all of them",
    words: ["--shuf", "echo", ":::", "a", "b", "c"],
    stdout: "a\nb\nc\n",
    isUnordered: true,
  },
];

function failing(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i));
}

/** Ends. */
const ENDS: readonly Line[] = [
  { name: "no failure", words: ["true", ":::", "1"], stdout: "", stderr: "", exitCode: 0 },
  ...[1, 100, 101, 120].map((count) => ({
    name: `${count} failures`,
    words: ["-j8", "exit 1;", ":::", ...failing(count)],
    stdout: "",
    exitCode: Math.min(count, 101),
  })),
  {
    name: "failures are counted",
    words: ["exit", ":::", "1", "2", "0", "3"],
    stdout: "",
    exitCode: 3,
  },
  {
    name: "a command that is not there",
    words: ["no-such-command", ":::", "1"],
    stdout: "",
    exitCode: 1,
  },
  {
    name: "an option that is not there",
    words: ["--bogus", "echo", ":::", "1"],
    stdout: "",
    exitCode: 255,
  },
  { name: "a file that is not there", words: ["-a", "none", "echo"], stdout: "", exitCode: 255 },
  ...(
    [
      ["now,fail=1", ["0", "7", "3"], 7, "0\n7\n"],
      ["soon,fail=1", ["0", "7", "3"], 7, "0\n7\n"],
      ["soon,fail=2", ["7", "0", "7", "1"], 2, "7\n0\n7\n"],
      ["now,success=1", ["1", "0", "5"], 0, "1\n0\n"],
      ["now,done=2", ["1", "2", "5"], 2, "1\n2\n"],
      ["soon,fail=50%", ["1", "1", "1", "0", "0"], 60, "1\n1\n1\n"],
      ["now,fail=50%", ["0", "1", "1", "0"], 50, "0\n1\n1\n"],
      ["never", ["1", "0"], 1, "1\n0\n"],
    ] as const
  ).map(([halt, codes, exitCode, stdout]) => ({
    name: `--halt ${halt}`,
    words: ["-j1", "--halt", halt, "echo {}; exit {}", ":::", ...codes],
    stdout,
    exitCode,
  })),
  {
    name: "--timeout ends a job",
    words: ["--timeout", "0.5", "echo a; sleep {}; echo b", ":::", "9"],
    stdout: "a\n",
    exitCode: 1,
  },
  {
    name: "--retries: the output of the last try",
    words: ["-j1", "--retries", "3", "echo x >> count; echo {}; wc -l < count; exit 2", ":::", "a"],
    stdout: "a\n3\n",
    exitCode: 1,
  },
  {
    name: "--retries: until it does not fail",
    words: [
      "-j1",
      "--retries",
      "3",
      "echo x >> count; wc -l < count; [ -s c2 ] || { echo > c2; exit 1; } # {}",
      ":::",
      "a",
    ],
    stdout: "2\n",
    exitCode: 0,
  },
];

export const TABLE: readonly Line[] = [...INPUT, ...OUTPUT, ...ENDS];
