import { describe, expect, it } from "vitest";
import { ownedBy, rootedBy } from "./testing/signed.ts";
import { alice, spkiOfPair } from "./testing/signers.ts";
import { image, row, server, signedSet, subjectOf, verdictOf } from "./testing/world.ts";
import { findTufEvidence } from "./tuf-evidence.ts";

describe("judge takes for server-attested", () => {
  it("a whole GUN whose root the server holds", async () => {
    for (const owner of [ownedBy(server), rootedBy(server)]) {
      const set = signedSet({ roles: { "targets/a": { says: { "1.4": image }, by: [alice] } }, of: owner });

      expect(await verdictOf({ sets: [set] })).toMatchObject({
        allowed: false,
        signatures: [{ class: "server-attested" }],
      });
      expect(await verdictOf({ sets: [set], rows: [row({ class: "server-attested" })] })).toMatchObject({
        allowed: true,
      });
    }
  });

  it("a role under one whose keys the server holds", async () => {
    const set = signedSet({ roles: { "targets/a": { says: { "1.4": image }, by: [alice], keys: [alice] } } });
    const [evidence] = findTufEvidence(await set, subjectOf("ops/app:1.4")).evidence;
    if (evidence?.statement === undefined) throw new Error("no evidence");

    const definedBy = new Set([...evidence.statement.definedBy, spkiOfPair(server)]);
    const more = [{ ...evidence, statement: { ...evidence.statement, definedBy } }];

    expect(await verdictOf({ more })).toMatchObject({ allowed: false, signatures: [{ class: "server-attested" }] });
  });
});
