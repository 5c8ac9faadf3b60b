import { beforeAll, describe, expect, it } from "vitest";
import { prove } from "../notary/testing/states.ts";
import { spkiOf } from "../notary/tuf/key.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import type { SignatureManifest } from "../trust/cosign-evidence.ts";
import type { Artifact } from "../trust/subject.ts";
import { bundle, classic } from "../trust/testing/cosign.ts";
import { type Pushed, useLab } from "../verdicts/testing/lab.ts";

const { lab } = useLab();

interface Entry {
  readonly kind: string;
  readonly repository: string;
  readonly by: readonly string[];
  readonly teams: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

/** Of ops, and reads what is in qa. */
beforeAll(async () => {
  await lab().user("rhea");
  await lab().must("PUT", "orgs/ops/members/rhea", { role: "member" });
});

const artifactOf = ({ digest, bytes }: Pushed): Artifact => {
  return { digest: digest as Artifact["digest"], bytes, mediaType: undefined };
};
const history = async (digest: string, as = "admin"): Promise<Entry[]> =>
  (await lab().must("GET", `history?digest=${digest}`, undefined, as)).body.history;
const line = ({ kind, repository, by, teams }: Entry): string => `${kind} ${repository} ${by} (${teams})`;
/** But for who pushed the image. */
const told = async (digest: string, as?: string): Promise<string[]> =>
  (await history(digest, as)).filter(({ kind }) => kind !== "pushed").map(line);

/** Both in one manifest, as cosign has them under its tag. */
function together(one: SignatureManifest, two: SignatureManifest): SignatureManifest {
  const [first, second] = [one, two].map(({ artifact }) => JSON.parse(Buffer.from(artifact.bytes).toString()));
  const bytes = Buffer.from(JSON.stringify({ ...first, layers: [...first.layers, ...second.layers] }));
  return { artifact: { ...one.artifact, bytes }, blobs: new Map([...one.blobs, ...two.blobs]) };
}

describe("GET /api/v1/history", () => {
  it.each([
    ["classic", classic, "tag"],
    ["bundle", bundle, "referrer"],
  ] as const)(
    "tells in order who pushed, signed with cosign (%s), promoted, and what was deployed",
    async (name, sign, as) => {
      const { bob } = lab().keys;
      const image = await lab().push(`qa/${name}`, "1", name);
      const signature = await lab().attach(`qa/${name}`, image, sign(bob, artifactOf(image)), as);
      const policy = { repositories: [name], mode: "off", require: [{ team: "qa/testers", k: 1 }] };
      await lab().must("PUT", `orgs/ops/policies/${name}`, policy);
      await lab().must("POST", "promotions", { source: `qa/${name}:1`, destination: `ops/${name}:gold` });
      const running = { environment: "prod", service: "web", repository: `ops/${name}`, digest: image.digest };
      await lab().must("PUT", "cluster-agent/digests", { deployed: [{ ...running, state: "running" }] });

      const entries = await history(image.digest);

      const byServer = ({ kind, detail }: Entry): boolean =>
        kind === "attached" || String(detail.role).startsWith("targets/");
      expect(entries.filter((entry) => !byServer(entry)).map(line)).toEqual([
        `pushed qa/${name} admin ()`,
        `signed qa/${name} bob (qa/testers)`,
        `promoted ops/${name} admin ()`,
        `deployed ops/${name}  ()`,
      ]);
      expect(entries.find(({ kind }) => kind === "signed")?.detail).toMatchObject({
        ...{ manifest: signature.digest, format: "cosign", keys: [spkiOf(bob.key)], pushedBy: ["admin"] },
      });
      // The promotion took it along: there too it would count, and was not made.
      expect(entries.filter(({ by }) => by.includes("bob"))).toHaveLength(1);
    },
  );

  it("tells who signed the trust data, and their teams", async () => {
    const signer = await lab().found("qa/tuf");
    const image = await lab().push("qa/tuf", "1", "tuf");

    await lab().sign(signer, "bob", "1", image);

    expect(await told(image.digest)).toEqual(["signed qa/tuf bob (qa/testers)"]);
  });

  it("under cosign's tag tells of each signature once, by whom it is new", async () => {
    const gina = ecdsaKey();
    await lab().user("gina");
    await lab().join("qa", "leads", "gina");
    await prove(lab().app, "gina", gina);
    const image = await lab().push("qa/two", "1", "two");
    const [hers, his] = [gina, lab().keys.bob].map((key) => classic(key, artifactOf(image))) as [
      SignatureManifest,
      SignatureManifest,
    ];
    await lab().attach("qa/two", image, his, "tag");
    await lab().attach("qa/two", image, together(his, hers), "tag");

    expect(await told(image.digest)).toEqual(["signed qa/two bob (qa/testers)", "signed qa/two gina (qa/leads)"]);
  });

  it("leaves it at attached where it is by nobody's key, of another image, or by somebody whom nobody there counts", async () => {
    const [image, other] = [await lab().push("qa/none", "1", "none"), await lab().push("qa/none", "2", "other")];
    const [strange, claimed] = [ecdsaKey(), ecdsaKey()];
    const publicKey = String(claimed.publicKey.export({ format: "pem", type: "spki" }));
    await lab().must("POST", "users/bob/keys", { name: "claimed", publicKey }, "bob");
    for (const key of [strange, claimed])
      await lab().attach("qa/none", image, bundle(key, artifactOf(image)), "referrer");
    await lab().attach("qa/none", image, bundle(lab().keys.bob, artifactOf(other)), "referrer");
    await lab().attach("qa/none", image, bundle(lab().keys.alice, artifactOf(image)), "referrer");
    expect(await told(image.digest)).toEqual(Array(4).fill("attached qa/none admin ()"));

    const require = [{ team: "ops/gold", k: 1 }];
    const policy = { repositories: ["none"], mode: "warn", require };
    await lab().must("PUT", "orgs/qa/policies/by-ops", policy);

    expect(await told(image.digest)).toEqual([
      ...Array(3).fill("attached qa/none admin ()"),
      "signed qa/none alice (ops/gold)",
    ]);
  });

  it("counts what came before its key was taken back, and nothing after", async () => {
    const key = ecdsaKey();
    await lab().user("vera");
    await lab().join("qa", "testers", "vera");
    await prove(lab().app, "vera", key);
    const [before, after] = [await lab().push("qa/key", "1", "before"), await lab().push("qa/key", "2", "after")];
    await lab().attach("qa/key", before, bundle(key, artifactOf(before)), "referrer");
    await lab().must("DELETE", `users/vera/keys/${spkiOf(key.key)}`);
    await lab().attach("qa/key", after, bundle(key, artifactOf(after)), "referrer");

    expect(await told(before.digest)).toEqual(["signed qa/key vera (qa/testers)"]);
    expect(await told(after.digest)).toEqual(["attached qa/key admin ()"]);
  });

  it("tells teams only to whoever is of the repository's organization", async () => {
    const image = await lab().push("qa/open", "1", "open");
    await lab().attach("qa/open", image, bundle(lab().keys.bob, artifactOf(image)), "referrer");
    await lab().must("PUT", "orgs/qa/repositories/open", { visibility: "public" });

    expect(await told(image.digest, "rhea")).toEqual(["signed qa/open bob ()"]);
    expect(await told(image.digest, "bob")).toEqual(["signed qa/open bob (qa/testers)"]);
  });
});
