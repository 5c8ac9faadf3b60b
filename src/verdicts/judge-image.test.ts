import { describe, expect, it } from "vitest";
import { AUTHORITY } from "../notary/testing/signer.ts";
import { prove, taken } from "../notary/testing/states.ts";
import { makeKey } from "../notary/tuf/key.ts";
import { delegate, entry } from "../notary/tuf/testing/delegating.ts";
import { put } from "../notary/tuf/testing/loose.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import type { RequireRow } from "../trust/require.ts";
import { bundle, classic } from "../trust/testing/cosign.ts";
import type { Requirement } from "../trust/verdict.ts";
import type { ImageName } from "./image.ts";
import { openJudge } from "./testing/judge.ts";
import { type Pushed, useLab } from "./testing/lab.ts";

const { lab, clock } = useLab();

async function judgeImage(image: ImageName, org: string, requirement: Requirement) {
  const { judgeImage: judge } = await openJudge(lab(), () => clock.now ?? new Date());
  return judge(image, { org, requirement });
}

interface Asked {
  readonly rows?: readonly Partial<RequireRow>[];
  readonly tag?: string;
  readonly org?: string;
  readonly heldBy?: string;
  readonly rest?: Partial<Requirement>;
}

/** Who counts for each row, or what is missing. */
async function judged(repository: string, { digest }: Pick<Pushed, "digest">, asked: Asked = {}) {
  const { rows = [{ team: "gold" }], tag, org = "ops", heldBy, rest = {} } = asked;
  const require = rows.map((row) => ({ k: 1, class: "client-key" as const, team: undefined, gun: undefined, ...row }));
  const verdict = await judgeImage(
    {
      repository: parseRepositoryName(repository),
      tag: tag === undefined ? undefined : parseTag(tag),
      digest: parseDigest(digest),
      heldBy: heldBy === undefined ? undefined : parseRepositoryName(heldBy),
    },
    org,
    { require, maxTimestampAgeSeconds: undefined, needsTag: false, ...rest },
  );
  return verdict.allowed ? verdict.rows.map(({ who }) => who.join("+")) : verdict.missing;
}

const asks = (digest: string, who: string, has: string, name: string) => [
  `${digest} must be signed by ${who}, and is by ${has}; one of them signs it with: goldseal trust sign ${AUTHORITY}/${name}`,
];
const GOLD = "one person of team gold with their own key";

