import { randomInt } from "node:crypto";
import { expect, it } from "vitest";
import type { Signer } from "../notary/testing/signer.ts";
import { prove } from "../notary/testing/states.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { OCI_MANIFEST } from "../testing/images.ts";
import type { Node } from "../testing/open-test-app.ts";
import { bundle } from "../trust/testing/cosign.ts";
import { PoliciesStore } from "./policies-store.ts";
import { ruleOf } from "./policy-schema.ts";
import { openJudge } from "./testing/judge.ts";
import { type Lab, type Pushed, useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";

const { lab } = useLab();
const STEPS = 60;
/** Where chance brought only pulls that are served, or only refused ones, until then. */
const MOST_STEPS = 1_000;
const TAGS = ["v1", "v2"];

/** A generator of one's own, so that a failure can be had again: see the seed in its message. */
function openDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

interface World {
  readonly lab: Lab;
  readonly images: readonly Pushed[];
  readonly signer: Signer;
  readonly far: Signer;
  readonly carol: ReturnType<typeof ecdsaKey>;
  readonly dice: (sides: number) => number;
}

const tag = ({ dice }: World) => TAGS[dice(TAGS.length)] as string;
const image = ({ images, dice }: World) => images[dice(images.length)] as Pushed;
const quietly = (work: Promise<unknown>) => work.catch(() => undefined);

/** Whatever a verdict can rest on. Some change nothing, or are refused: that is no harm. */
const CHANGES: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
  "tag moves": (world) => world.lab.put("ops/app", tag(world), image(world).bytes.toString(), OCI_MANIFEST),
  "carol signs": (world) => quietly(world.lab.sign(world.signer, "carol", tag(world), image(world), world.carol)),
  "alice signs": (world) => quietly(world.lab.sign(world.signer, "alice", tag(world), image(world))),
  "alice takes it back": (world) => quietly(world.lab.unsign(world.signer, "alice")),
  "bob signs elsewhere": (world) => quietly(world.lab.sign(world.far, "bob", "x", image(world))),
  "bob takes it back": (world) => quietly(world.lab.unsign(world.far, "bob")),
  "carol leaves": ({ lab }) => lab.rest("DELETE", "orgs/ops/teams/gold/members/carol"),
  "carol joins": ({ lab }) => lab.rest("PUT", "orgs/ops/teams/gold/members/carol", {}),
  "carol is suspended": ({ lab }) => lab.rest("PUT", "users/carol", { suspended: true }),
  "carol is back": ({ lab }) => lab.rest("PUT", "users/carol", { suspended: false }),
  "carol's key goes": ({ lab, carol }) => lab.rest("DELETE", `users/carol/keys/${carol.key.getMaterial().spkiSha256}`),
  "carol's key comes": ({ lab, carol }) => quietly(prove(lab.app, "carol", carol)),
  "bob leaves": ({ lab }) => lab.rest("DELETE", "orgs/qa/teams/testers/members/bob"),
  "bob joins": ({ lab }) => lab.rest("PUT", "orgs/qa/teams/testers/members/bob", {}),
  cosign: async (world) => {
    const one = image(world);
    const artifact = { ...one, digest: one.digest as Digest, mediaType: undefined };
    await world.lab.attach("ops/app", one, bundle(world.carol, artifact), "referrer");
  },
  "cosign goes": async (world) => {
    const { body } = await world.lab.app.ask("GET", `/v2/ops/app/referrers/${image(world).digest}`, { as: "admin" });
    const [first] = JSON.parse(body.toString()).manifests;
    if (first !== undefined)
      await world.lab.app.ask("DELETE", `/v2/ops/app/manifests/${first.digest}`, { as: "admin" });
  },
  "policy asks two": ({ lab }) => putPolicy(lab, "gold", goldPolicy("app", { require: [{ team: "gold", k: 2 }] })),
  "policy asks one": ({ lab }) => putPolicy(lab, "gold", goldPolicy("app")),
  "policy asks the tag": ({ lab }) => putPolicy(lab, "gold", goldPolicy("*", { needsTag: true })),
  "policy is gone": ({ lab }) => lab.rest("DELETE", "orgs/ops/policies/gold"),
  "testers are asked": ({ lab }) =>
    putPolicy(lab, "tested", goldPolicy("app", { require: [{ team: "qa/testers", k: 1, gun: "qa/{name}" }] })),
  "testers are not": ({ lab }) => lab.rest("DELETE", "orgs/ops/policies/tested"),
};

/** By a judge that remembers nothing: what the answer has to be. */
async function expected({ lab }: World, reference: string): Promise<number> {
  const { judgeImage } = await openJudge(lab);
  const [row] = await lab.app.database.query<{ digest: string }>(
    "",
    `select manifest_digest as digest from tags t join repositories r on r.id = t.repository_id
     where r.name = 'ops/app' and t.name = $1`,
    [reference],
  );
  const name =
    row === undefined ? { tag: undefined, digest: reference } : { tag: parseTag(reference), digest: row.digest };
  const subject = { repository: parseRepositoryName("ops/app"), tag: name.tag, digest: parseDigest(name.digest) };
  const policies = await new PoliciesStore(lab.app.database).ofOrg("ops");
  const verdicts = await Promise.all(policies.map((policy) => judgeImage(subject, ruleOf(policy))));
  return verdicts.every(({ allowed }) => allowed) ? 200 : 403;
}

it("a pull is answered by what is true when it comes in, on every process, whatever changed before", async () => {
  const seed = randomInt(2 ** 31);
  const world = await open(openDice(seed));
  await using other = await lab().app.openAnother();
  const nodes: readonly Pick<Node, "ask">[] = [lab().app, other];
  const seen = new Set<number>();
  for (let step = 0; step < STEPS || (seen.size < 2 && step < MOST_STEPS); step++) {
    const names = Object.keys(CHANGES);
    const name = names[world.dice(names.length)] as string;
    await CHANGES[name]?.(world);
    const reference = world.dice(2) === 0 ? tag(world) : image(world).digest;
    const node = nodes[world.dice(2)] as Node;

    const { status } = await node.ask("GET", `/v2/ops/app/manifests/${reference}`, { as: "bob" });

    expect([seed, step, name, reference, status]).toEqual([
      seed,
      step,
      name,
      reference,
      await expected(world, reference),
    ]);
    seen.add(status);
  }
  expect([...seen].sort()).toEqual([200, 403]);
});

async function open(dice: World["dice"]): Promise<World> {
  const carol = ecdsaKey();
  await lab().user("carol");
  await lab().join("ops", "gold", "carol");
  await prove(lab().app, "carol", carol);
  await lab().must("PUT", "orgs/ops/repositories/app", { visibility: "public" });
  const images = [await lab().push("ops/app", "v1", "one"), await lab().push("ops/app", "v2", "two")];
  await lab().push("qa/app", "x");
  const signer = await lab().found("ops/app", { carol, alice: lab().keys.alice });
  return { lab: lab(), images, signer, far: await lab().found("qa/app"), carol, dice };
}
