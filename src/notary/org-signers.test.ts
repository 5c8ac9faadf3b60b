import { createPublicKey } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLog } from "../http/log.ts";
import { newKeyLine, parseKeyRing } from "../keys/key-ring.ts";
import { noFailpoint } from "../storage/failpoint.ts";
import { openTestApp, PUBLIC_URL, type TestApp } from "../testing/open-test-app.ts";

import { openNotary } from "./open-notary.ts";
import { OrgSignersStore } from "./org-signers-store.ts";
import { verifySignature } from "./tuf/key.ts";
import { parsePublicKeyFile } from "./tuf/public-key-file.ts";

let app: TestApp;
const now = new Date("2026-11-22T12:00:00Z");
const message = Buffer.from("what is signed");

beforeAll(async () => {
  app = await openTestApp();
  for (const org of ["lab", "other", "gone"]) await app.addOrg(org);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

async function ask(method: string, path: string, as = "admin", sent?: unknown) {
  const asked = sent === undefined ? {} : { body: JSON.stringify(sent) };
  const { status, body } = await app.ask(method, `/api/v1/${path}`, { as, ...asked });
  return { status, body: body.length === 0 ? undefined : JSON.parse(body.toString()) };
}

const signersOf = (org: string, as?: string) => ask("GET", `orgs/${org}/signers`, as);

describe("GET /api/v1/orgs/{org}/signers", () => {
  it("gives one key for each purpose, the same ever after and to whoever asks at once", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => signersOf("lab")));
    const [{ status, body } = { status: 0, body: { signers: [] } }] = all;

    expect(status).toBe(200);
    expect(body.signers.map(({ role }: { role: string }) => role)).toEqual([
      "targets/goldseal-auto",
      "targets/goldseal-promote",
    ]);
    for (const other of [...all, await signersOf("lab")]) expect(other.body).toEqual(body);
    const ids = [body, (await signersOf("other")).body].flatMap(({ signers }) =>
      signers.map(({ keyId }: { keyId: string }) => keyId),
    );
    expect(new Set(ids).size).toBe(4);
  });

  it("gives them as docker trust signer add reads them, under the key id it makes of them", async () => {
    const { body } = await signersOf("lab");

    for (const { keyId, algorithm, publicKey } of body.signers) {
      expect(publicKey).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
      expect([algorithm, createPublicKey(publicKey).asymmetricKeyDetails?.namedCurve]).toEqual(["ecdsa", "prime256v1"]);
      expect(parsePublicKeyFile(publicKey).key.id).toBe(keyId);
    }
  });

  it("is for who sees the organization; for a user's own repositories, for that user", async () => {
    await ask("PUT", "orgs/lab/members/alice", "admin", { role: "member" });

    const statuses = [
      ["lab", "alice"],
      ["lab", "bob"],
      ["alice", "alice"],
      ["alice", "bob"],
      ["none", "admin"],
    ].map(async ([org = "", as = ""]) => (await signersOf(org, as)).status);

    expect(await Promise.all(statuses)).toEqual([200, 404, 200, 404, 404]);
    expect((await ask("GET", "orgs/alice/members", "alice")).status).toBe(404);
  });

  it("forgets them with the organization: another one of its name has others", async () => {
    const before = (await signersOf("gone")).body.signers[0].keyId;

    const { status } = await ask("DELETE", "orgs/gone");
    const rows = await app.database.query("", "select 1 from org_signers where org = 'gone'");
    await app.addOrg("gone");

    expect([status, rows.length]).toEqual([204, 0]);
    expect((await signersOf("gone")).body.signers[0].keyId).not.toBe(before);
  });
});

describe("a signer", () => {
  const [old, fresh] = [newKeyLine("old"), newKeyLine("new")];
  const storeOf = (keys: string) => new OrgSignersStore(app.database, parseKeyRing(keys));

  it("signs what its public key verifies, and opens with the new master key alone once resealed", async () => {
    await app.addOrg("sealed");
    const made = await storeOf(old).open(app.database, "sealed", "auto", now);
    await app.database.query("", "delete from org_signers where org <> 'sealed'");

    const counts = [await storeOf(fresh + old).reseal(), await storeOf(fresh + old).reseal()];

    const { key, sign, role } = await storeOf(fresh).open(app.database, "sealed", "auto", now);
    const { method, sig } = sign(message);
    expect([counts, key.id, role]).toEqual([[1, 0], made.key.id, "targets/goldseal-auto"]);
    expect(verifySignature(made.key, method, message, sig)).toBe(true);
  });

  it("does not open in another one's place", async () => {
    await app.addOrg("victim");
    await storeOf(old).open(app.database, "victim", "promote", now);
    await app.database.query("", "update org_signers set purpose = 'auto' where org = 'victim'");

    await expect(storeOf(old).open(app.database, "victim", "auto", now)).rejects.toThrow(
      "is not org-signer victim auto",
    );
    await app.database.query("", "delete from org_signers where org = 'victim'");
  });

  it("is resealed with all that the signing service has sealed", async () => {
    await storeOf(old).open(app.database, "victim", "auto", now);
    const notary = openNotary({
      ...{ database: app.database, ring: parseKeyRing(fresh + old), now: () => now, failpoint: noFailpoint },
      settings: { publicUrl: PUBLIC_URL, algorithm: "ed25519" },
      confirm: () => async () => undefined,
      listable: async () => new Map(),
      refusal: (code, message) => new Error(`${code}: ${message}`),
      findPeople: async () => new Map(),
      onSigned: async () => undefined,
      log: createLog({ level: "off" }),
    });

    const count = await notary.reseal();

    await notary.close();
    const rows = await app.database.query("", "select sealed_by from org_signers where org = 'victim'");
    expect([count, rows]).toEqual([1, [{ sealed_by: "new" }]]);
  });
});
