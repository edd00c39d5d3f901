/** The table, as Markdown that reads well on a terminal too. */
import { QUANTITIES, type QuantityId } from "./lines.ts";
import type { Machine } from "./machine.ts";
import type { Summary } from "./series.ts";
import type { Verdict } from "./targets.ts";

/** A party of which there is no number, and why. */
export interface Absent {
  readonly who: string;
  readonly what: string;
  readonly reason: string;
}

export interface Results {
  readonly machine: Machine;
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly summaries: readonly Summary[];
  readonly verdicts: readonly Verdict[];
  readonly absent: readonly Absent[];
}

/** Three digits; rates have k and M where they are many. */
function digits(value: number, unit: string): string {
  if (unit === "calls/s" && value >= 999_500) return `${digits(value / 1e6, "")} M`;
  if (unit === "calls/s" && value >= 9_995) return `${digits(value / 1e3, "")} k`;
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

export function describe({ machine, command, rounds, seconds }: Results): string[] {
  const { cores, strangers } = machine;
  return [
    `- ${machine.date}, bsync ${machine.bsync}, \`${command}\`: ${rounds} rounds in ${seconds} s`,
    `- ${machine.processor}, ${cores} cores, ${machine.memoryGib} GiB; ${machine.system}`,
    `- Bun ${machine.bun}, ${machine.mpi.join(", ")}, ${machine.python}`,
    `- load before: ${machine.load.join(", ")}; ${
      strangers.length === 0
        ? "nothing else was busy"
        : `**not quiet**, these were busy: ${strangers.slice(0, 6).join(", ")}`
    }`,
  ];
}

export function table({ summaries, verdicts, absent }: Results): string[] {
  const rows: string[][] = [];
  let last: QuantityId | null = null;
  for (const { quantity, who, value, low, high } of summaries) {
    const { title, unit } = QUANTITIES[quantity];
    const targets = verdicts
      .filter((verdict) => verdict.quantity === quantity && verdict.who === who)
      .map(({ text, met }) => `${text}${met === null ? "" : met ? " ✓ met" : " ✗ NOT MET"}`);
    rows.push([
      quantity === last ? "" : title,
      who,
      `${digits(value, unit)} ${unit}`,
      `${digits(low, unit)} – ${digits(high, unit)}`,
      targets.join("; "),
    ]);
    last = quantity;
  }
  for (const { who, what, reason } of absent) {
    rows.push([`(${what})`, who, "missing", "", reason.replaceAll("|", "/")]);
  }
  return align([["what", "who", "median", "low – high", "target, or why not"], ...rows]);
}

export function tally(verdicts: readonly Verdict[]): string {
  const count = (met: boolean | null) => verdicts.filter((verdict) => verdict.met === met).length;
  return `${count(true)} targets met, ${count(false)} not met, ${count(null)} without a reference.`;
}

function align(rows: readonly (readonly string[])[]): string[] {
  const [head = [], ...body] = rows;
  const widths = head.map((_, i) => Math.max(...rows.map((row) => Bun.stringWidth(row[i] ?? ""))));
  // Numbers stand to the right.
  const right = new Set([2, 3]);
  const line = (row: readonly string[]) =>
    `| ${row
      .map((cell, i) => {
        const space = " ".repeat(widths[i]! - Bun.stringWidth(cell));
        return right.has(i) ? space + cell : cell + space;
      })
      .join(" | ")} |`;
  const rule = widths.map((width, i) =>
    right.has(i) ? `${"-".repeat(width - 1)}:` : "-".repeat(width),
  );
  return [line(head), `| ${rule.join(" | ")} |`, ...body.map(line)];
}