describe("judgeImage", () => {
  it("counts who signed the tag in a delegation of the image's own GUN", async () => {
    const image = await lab().push("ops/own", "v1");
    const signer = await lab().found("ops/own");
    const unsigned = await judged("ops/own", image, { tag: "v1" });
    await lab().sign(signer, "alice", "v1", image);

    const verdicts = [
      await judged("ops/own", image, { tag: "v1" }),
      await judged("ops/own", image),
      await judged("ops/own", image, { tag: "v2" }),
    ];

    expect(unsigned).toEqual(asks(image.digest, GOLD, "nobody", "ops/own:v1"));
    expect(verdicts).toEqual([
      ["alice"],
      ["alice"],
      asks(image.digest, GOLD, `nobody (a signature of alice is for ${AUTHORITY}/ops/own:v1)`, "ops/own:v2"),
    ]);
  });

  it("throws where there is no such repository or manifest", async () => {
    const { digest } = await lab().push("ops/there", "v1");
    const other = { digest: `sha256:${"11".repeat(32)}` };

    await expect(judged("ops/none", { digest })).rejects.toMatchObject({ code: "NAME_UNKNOWN" });
    await expect(judged("ops/there", other)).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
  });

  it("takes a platform's manifest for the index that lists it, by digest, and no tag of its own for that", async () => {
    const images = [await lab().push("ops/multi", "amd"), await lab().push("ops/multi", "arm")] as const;
    const stranger = await lab().push("ops/multi", "stranger");
    const index = await lab().index("ops/multi", "v1", ...images);
    await lab().index("ops/multi", "nightly", images[0], stranger);
    const signer = await lab().found("ops/multi");
    await lab().sign(signer, "alice", "v1", index);

    const verdicts = await Promise.all([
      judged("ops/multi", index, { tag: "v1" }),
      judged("ops/multi", images[0]),
      judged("ops/multi", images[1]),
      judged("ops/multi", images[1], { rest: { needsTag: true } }),
    ]);
    const [moved, other] = [await judged("ops/multi", images[0], { tag: "v1" }), await judged("ops/multi", stranger)];

    expect(verdicts).toEqual([["alice"], ["alice"], ["alice"], ["alice"]]);
    expect(moved).toEqual(asks(images[0].digest, GOLD, "nobody", "ops/multi:v1"));
    expect(other).toEqual([
      expect.stringMatching(/^sha256:\w+ must be signed by .*, and is by nobody; .*@sha256:\w+$/),
    ]);
  });

  it("looks where the rule says, for teams of other organizations, before the image has moved there", async () => {
    const image = await lab().push("qa/shop", "1.4");
    const signer = await lab().found("qa/shop");
    const rows = [{ team: "qa/testers", gun: "qa/{name}" }];
    const promoted = { rows, tag: "gold", heldBy: "qa/shop" };
    const unsigned = await judged("ops/shop", image, promoted);
    await lab().sign(signer, "bob", "1.4", image);

    const signed = await judged("ops/shop", image, promoted);
    const own = await judged("ops/shop", image, { ...promoted, rows: [{ team: "qa/testers" }] });
    const bare = await judged("ops/shop", image, { ...promoted, rows: [{ team: "testers", gun: "qa/{name}" }] });

    const testers = "one person of team qa/testers with their own key";
    expect(unsigned).toEqual(asks(image.digest, testers, "nobody", `qa/shop@${image.digest}`));
    expect(signed).toEqual(["bob"]);
    expect(own).toEqual(asks(image.digest, testers, "nobody", "ops/shop:gold"));
    // ops has no such team, and bob is nobody of its own.
    expect(bare).toEqual(
      asks(image.digest, "one person of team testers with their own key", "nobody", `qa/shop@${image.digest}`),
    );
  });

  it.each([
    ["under the tag sha256-….sig", classic, "tag"],
    ["in a bundle among the referrers", bundle, "referrer"],
  ] as const)("counts cosign %s, of the image and of its index", async (_what, make, as) => {
    const repository = `ops/cosign-${as}`;
    const [child, alone] = [await lab().push(repository, "child"), await lab().push(repository, "alone")];
    const index = await lab().index(repository, "v1", child);
    const before = [await judged(repository, child), await judged(repository, alone)];
    for (const of of [index, alone])
      await lab().attach(
        repository,
        of,
        make(lab().keys.alice, { ...of, digest: of.digest as Digest, mediaType: undefined }),
        as,
      );

    const after = [child, alone, index].map((image) => judged(repository, image));

    expect(before.flat().every((sentence) => sentence.includes("is by nobody"))).toBe(true);
    expect(await Promise.all(after)).toEqual([["alice"], ["alice"], ["alice"]]);
    expect(await judged(repository, alone, { rows: [{ team: "qa/testers" }] })).toEqual(
      asks(alone.digest, "one person of team qa/testers with their own key", "nobody", `${repository}@${alone.digest}`),
    );
  });

  it("counts no signature in a manifest that could not be pushed today, and hides no good one behind it", async () => {
    const image = await lab().push("ops/of-old", "v1");
    const artifact = { ...image, digest: image.digest as Digest, mediaType: undefined };
    const old = await lab().attach("ops/of-old", image, classic(lab().keys.alice, artifact), "tag");
    const text =
      "update manifests set media_type = 'application/vnd.docker.distribution.manifest.v1+json' where digest = $1";
    await lab().app.database.query("", text, [old.digest]);

    const before = await judged("ops/of-old", image);
    await lab().attach("ops/of-old", image, bundle(lab().keys.alice, artifact), "referrer");

    expect(before).toEqual(asks(image.digest, GOLD, "nobody", `ops/of-old@${image.digest}`));
    expect(await judged("ops/of-old", image)).toEqual(["alice"]);
  });

  it("calls server-attested what stands below a root that this server holds", async () => {
    const image = await lab().push("ops/founded", "v1");
    const signer = await lab().found("ops/founded");
    await lab().sign(signer, "alice", "v1", image);
    const before = await judged("ops/founded", image);
    const { root } = signer.repository.keys;
    await lab().app.database.query(
      "",
      `insert into org_signers (org, purpose, key_id, public_key, sealed_by, sealed, created_at)
       values ('qa', 'auto', 'x', $1, 'x', 'x', now())`,
      [root.publicKey.export({ format: "der", type: "spki" })],
    );

    const after = await judged("ops/founded", image);
    await lab().app.database.query("", "delete from org_signers where key_id = 'x'");

    expect(before).toEqual(["alice"]);
    expect(after).toEqual(
      asks(image.digest, GOLD, "nobody (a signature of alice is server-attested)", `ops/founded@${image.digest}`),
    );
  });

  it("counts what is true now: keys, their proofs, teams, accounts", async () => {
    await lab().user("carol");
    await lab().join("ops", "gold", "carol");
    const carol = ecdsaKey();
    const image = await lab().push("ops/people", "v1");
    const signer = await lab().found("ops/people", { carol });
    await lab().sign(signer, "carol", "v1", image, carol);
    const has = async () => (await judged("ops/people", image))[0]?.replace(/.*and is by |; one of them.*/g, "");
    const key = { name: "laptop", publicKey: carol.publicKey.export({ format: "pem", type: "spki" }) };
    const seen = [await has()];

    await lab().must("POST", "users/carol/keys", key, "carol");
    seen.push(await has());
    await prove(lab().app, "carol", carol);
    seen.push(await has());
    await lab().must("PUT", "users/carol", { suspended: true });
    seen.push(await has());
    await lab().must("PUT", "users/carol", { suspended: false });
    seen.push(await has());
    await lab().must("DELETE", "orgs/ops/teams/gold/members/carol");
    seen.push(await has());
    await lab().must("PUT", "orgs/ops/teams/gold/members/carol", {});
    await lab().must("DELETE", `users/carol/keys/${carol.key.getMaterial().spkiSha256}`);
    seen.push(await has());

    expect(seen).toEqual([
      "nobody",
      "nobody (a signature of carol is by a key that carol has not proved to hold (goldseal key prove))",
      "carol",
      "nobody (a signature of carol is by carol, whose account is suspended)",
      "carol",
      "nobody",
      "nobody (a signature of carol is by a key that carol has no more)",
    ]);
  });

  it("counts nothing of trust data that clients refuse, and says why", async () => {
    const image = await lab().push("ops/over", "v1");
    const signer = await lab().found("ops/over");
    await lab().sign(signer, "alice", "v1", image);

    clock.now = new Date(Date.now() + 11 * 365 * 86_400_000);
    const over = await judgeImage(
      { repository: parseRepositoryName("ops/over"), tag: parseTag("v1"), digest: parseDigest(image.digest) },
      "ops",
      {
        ...{ maxTimestampAgeSeconds: undefined, needsTag: false },
        require: [{ team: "gold", k: 1, class: "client-key" }],
      },
    ).finally(() => {
      clock.now = undefined;
    });

    expect([over.allowed, over.refusals]).toEqual([
      false,
      [
        {
          where: `${AUTHORITY}/ops/over`,
          gun: `${AUTHORITY}/ops/over`,
          reason: expect.stringMatching(/expired|certificate/),
        },
      ],
    ]);
  });

  it("is not misled by who signs with a key of the server itself", async () => {
    const image = await lab().push("ops/auto", "v1");
    const { body } = await lab().must("GET", "orgs/ops/signers");
    const [auto] = body.signers;
    const signer = await lab().found("ops/auto");
    const key = makeKey("ecdsa", Buffer.from(auto.publicKey.replace(/-----.*-----|\s/g, ""), "base64"));
    // Only the delegation is there: what the server would sign in it is its own word.
    await taken(signer, [
      signer.part(
        "targets",
        delegate(
          [{ key } as never, lab().keys.alice],
          entry("targets/goldseal-auto", [{ key } as never, lab().keys.alice]),
        ),
      ),
      signer.repository.part("targets/goldseal-auto", put(["targets", "v1"], image.target), [lab().keys.alice]),
    ]);

    const verdicts = [
      await judged("ops/auto", image),
      await judged("ops/auto", image, { rows: [{ class: "either" }] }),
    ];

    expect(verdicts).toEqual([
      asks(image.digest, GOLD, "nobody (a signature of alice is server-attested)", `ops/auto@${image.digest}`),
      ["alice"],
    ]);
  });
});
