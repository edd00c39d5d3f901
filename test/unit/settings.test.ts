import { afterEach, expect, test } from "bun:test";
import { isOff, isOn, numberOf, settingOf, switchOf } from "../../src/os/settings.ts";

const NAME = "BSYNC_SETTINGS_TEST";

afterEach(() => {
  delete process.env[NAME];
});

/** What a function says of a variable that holds a text. */
function read<T>(text: string, how: (name: string) => T): T {
  process.env[NAME] = text;
  return how(NAME);
}

test.each(["1", "true", "TRUE", "yes", "Yes", "on", " on "])("%j is on", (text) => {
  expect(read(text, switchOf)).toBe(true);
  expect(read(text, isOn)).toBe(true);
  expect(read(text, isOff)).toBe(false);
});

test.each(["0", "false", "False", "no", "NO", "off", " 0"])("%j is off", (text) => {
  expect(read(text, switchOf)).toBe(false);
  expect(read(text, isOn)).toBe(false);
  expect(read(text, isOff)).toBe(true);
});

test.each(["", " ", "\t"])("%j says nothing", (text) => {
  expect(read(text, switchOf)).toBeUndefined();
  expect(read(text, isOn)).toBe(false);
  expect(read(text, isOff)).toBe(false);
  expect(read(text, numberOf)).toBeUndefined();
  expect(read(text, settingOf)).toBeUndefined();
});

test.each(["maybe", "2", "-1", "truee", "null", "nope"])("%j is refused as a switch", (text) => {
  expect(() => read(text, switchOf)).toThrow(`Cannot use ${NAME}=${text}: it must be 1 (or true`);
  expect(read(text, isOn)).toBe(true);
});

test("numbers are what they are, and words none", () => {
  expect(read(" 5 ", numberOf)).toBe(5);
  expect(read("1e3", numberOf)).toBe(1000);
  expect(read("many", numberOf)).toBeNaN();
});

test("nothing inherited is a setting", () => {
  expect(settingOf("constructor")).toBeUndefined();
  expect(switchOf("toString")).toBeUndefined();
});
