import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../config.ts";
import type { Loose } from "../notary/tuf/testing/loose.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { ensureAdmin } from "../orgs/open-orgs.ts";
import { inspectPolicies } from "../prepare.ts";
import { PoliciesStore } from "../promotion/policies-store.ts";
import { termsSchema } from "../promotion/terms.ts";
import { ensureRepository } from "../storage/repository-store.ts";
import { openTestDatabase, type TestDatabase, unconfirmed } from "../storage/test-database.ts";
import { signEnvelope } from "../trust/dsse.ts";
import { POLICY_TYPE } from "../trust/policy.ts";
import { plain } from "../trust/testing/policy-text.ts";
import { alice, signerOf } from "../trust/testing/signers.ts";
import { readHandedPolicy } from "../verdicts/bridge-policy.ts";
import { BridgePolicyStore } from "../verdicts/bridge-policy-store.ts";
import { checkPolicy } from "./checkup-policy.ts";

const AT = new Date("2026-06-01T00:00:00Z");
const nobodyElse = { check: () => undefined, confirm: unconfirmed };
let tests: TestDatabase;

beforeAll(async () => {
  tests = await openTestDatabase();
  await ensureAdmin(tests.database, "correct horse battery");
});
afterAll(() => tests.close());

/** `doctor`, of a server whose database is the test's. */
const look = () => {
  const config = parseConfig({
    ...{
      GOLDSEAL_DATABASE_URL: "postgres://goldseal:secret@127.0.0.1/goldseal",
      GOLDSEAL_PUBLIC_URL: "https://reg.example.com",
    },
    ...{ GOLDSEAL_MASTER_KEY_FILE: "/etc/goldseal/master.key", GOLDSEAL_TLS: "off" },
  });
  return checkPolicy({ config, isServed: false, inspectPolicies: () => inspectPolicies(tests.url) });
};

async function hand(version: number, change: (document: Loose) => void = () => undefined): Promise<void> {
  const document = plain();
  document.version = version;
  change(document);
  const handed = readHandedPolicy(
    signEnvelope(POLICY_TYPE, Buffer.from(JSON.stringify(document)), [alice].map(signerOf)),
  );
  const signers = handed.document.keys.keys().map((keyId) => ({ keyId, user: "alice" }));
  await new BridgePolicyStore(tests.database).put(handed, [...signers], { by: "admin", at: AT }, nobodyElse);
}

async function promote(name: string, require: readonly object[], enabled = true): Promise<void> {
  const source = "admin/app" as RepositoryName;
  await tests.database.transaction((sql) =>
    ensureRepository(sql, source, { repositoryId: undefined, mayCreate: true }),
  );
  const terms = termsSchema.parse({ targetRepository: "admin/gold", require });
  const put = { source, name, enabled, terms, by: "admin", at: AT, agrees: async () => true, ...nobodyElse };
  await new PoliciesStore(tests.database).put(put);
}

describe("doctor on policies", () => {
  it("is content where there are none", async () => {
    expect(await look()).toEqual([
      { verdict: "ok", subject: "policies", text: "every rule asks for keys that people hold" },
    ]);
  });

  it("warns of each environment and promotion policy that takes the server's word", async () => {
    await hand(7);
    await promote("first", [{ k: 1, class: "server-attested" }]);
    await promote("strict", [{ k: 1 }]);
    await promote("off", [{ k: 1, class: "either" }], false);
    await promote("open", []);

    const findings = await look();

    const word = (whose: string): string => expect.stringContaining(`${whose} the server's word (server-attested)`);
    expect(findings).toEqual([
      {
        ...{ verdict: "warning", subject: "policies", text: word("environment prod: 1 of 3 rules take") },
        mend: expect.stringContaining("client-key"),
      },
      {
        ...{ verdict: "warning", subject: "policies" },
        text: word("promotion policy first of admin/app: 1 of 1 rule takes"),
        mend: expect.stringContaining("client-key"),
      },
    ]);
  });

  it("goes by the newest document alone", async () => {
    await hand(8, (document) => {
      delete (document.environments as Loose).prod;
    });

    expect((await look()).map(({ text }) => text)).toEqual([expect.stringContaining("promotion policy first")]);
  });

  it("does not look into an embedded database that does not run", async () => {
    const config = parseConfig({ GOLDSEAL_DATA: "/nowhere" });
    const never = async () => Promise.reject(new Error("must not be asked"));

    expect(await checkPolicy({ config, isServed: false, inspectPolicies: never })).toMatchObject([{ verdict: "ok" }]);
  });
});
