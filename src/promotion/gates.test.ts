import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { parseDigest } from "../oci/digest.ts";
import { classic } from "../trust/testing/cosign.ts";
import { useLab } from "../verdicts/testing/lab.ts";

const { lab } = useLab();

const policy = (of: string, body: object) =>
  lab().must("PUT", `orgs/qa/repositories/${of.replace("qa/", "")}/promotion-policies/gold`, body);
const promote = (source: string, destination: string) => lab().rest("POST", "promotions", { source, destination });
const tagDigest = async (repository: string, tag: string) => {
  const answer = await lab().app.ask("HEAD", `/v2/${repository}/manifests/${tag}`, { as: "admin" });
  return answer.headers["docker-content-digest"];
};
const promotionsOf = async (source: string) => (await lab().rest("GET", `promotions?source=${source}`)).body.promotions;

describe("a promotion with gates", () => {
  it("goes through by itself once those who must have signed the image where it is", async () => {
    const image = await lab().push("qa/app", "v1");
    await lab().push("ops/app", "0");
    const signer = await lab().found("qa/app");
    await policy("qa/app", { targetRepository: "ops/app", tagTemplate: "gold", require: [{ team: "testers", k: 1 }] });

    const early = await promote("qa/app:v1", "ops/app");
    expect([early.status, early.body.code]).toEqual([409, "gates-not-met"]);
    expect(early.body.detail).toContain("must be signed by one person of team testers");
    expect(await promotionsOf("qa/app")).toEqual([]);

    await lab().sign(signer, "alice", "v1", image);
    expect((await promote("qa/app:v1", "ops/app")).body.code).toBe("gates-not-met");
    await lab().sign(signer, "bob", "v1", image);

    await expect.poll(() => tagDigest("ops/app", "gold")).toBe(image.digest);
    const [promotion] = await promotionsOf("qa/app");
    expect(promotion).toMatchObject({
      ...{ state: "done", askedBy: "admin" },
      gates: [{ gate: "promotion", allowed: true, who: ["bob"], missing: [] }],
    });
  });

  it("asks what the destination's own policies ask, of whoever promotes, and then it can be pulled there", async () => {
    const image = await lab().push("qa/own", "v1");
    const signer = await lab().found("qa/own");
    const rule = { repositories: ["own"], mode: "enforce", applies: ["pull", "promotion"] };
    const require = [{ team: "qa/testers", k: 1, gun: "qa/{name}" }];
    await lab().must("PUT", "orgs/ops/policies/own", { ...rule, require });
    await lab().must("PUT", "orgs/ops/repositories/own", { visibility: "public" });

    const early = await promote("qa/own:v1", "ops/own:gold");
    expect([early.body.code, early.body.detail]).toEqual([
      "gates-not-met",
      expect.stringContaining("policy own of ops: "),
    ]);
    await lab().sign(signer, "bob", "v1", image);
    expect((await promote("qa/own:v1", "ops/own:gold")).body.state).toBe("done");

    const pulled = await lab().app.ask("GET", "/v2/ops/own/manifests/gold", { as: "alice" });
    expect([pulled.status, pulled.body.equals(image.bytes)]).toEqual([200, true]);
    await lab().push("ops/own", "test", "unsigned");
    expect((await lab().app.ask("GET", "/v2/ops/own/manifests/test", { as: "bob" })).code).toBe("DENIED");
  });

  it("counts cosign's signatures, which come along", async () => {
    const image = await lab().push("qa/cosigned", "v1");
    await lab().push("ops/cosigned", "0");
    await policy("qa/cosigned", { targetRepository: "ops/cosigned", require: [{ team: "testers", k: 1 }] });
    expect((await promote("qa/cosigned:v1", "ops/cosigned")).body.code).toBe("gates-not-met");

    const signature = classic(lab().keys.bob, {
      digest: parseDigest(image.digest),
      bytes: image.bytes,
      mediaType: undefined,
    });
    const { digest } = await lab().attach("qa/cosigned", image, signature, "tag");

    await expect.poll(() => tagDigest("ops/cosigned", "v1")).toBe(image.digest);
    expect(await tagDigest("ops/cosigned", `${image.digest.replace(":", "-")}.sig`)).toBe(digest);
  });

  it("of a policy that only warns go through, with the warning in the statement", async () => {
    await lab().push("qa/warned", "v1");
    const rule = { repositories: ["warned"], mode: "warn", applies: ["promotion"], require: [{ team: "gold", k: 1 }] };
    await lab().must("PUT", "orgs/ops/policies/warned", rule);

    const { body } = await promote("qa/warned:v1", "ops/warned:gold");

    expect(body).toMatchObject({ state: "done", gates: [{ gate: "policy warned of ops", allowed: true }] });
    expect(body.gates[0].missing).toHaveLength(1);
  });
});

describe("an immutable tag in the trust data", () => {
  it("is said to be no other image, and may be said to be what it is", async () => {
    const [image, other] = [await lab().push("qa/fixed", "gold"), await lab().push("qa/fixed", "other")];
    const signer = await lab().found("qa/fixed");
    await lab().must("PUT", "orgs/qa/repositories/fixed/immutable-tags", { patterns: ["gold"] });

    await lab().sign(signer, "bob", "gold", image);
    const { bob } = lab().keys;
    const part = signer.repository.part("targets/bob", put(["targets", "gold"], other.target), [bob]);
    const { status, body: refusal } = await signer.publish([part]);

    expect([status, JSON.parse(refusal.toString()).errors[0].code]).toEqual([400, "INVALID_UPDATE"]);
    expect(refusal.toString()).toContain("the tag gold is immutable here");

    const { body } = await lab().must("GET", "orgs/qa/repositories/fixed/trust/history?tag=gold");
    expect(body.signatures.map(({ digest }: { digest: string }) => digest)).toEqual([image.digest]);
  });
});
