/** A cache with a bound, by halves. */
import { expect, test } from "bun:test";
import { Recent } from "../../src/collections/recent.ts";

/** Asks for a text as its users do: what is not there is added, after others have gone. */
function use(recent: Recent<string, string>, text: string, gone: string[] = []): void {
  if (recent.get(text) !== undefined) return;
  if (recent.isFull) gone.push(...recent.turn());
  recent.set(text, text);
}

test("what is used again and again stays, whatever else comes", () => {
  const recent = new Recent<string, string>(10);
  const gone: string[] = [];
  for (let i = 0; i < 1_000; i++) {
    use(recent, "often", gone);
    use(recent, `text ${i}`, gone);
  }
  expect(gone).not.toContain("often");
  expect(recent.size).toBeLessThanOrEqual(21);
});

test("what has gone is what was not used for longest, each once", () => {
  const recent = new Recent<string, string>(4);
  const gone: string[] = [];
  for (let i = 0; i < 40; i++) use(recent, `${i}`, gone);
  expect(gone).toEqual(Array.from({ length: gone.length }, (_, i) => `${i}`));
  expect(gone.length + recent.size).toBe(40);
});

test("what is heavy counts for more", () => {
  const recent = new Recent<string, string>(10, (text) => text.length);
  for (let i = 0; i < 100; i++) use(recent, `${i}`.padEnd(5));
  expect(recent.size).toBeLessThanOrEqual(4);
});
