import { describe, expect, test } from "bun:test";
import { createSecretKey, generateKeyPairSync } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { BlockList } from "node:net";
import { roundTrip, refusal } from "./trip.ts";

describe("objects of the runtime that are made of their properties", () => {
  const made: Record<string, () => unknown> = {
    "fs.Stats": () => statSync("/"),
    "fs.Stats of large numbers": () => statSync("/", { bigint: true }),
    Dirent: () => readdirSync(import.meta.dir, { withFileTypes: true })[0],
    "the output of a command": () => Bun.$`echo hi`.quiet(),
    "an object on top of a Map": () => Object.assign(Object.create(new Map()) as object, { a: 1 }),
    "an object on top of a function": () => Object.create(function () {}) as object,
  };
  for (const [name, make] of Object.entries(made)) {
    test(`${name} arrives as structured clone makes it`, async () => {
      const value = await make();
      const arrived = roundTrip({ value }).value;
      expect(arrived).toEqual(structuredClone(value));
      expect(Object.getPrototypeOf(arrived)).toBe(Object.prototype);
    });
  }

  test("what stands in one of them is refused where it stands", () => {
    const value = Object.assign(statSync("/"), { owner: Promise.resolve() });
    expect(refusal(value)).toStartWith("ValueError: Cannot send args[0].owner: a Promise");
  });
});

describe("objects of the runtime that the engine writes for other processes", () => {
  test("keys", async () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const secret = createSecretKey(Buffer.from("key"));
    const arrived = roundTrip({ secret, list: [publicKey, publicKey] });
    expect(arrived.secret.export()).toEqual(Buffer.from("key"));
    expect(arrived.list[0]!.equals(publicKey)).toBe(true);
    expect(arrived.list[1]).toBe(arrived.list[0]!);
    const algorithm = { name: "AES-GCM", length: 128 };
    const key = await crypto.subtle.generateKey(algorithm, true, ["encrypt"]);
    const raw = (key: CryptoKey) => crypto.subtle.exportKey("raw", key);
    expect(await raw(roundTrip(key))).toEqual(await raw(key));
  });

  test("a key that may not be exported, and what lives in this process, are refused", async () => {
    const algorithm = { name: "AES-GCM", length: 128 };
    const key = await crypto.subtle.generateKey(algorithm, false, ["encrypt"]);
    expect(refusal(key)).toContain("a CryptoKey cannot travel");
    expect(refusal(new BlockList())).toContain("a BlockList cannot travel");
    const module = new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
    expect(refusal(module)).toContain("a Module cannot travel");
  });

  test("files, whose paths mean the same in another folder", async () => {
    const file = roundTrip({ file: Bun.file(import.meta.path) }).file;
    expect(await file.text()).toBe(await Bun.file(import.meta.path).text());
    expect(roundTrip(Bun.file("package.json")).name).toBe(`${process.cwd()}/package.json`);
    expect(roundTrip(Bun.file("/nowhere/at/all")).name).toBe("/nowhere/at/all");
    expect(await roundTrip(Bun.file(import.meta.path).slice(0, 6)).text()).toBe("import");
    expect(refusal(Bun.file(1))).toContain("a Blob cannot travel");
  });
});

test("kinds without a prototype are of their kind", () => {
  const bare = <T extends object>(value: T): T => Object.setPrototypeOf(value, null);
  const map = roundTrip([bare(new Map([[1, 2]]))])[0]!;
  expect(Map.prototype.get.call(map, 1)).toBe(2);
  const date = roundTrip([bare(new Date(5))])[0]!;
  expect(Date.prototype.getTime.call(date)).toBe(5);
});
