/**
 * BSYNC_ variables: how their texts are read. None of them means what it does not say; one that
 * says nothing is none.
 */

const YES = /^(?:1|true|yes|on)$/i;
const NO = /^(?:0|false|no|off)$/i;

/** What a variable holds, without blanks around it; undefined if that is nothing. */
export function settingOf(name: string): string | undefined {
  // Nothing inherited is a setting.
  return (Object.hasOwn(process.env, name) && process.env[name]?.trim()) || undefined;
}

/**
 * A variable that is switched on or off; undefined if it is neither.
 *
 * @throws TypeError where it says something else.
 */
export function switchOf(name: string): boolean | undefined {
  const text = settingOf(name);
  if (text === undefined) return undefined;
  const meant = readSwitch(text);
  if (meant !== undefined) return meant;
  throw new TypeError(
    `Cannot use ${name}=${text}: it must be 1 (or true, yes, on), or 0 (or false, no, off)`,
  );
}

/** What a text says of a switch; undefined if nothing. */
export function readSwitch(text: string): boolean | undefined {
  if (YES.test(text)) return true;
  return NO.test(text) ? false : undefined;
}

/** Whether a variable is switched off, whatever else it may say. */
export function isOff(name: string): boolean {
  return NO.test(settingOf(name) ?? "");
}

/** A switch that many words turn on, as "verbose". */
export function isOn(name: string): boolean {
  return settingOf(name) !== undefined && !isOff(name);
}

/**
 * A variable that is a number, written as such; NaN where it is none, undefined where it says
 * nothing.
 */
export function numberOf(name: string): number | undefined {
  const text = settingOf(name);
  return text === undefined ? undefined : Number(text);
}

/** An environment, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;
