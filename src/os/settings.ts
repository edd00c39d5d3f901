/**
 * BSYNC_ variables: how their texts are read. No value is guessed from an unclear text; an empty
 * text counts as unset.
 */

const YES = /^(?:1|true|yes|on)$/i;
const NO = /^(?:0|false|no|off)$/i;

/** The text of a variable, without blanks around it; undefined if empty or unset. */
export function settingOf(name: string): string | undefined {
  // An inherited property is no setting.
  return (Object.hasOwn(process.env, name) && process.env[name]?.trim()) || undefined;
}

/**
 * A variable that is switched on or off; undefined if it is unset.
 *
 * @throws TypeError for any other text.
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

/** The meaning of a switch's text; undefined if it has none. */
export function readSwitch(text: string): boolean | undefined {
  if (YES.test(text)) return true;
  return NO.test(text) ? false : undefined;
}

/** Whether a variable is switched off; any other text is not. */
export function isOff(name: string): boolean {
  return NO.test(settingOf(name) ?? "");
}

/** A switch that many words turn on, as "verbose". */
export function isOn(name: string): boolean {
  return settingOf(name) !== undefined && !isOff(name);
}

/** A variable that is a number, written as such; NaN for any other text, undefined if unset. */
export function numberOf(name: string): number | undefined {
  const text = settingOf(name);
  return text === undefined ? undefined : Number(text);
}

/** An environment, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;
