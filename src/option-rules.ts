import { show } from "./errors.ts";

/** How options are checked: an unknown one is an error, and nothing inherited is one. */

/** What each option must be; the key is the option. */
export type Rules = Record<string, (value: unknown) => string | null>;

export const ms = (value: unknown) =>
  typeof value === "number" && value >= 0 ? null : "a number of ms >= 0";
export const whole =
  (from: number, to = Infinity) =>
  (value: unknown) =>
    Number.isInteger(value) && (value as number) >= from && (value as number) <= to
      ? null
      : `a whole number ${to === Infinity ? `>= ${from}` : `from ${from} to ${to}`}`;
export const limit = (from: number) => (value: unknown) =>
  value === Infinity ? null : whole(from)(value);
export const flag = (value: unknown) => (typeof value === "boolean" ? null : "true or false");

export const isRecord = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value);
export const isFunction = (value: unknown) =>
  typeof value === "function" || typeof value === "string";

/** The own, enumerable options that are not undefined, in an object that inherits nothing. */
export function readOptions(deed: string, options: object, rules: Rules): Record<string, unknown> {
  if (!isRecord(options)) throw noOptions(deed, options);
  const given: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(options)) {
    checkOption(deed, name, value, rules);
    if (value !== undefined) given[name] = value;
  }
  return given;
}

export function noOptions(deed: string, options: unknown): TypeError {
  return new TypeError(`Cannot ${deed}: expected an object of options, got ${show(options)}`);
}

export function checkOption(deed: string, name: string, value: unknown, rules: Rules): void {
  if (!Object.hasOwn(rules, name)) {
    const known = Object.keys(rules).join(", ");
    throw new TypeError(`Cannot ${deed}: unknown option "${name}"; there are ${known}`);
  }
  if (value === undefined) return;
  const expected = rules[name]!(value);
  if (expected !== null) {
    throw new TypeError(`Cannot ${deed}: ${name} must be ${expected}, got ${show(value)}`);
  }
}
