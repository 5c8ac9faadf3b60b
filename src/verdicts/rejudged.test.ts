import { beforeAll, describe, expect, it } from "vitest";
import type { Signer } from "../notary/testing/signer.ts";
import { prove } from "../notary/testing/states.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import type { Digest } from "../oci/digest.ts";
import { classic } from "../trust/testing/cosign.ts";
import { type Pushed, useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";

const { lab, clock } = useLab();

const carol = ecdsaKey();
const spki = carol.key.getMaterial().spkiSha256;

beforeAll(async () => {
  await lab().user("carol");
  await lab().join("ops", "gold", "carol");
  await prove(lab().app, "carol", carol);
});

const statusOf = async (of: string, reference: string) =>
  (await lab().app.ask("GET", `/v2/${of}/manifests/${reference}`, { as: "bob" })).status;

/** An image that carol has signed, under a policy that she alone meets. */
async function signed(name: string): Promise<{ of: string; image: Pushed; signer: Signer }> {
  const of = `ops/${name}`;
  await lab().must("PUT", `orgs/ops/repositories/${name}`, { visibility: "public" });
  const image = await lab().push(of, "v1");
  const signer = await lab().found(of, { carol, alice: lab().keys.alice });
  await lab().sign(signer, "carol", "v1", image, carol);
  await putPolicy(lab(), name, goldPolicy(name));
  await lab().settled(of);
  return { of, image, signer };
}

/** What the history of the tag, and the audit, say of verdicts that turned; the oldest first. */
async function turnsOf(of: string): Promise<unknown[]> {
  const history = await lab().must("GET", `orgs/ops/repositories/${of.slice(4)}/trust/history?tag=v1`);
  const audit = await lab().must("GET", `audit?target=${of}&actor=goldseal`);
  const turned = history.body.signatures.filter(({ policy }: { policy: string | null }) => policy !== null);
  const kinds = turned.map(({ kind }: { kind: string }) => kind).reverse();
  const actions = audit.body.entries.map(({ action }: { action: string }) => action.replace("verdict-", "")).reverse();
  expect(actions).toEqual(kinds);
  return kinds;
}

/** Nobody pulls: what is found on record was found out by the server itself. conformance/story sees how soon. */
const turns = (of: string) => expect.poll(() => turnsOf(of), { interval: 100 });

/** What takes trust away, and what gives it back. */
const CHANGES: readonly (readonly [string, () => Promise<unknown>, () => Promise<unknown>])[] = [
  [
    "a member leaves the team",
    () => lab().must("DELETE", "orgs/ops/teams/gold/members/carol"),
    () => lab().must("PUT", "orgs/ops/teams/gold/members/carol", {}),
  ],
  [
    "an account is suspended",
    () => lab().must("PUT", "users/carol", { suspended: true }),
    () => lab().must("PUT", "users/carol", { suspended: false }),
  ],
  [
    "somebody leaves the organization",
    () => lab().must("DELETE", "orgs/ops/members/carol"),
    () => lab().join("ops", "gold", "carol"),
  ],
  ["a key is removed", () => lab().must("DELETE", `users/carol/keys/${spki}`), () => prove(lab().app, "carol", carol)],
];

describe("a verdict", () => {
  it("is on record though it could not be written the first time", async () => {
    const { of } = await signed("again");
    await expect.poll(() => statusOf(of, "v1")).toBe(200);
    // What a sequence has given is given, whatever becomes of the transaction.
    const { database } = lab().app;
    await database.query("", "create sequence refused_turns");
    await database.query(
      "",
      `create function fail_once() returns trigger language plpgsql as
       $$ begin if nextval('refused_turns') = 1 then raise exception 'not this time'; end if; return new; end $$`,
    );
    await database.query(
      "",
      `create trigger fail_once before insert on trust_signatures for each row
       when (new.policy = 'again') execute function fail_once()`,
    );

    await lab().must("DELETE", "orgs/ops/teams/gold/members/carol");

    await turns(of).toEqual(["refused"]);
    await database.query("", "drop trigger fail_once on trust_signatures");
    await lab().must("PUT", "orgs/ops/teams/gold/members/carol", {});
  });

  it.each(CHANGES)(
    "is another one for the next pull after %s, and on record though nobody pulls",
    async (what, take, give) => {
      const { of, image } = await signed(`c${CHANGES.findIndex(([one]) => one === what)}`);
      await expect.poll(() => statusOf(of, "v1")).toBe(200);
      await using other = await lab().app.openAnother();
      const elsewhere = async () => (await other.ask("GET", `/v2/${of}/manifests/v1`, { as: "bob" })).status;
      const seen = [await elsewhere()];

      await take();
      seen.push(await statusOf(of, "v1"), await elsewhere(), await statusOf(of, image.digest));
      await turns(of).toEqual(["refused"]);
      await give();
      await turns(of).toEqual(["refused", "allowed"]);
      seen.push(await statusOf(of, "v1"), await elsewhere());
      await take();
      await turns(of).toEqual(["refused", "allowed", "refused"]);
      await give();

      expect(seen).toEqual([200, 403, 403, 403, 200, 200]);
    },
  );

  it("follows the policy", async () => {
    const { of } = await signed("policy");
    const seen = [await statusOf(of, "v1")];
    await turns(of).toEqual([]);

    await putPolicy(lab(), "policy", goldPolicy("policy", { require: [{ team: "gold", k: 2 }] }));
    seen.push(await statusOf(of, "v1"));
    await turns(of).toEqual(["refused"]);
    await putPolicy(lab(), "policy", goldPolicy("policy", { mode: "off", require: [{ team: "gold", k: 2 }] }));
    seen.push(await statusOf(of, "v1"));
    await putPolicy(lab(), "policy", goldPolicy("other"));
    seen.push(await statusOf(of, "v1"));
    await putPolicy(lab(), "policy", goldPolicy("policy"));
    seen.push(await statusOf(of, "v1"));
    await turns(of).toEqual(["refused", "allowed"]);
    await lab().must("DELETE", "orgs/ops/policies/policy");
    seen.push(await statusOf(of, "v1"));

    expect(seen).toEqual([200, 403, 200, 200, 200, 200]);
  });

  it("follows trust data: revoked, signed again, and deleted", async () => {
    const { of, image, signer } = await signed("trust");
    const seen = [await statusOf(of, "v1")];
    await turns(of).toEqual([]);

    await lab().app.ask("DELETE", `/v2/${signer.gun}/_trust/tuf/`, { as: "admin" });
    seen.push(await statusOf(of, "v1"));
    await turns(of).toEqual(["refused"]);
    const again = await lab().found(of, { carol });
    await lab().sign(again, "carol", "v1", image, carol);
    seen.push(await statusOf(of, "v1"));

    expect(seen).toEqual([200, 403, 200]);
  });

  it("follows trust data of another repository where the rule looks", async () => {
    const image = await lab().push("qa/far", "v1");
    const signer = await lab().found("qa/far");
    await lab().must("PUT", "orgs/ops/repositories/far", { visibility: "public" });
    await lab().push("ops/far", "v1");
    await putPolicy(lab(), "far", {
      ...{ repositories: ["far"], mode: "enforce" },
      require: [{ team: "qa/testers", k: 1, gun: "qa/{name}" }],
    });
    await lab().settled("ops/far");
    const seen = [await statusOf("ops/far", "v1")];
    await turns("ops/far").toEqual([]);

    await lab().sign(signer, "bob", "v7", image);
    seen.push(await statusOf("ops/far", "v1"));
    await turns("ops/far").toEqual(["allowed"]);
    await lab().unsign(signer, "bob");
    await turns("ops/far").toEqual(["allowed", "refused"]);

    expect(seen).toEqual([403, 200]);
  });

  it("follows cosign signatures as they come and go, and the index that lists an image", async () => {
    const of = "ops/cosign";
    await lab().must("PUT", "orgs/ops/repositories/cosign", { visibility: "public" });
    const image = await lab().push(of, "v1");
    await putPolicy(lab(), "cosign", goldPolicy("cosign"));
    await lab().settled(of);
    const seen = [await statusOf(of, "v1")];
    const artifact = (one: Pushed) => ({ ...one, digest: one.digest as Digest, mediaType: undefined });
    await turns(of).toEqual([]);

    await lab().attach(of, image, classic(carol, artifact(image)), "tag");
    seen.push(await statusOf(of, "v1"));
    await turns(of).toEqual(["allowed"]);
    await lab().app.ask("DELETE", `/v2/${of}/manifests/${image.digest.replace(":", "-")}.sig`, { as: "admin" });
    seen.push(await statusOf(of, "v1"));
    const index = await lab().index(of, "multi", image);
    await lab().attach(of, index, classic(carol, artifact(index)), "tag");
    seen.push(await statusOf(of, image.digest));
    await lab().app.ask("DELETE", `/v2/${of}/manifests/${index.digest}`, { as: "admin" });
    seen.push(await statusOf(of, image.digest));

    expect(seen).toEqual([403, 200, 403, 200, 403]);
  });

  it("runs out by itself, with nobody there", async () => {
    const { of } = await signed("old");
    await putPolicy(lab(), "old", goldPolicy("old", { maxTimestampAge: "48h" }));
    await lab().settled(of);
    // What is tagged was judged: nothing is due before the time comes.
    const isJudged = async () =>
      (
        await lab().app.database.query(
          "",
          "select 1 from verdicts v join repositories r on r.id = v.repository_id where r.name = $1 and tag = 'v1' and allowed",
          [of],
        )
      ).length;
    await expect.poll(isJudged).toBe(1);
    const seen = [await statusOf(of, "v1")];

    clock.now = new Date(Date.now() + 49 * 3_600_000);
    seen.push(await statusOf(of, "v1"));
    await turns(of).toEqual(["refused"]);
    clock.now = undefined;

    expect(seen).toEqual([200, 403]);
  });

  it("is of the tag: another image under it is judged for itself, and its history goes on", async () => {
    const { of, image, signer } = await signed("tag");
    await turns(of).toEqual([]);
    await expect.poll(() => statusOf(of, "v1")).toBe(200);

    const fresh = await lab().push(of, "v1", "fresh");
    const seen = [await statusOf(of, "v1"), await statusOf(of, image.digest)];
    await turns(of).toEqual(["refused"]);
    await lab().sign(signer, "carol", "v1", fresh, carol);
    await turns(of).toEqual(["refused", "allowed"]);

    expect(seen).toEqual([403, 200]);
  });

  it("goes with the repository, follows it when it is renamed, and with the policy's organization", async () => {
    const { of } = await signed("gone");
    const { body } = await lab().rest("GET", "orgs/ops/repositories/gone");
    expect(body.name).toBe(of);
    await lab().must("POST", "orgs/ops/repositories/gone/rename", { name: "ops/renamed", dropTrust: true });
    const renamed = await statusOf("ops/renamed", "v1");
    await putPolicy(lab(), "gone", goldPolicy("renamed"));
    const covered = await statusOf("ops/renamed", "v1");
    await lab().must("POST", "orgs/ops/repositories/renamed/rename", { name: "qa/away", dropTrust: true });
    await lab().must("PUT", "orgs/qa/repositories/away", { visibility: "public" });
    const away = await statusOf("qa/away", "v1");
    await lab().must("DELETE", "orgs/qa/repositories/away?dropTrust=true");
    const rows = await lab().app.database.query(
      "",
      "select 1 from verdicts where repository_id not in (select id from repositories) union all select 1 from verdict_sources where source like '%/away'",
    );

    expect([renamed, covered, away, rows]).toEqual([200, 403, 200, []]);
  });
});
