import { describe, expect, it } from "vitest";
import { canonicalKeyId } from "./key.ts";
import { parseRoot } from "./metadata.ts";
import { meetsPin } from "./root-pin.ts";
import { roleKeys } from "./testing/next-root.ts";
import { certificateFor, GUN, Repository } from "./testing/repository.ts";
import { ecdsaKey, inCertificate, type TestKey } from "./testing/test-key.ts";

const [owner, second, thief] = [ecdsaKey(), ecdsaKey(), ecdsaKey()].map((pair) =>
  inCertificate(pair, certificateFor(GUN)),
) as [TestKey, TestKey, TestKey];
const idOf = ({ key }: TestKey): string => canonicalKeyId(key);

/** A first root that lists `listed` and is signed by `by`. */
function rootOf(listed: readonly TestKey[], by: readonly TestKey[]) {
  const repository = new Repository();
  return parseRoot(repository.part("root", roleKeys("root", listed), by).bytes);
}

describe("meetsPin", () => {
  it("takes a root that the pinned key signed, by the id of the key and of its certificate", () => {
    const root = rootOf([owner], [owner]);

    expect(meetsPin(root, { keyIds: [idOf(owner)], threshold: 1 })).toBe(true);
    expect(meetsPin(root, { keyIds: [owner.key.id], threshold: 1 })).toBe(true);
    expect(meetsPin(root, { keyIds: [idOf(thief)], threshold: 1 })).toBe(false);
  });

  it("refuses a root that only lists the pinned key and is signed by a thief's", () => {
    const root = rootOf([owner, thief], [thief]);

    expect(meetsPin(root, { keyIds: [idOf(owner)], threshold: 1 })).toBe(false);
  });

  it("counts keys, not ids of theirs, and never needs none", () => {
    const both = { keyIds: [idOf(owner), owner.key.id, idOf(second)], threshold: 2 };

    expect(meetsPin(rootOf([owner, second], [owner]), both)).toBe(false);
    expect(meetsPin(rootOf([owner, second], [owner, second]), both)).toBe(true);
    expect(meetsPin(rootOf([thief], [thief]), { keyIds: [], threshold: 0 })).toBe(false);
  });
});
