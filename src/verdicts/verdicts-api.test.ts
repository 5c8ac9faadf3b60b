import { beforeAll, describe, expect, it } from "vitest";
import { AUTHORITY } from "../notary/testing/signer.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import type { Digest } from "../oci/digest.ts";
import { bundle } from "../trust/testing/cosign.ts";
import { type Pushed, useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";

const { lab } = useLab();
let image: Pushed;
const mallory = ecdsaKey();

/** bob signed it in qa, which alice does not see; alice in ops, and a stranger with cosign. */
beforeAll(async () => {
  image = await lab().push("ops/app", "v1");
  await lab().push("qa/app", "v1");
  const [ops, qa] = [await lab().found("ops/app"), await lab().found("qa/app")];
  await lab().sign(ops, "alice", "v1", image);
  await lab().sign(qa, "bob", "1.4", image);
  const artifact = { ...image, digest: image.digest as Digest, mediaType: undefined };
  await lab().attach("ops/app", image, bundle(mallory, artifact), "referrer");
  await lab().must("PUT", "orgs/ops/teams/gold/grants/app", { level: "read-only" });
  await putPolicy(lab(), "gold", goldPolicy("app", { environment: "prod" }));
  await putPolicy(lab(), "tested", {
    ...{ repositories: ["*"], mode: "warn", applies: ["promotion"] },
    require: [{ team: "qa/testers", k: 1, gun: "qa/{name}" }, { k: 3 }],
  });
  await putPolicy(lab(), "off", goldPolicy("app", { mode: "off" }));
  await putPolicy(lab(), "other", goldPolicy("other"));
});

const get = (query: string, as = "alice", repository = "app") =>
  lab().rest("GET", `orgs/ops/repositories/${repository}/verdicts?${query}`, undefined, as);

describe("GET …/verdicts", () => {
  it("says of every policy that covers the repository who signed, as what, until when, and what is missing", async () => {
    const { status, body } = await get("tag=v1");

    const spki = lab().keys.alice.key.getMaterial().spkiSha256;
    const of = { format: "tuf", machine: false, class: "client-key", digest: image.digest };
    expect([status, { ...body, verdicts: body.verdicts.length }]).toEqual([
      200,
      { repository: "ops/app", tag: "v1", digest: image.digest, image: true, verdicts: 2 },
    ]);
    expect(body.verdicts[0]).toEqual({
      ...{ policy: "gold", environment: "prod", mode: "enforce", applies: ["pull"], allowed: true, missing: [] },
      until: expect.stringMatching(/^20/),
      rows: [{ team: "gold", k: 1, class: "client-key", who: ["alice"], met: true }],
      signatures: [
        {
          ...{ ...of, keySha256: spki, user: "alice", counts: true, why: null },
          ...{ gun: `${AUTHORITY}/ops/app`, role: "targets/alice", tag: "v1", expiresAt: expect.stringMatching(/^20/) },
        },
      ],
      refusals: [{ where: expect.stringMatching(/^sha256:/), reason: expect.stringMatching(/is by no key/) }],
    });
  });

  it("shows no signature of a repository that is hidden from who asks, and counts it", async () => {
    const [hidden, seen] = [(await get("tag=v1")).body.verdicts[1], (await get("tag=v1", "admin")).body.verdicts[1]];

    const guns = ({ signatures }: { signatures: { gun: string; tag: string }[] }) =>
      signatures.map(({ gun, tag }) => `${gun}:${tag}`);
    expect(hidden.rows.map(({ who }: { who: string[] }) => who)).toEqual([["bob"], ["alice"]]);
    expect(guns(hidden)).toEqual([`${AUTHORITY}/ops/app:v1`]);
    expect(guns(seen).sort()).toEqual([`${AUTHORITY}/ops/app:v1`, `${AUTHORITY}/qa/app:1.4`]);
    expect([hidden.allowed, hidden.until, hidden.missing.join()]).toEqual([
      false,
      null,
      expect.not.stringContaining("1.4"),
    ]);
  });

  it("is asked for by digest, and for one policy", async () => {
    const byDigest = (await get(`digest=${image.digest}&policy=gold`)).body;

    expect([byDigest.tag, byDigest.verdicts.map(({ policy }: { policy: string }) => policy)]).toEqual([null, ["gold"]]);
  });

  it("tells a signature from an image", async () => {
    const { body } = await lab().app.ask("GET", `/v2/ops/app/referrers/${image.digest}`, { as: "admin" });
    const [referrer] = JSON.parse(body.toString()).manifests;

    expect((await get(`digest=${referrer.digest}`)).body.image).toBe(false);
  });

  it.each([
    ["nothing", ""],
    ["both", `tag=v1&digest=sha256:${"11".repeat(32)}`],
    ["no tag", "tag=.v1"],
    ["no digest", "digest=sha256:1"],
    ["no policy's name", "tag=v1&policy=Gold"],
    ["what it does not know", "tag=v1&all=1"],
  ])("refuses %s", async (_what, query) => {
    const { status, body } = await get(query);

    expect([status, body.code]).toEqual([400, "invalid-request"]);
  });

  it("is 404 for what is not there, and for what is hidden", async () => {
    const answers = await Promise.all([
      get("tag=v2"),
      get(`digest=sha256:${"11".repeat(32)}`),
      get("tag=v1", "admin", "none"),
      get("tag=v1", "bob"),
      get("tag=v1", "bob", "none"),
    ]);

    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(answers.map(() => [404, "not-found"]));
    expect(answers[3]?.body.detail).toBe(answers[4]?.body.detail);
  });
});
