import { describe, expect, it } from "vitest";
import { openTestDatabase } from "../storage/test-database.ts";
import { newKeyLine, parseKeyRing, SealError } from "./key-ring.ts";
import { checkKeyRing } from "./key-ring-store.ts";

const secret = Buffer.from("what must not be read");

describe("parseKeyRing", () => {
  it("seals with the first key and opens with all of them", () => {
    const [old, recent] = [newKeyLine("old"), newKeyLine("recent")];
    const sealedBefore = parseKeyRing(old).seal("note", secret);

    const ring = parseKeyRing(`# newest first\n\n${recent}${old}`);
    const sealedNow = ring.seal("note", secret);

    expect(sealedNow.keyId).toBe("recent");
    expect(Buffer.from(ring.open("note", sealedNow))).toEqual(secret);
    expect(Buffer.from(ring.open("note", sealedBefore))).toEqual(secret);
  });

  it.each([
    ["nothing", "\n# only a comment\n"],
    ["no id", `${Buffer.alloc(32, 7).toString("base64")}\n`],
    ["31 bytes", `k ${Buffer.from(Array.from({ length: 31 }, (_, n) => n)).toString("base64")}\n`],
    ["33 bytes", `k ${Buffer.from(Array.from({ length: 33 }, (_, n) => n)).toString("base64")}\n`],
    ["zeros", `k ${Buffer.alloc(32).toString("base64")}\n`],
    ["not base64", `k ${"!".repeat(44)}\n`],
    ["a third word", newKeyLine("k").replace("\n", " more\n")],
    ["an id twice", newKeyLine("k") + newKeyLine("k")],
  ])("refuses a file with %s", (_, text) => {
    expect(() => parseKeyRing(text)).toThrow(/master key file/);
  });

  it("never shows a key in its complaint", () => {
    const line = newKeyLine("k");

    const complaints = [`${line.trim()}A\n`, `${line.trim()} ${line.slice(2)}`, line + line].map((text) => {
      try {
        return parseKeyRing(text);
      } catch (error) {
        return String(error);
      }
    });

    for (const complaint of complaints) expect(complaint).toMatch(/^Error: master key file, line \d/);
    expect(complaints.join()).not.toContain(line.slice(2, 12));
  });
});

describe("KeyRing", () => {
  it("never seals to the same bytes twice", () => {
    const ring = parseKeyRing(newKeyLine("k"));

    expect(ring.seal("note", secret).sealed).not.toEqual(ring.seal("note", secret).sealed);
  });

  it("does not open what was sealed as something else", () => {
    const ring = parseKeyRing(newKeyLine("k"));
    const sealed = ring.seal("note", secret);

    expect(() => ring.open("key", sealed)).toThrow(SealError);
    expect(() => ring.open("note-of-another-kind-altogether", sealed)).toThrow(SealError);
  });

  it("does not open changed bytes, cut bytes, or with another key of the same id", () => {
    const ring = parseKeyRing(newKeyLine("k"));
    const { keyId, sealed } = ring.seal("note", secret);
    const changed = Buffer.from(sealed);
    changed[30] = (changed[30] ?? 0) ^ 1;

    expect(() => ring.open("note", { keyId, sealed: changed })).toThrow(SealError);
    expect(() => ring.open("note", { keyId, sealed: sealed.subarray(0, 30) })).toThrow(SealError);
    expect(() => parseKeyRing(newKeyLine("k")).open("note", { keyId, sealed })).toThrow(SealError);
    expect(() => parseKeyRing(newKeyLine("other")).open("note", { keyId, sealed })).toThrow(SealError);
  });
});

describe("checkKeyRing", () => {
  it("takes the ring that was there first, again and again, and refuses another", async () => {
    const { database, close } = await openTestDatabase();
    const line = newKeyLine("k");
    await checkKeyRing(database, parseKeyRing(line));

    await checkKeyRing(database, parseKeyRing(line));
    const sameId = () => checkKeyRing(database, parseKeyRing(newKeyLine("k")));
    const otherId = () => checkKeyRing(database, parseKeyRing(newKeyLine("other")));

    // One after the other: a refusal that nobody waits for yet is an error of its own.
    await expect(sameId()).rejects.toThrow(/does not belong to this database.*does not open/s);
    await expect(otherId()).rejects.toThrow(/does not belong to this database.*has no key k/s);
    await close();
  });

  it("takes a new first key while the old one is still in the file, and not after the old one is gone", async () => {
    const { database, close } = await openTestDatabase();
    const [old, recent] = [newKeyLine("old"), newKeyLine("recent")];
    await checkKeyRing(database, parseKeyRing(old));

    await checkKeyRing(database, parseKeyRing(recent + old));
    const withoutOld = checkKeyRing(database, parseKeyRing(recent));

    await expect(withoutOld).rejects.toThrow(/has no key old/);
    await close();
  });
});
