/** What ran here, and whose tag is another image now. */
import { beforeEach, describe, expect, it } from "vitest";
import { drop, type Loose, put } from "../notary/tuf/testing/loose.ts";
import { DAY_MS, keysOf, type Repository } from "../notary/tuf/testing/repository.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import type { Artifact } from "../trust/subject.ts";
import { bob } from "../trust/testing/signers.ts";
import { entryOf, image, other } from "../trust/testing/world.ts";
import { type DecisionDeps, weighSignedDigest } from "./signed-digest.ts";
import { bothPlatforms, forge, useBridgeLab } from "./testing/bridge-lab.ts";

const lab = useBridgeLab();
/** QA signs in `qa/app`; in `ops/app` a server says which of these images is `gold`. */
let [gold, qa, deps]: [Repository, Repository, DecisionDeps] = [] as never;
beforeEach(async () => {
  setProd({ require: [{ team: "qa", k: 1, gun: "qa/{name}" }] });
  [gold, qa] = [lab().found("ops/app", bob), lab().found("qa/app")];
  lab().sign(qa, "1", image);
  lab().sign(qa, "2", other);
  deps = await lab().start();
});

let version = 7;
const setProd = (own: Loose) =>
  lab().setPolicy((document) => {
    document.version = ++version;
    Object.assign((document.environments as Record<string, Loose>).prod as Loose, own);
  });
/** As whoever deploys gold does it. */
async function run(what: Artifact): Promise<void> {
  lab().sign(gold, "gold", what);
  expect(await weigh(":gold", false)).toEqual(["deploy", true, undefined]);
}
/** Code or `deploy`, whether that is certain, and the tag that it is no more. */
async function weigh(what = `@${image.digest}`, ranBefore = true): Promise<unknown[]> {
  const text = `${lab().registry.authority}/ops/app${what}`;
  const { decision, isCertain } = await weighSignedDigest(deps, text, "prod", { ranBefore });
  return decision.kind === "deploy" ? ["deploy", isCertain, decision.movedTag] : [decision.code, isCertain];
}
const later = (days: number): void => {
  lab().now = new Date(lab().now.getTime() + days * DAY_MS);
};
const revoke = (tag: string): void => void qa.publish([qa.part("targets/a", drop(["targets", tag]))]);
const doubted = ["UNSIGNED", false];

describe("a digest that ran before, and whose tag went on to another image", () => {
  it("counts by what people signed of it, for what ran before and for nothing else", async () => {
    await run(image);
    await run(other);

    expect(await weigh()).toEqual(["deploy", true, "gold"]);
    expect(await weigh(`@${image.digest}`, false)).toEqual(doubted);
    expect(await weigh(`:gold@${image.digest}`)).toEqual(["TRUST", false]);
    expect(await weigh(`@${other.digest}`)).toEqual(["deploy", true, undefined]);
  });

  it("counts where only its digest was asked for while the tag was it", async () => {
    lab().sign(gold, "gold", image);
    await weigh(`@${image.digest}`, false);
    lab().sign(gold, "gold", other);

    expect(await weigh()).toEqual(["deploy", true, "gold"]);
  });

  it("counts as one platform of the index that was let run", async () => {
    lab().sign(qa, "both", bothPlatforms);
    lab().sign(gold, "gold", bothPlatforms);
    await weigh(`:gold@${image.digest}`, false);
    revoke("1");
    lab().sign(gold, "gold", other);

    expect(await weigh()).toEqual(["deploy", true, "gold"]);
    revoke("both");
    expect(await weigh()).toEqual(["UNSIGNED", true]);
  });

  it.each<[string, string, () => void]>([
    ["the signer took it back", "UNSIGNED", () => revoke("1")],
    ["the signer's tag is another image", "UNSIGNED", () => lab().sign(qa, "1", other)],
    [
      "the policy asks for somebody else",
      "UNSIGNED",
      () => setProd({ require: [{ team: "ops", k: 1, gun: "qa/{name}" }] }),
    ],
    ["the owner took the delegation its keys", "UNSIGNED", () => void qa.publish([qa.part("targets", rekey)])],
    ["the policy does not know the image any more", "POLICY", () => setProd({ images: ["ops/other"] })],
  ])("is certainly refused when %s", async (_why, code, act) => {
    await run(image);
    await run(other);
    act();

    expect(await weigh()).toEqual([code, true]);
  });

  it.each<[string, string, () => void]>([
    ["the source's timestamp is too old", "UNSIGNED", () => [later(3), lab().sign(gold, "x", other)]],
    ["the own timestamp is too old", "UNSIGNED", () => [later(3), lab().sign(qa, "x", other)]],
    ["its manifest is hidden", "REGISTRY", () => void lab().registry.manifests.delete(image.digest)],
    ["files have expired", "TRUST", () => later(30)],
    ["the source is gone", "TRUST", () => void lab().registry.collections.delete("qa/app")],
    ["the registry puts a file there that its keys alone vouch for", "UNSIGNED", () => forge(qa, [strange()])],
  ])("is refused, and nothing is certain, when %s", async (_why, code, act) => {
    await run(image);
    await run(other);
    act();

    expect(await weigh()).toEqual([code, false]);
  });
});

describe("a digest that ran before, and that no tag is any more for another reason", () => {
  it("is doubted when its tag is gone", async () => {
    await run(image);
    gold.publish([gold.part("targets/a", drop(["targets", "gold"]))]);

    expect(await weigh()).toEqual(doubted);
  });

  it("is doubted when its tag was put back to what it was before, until that was asked for once more", async () => {
    await run(image);
    await run(other);
    lab().sign(gold, "gold", image);

    expect(await weigh(`@${other.digest}`)).toEqual(doubted);
    await run(image);
    expect(await weigh(`@${other.digest}`)).toEqual(["deploy", true, "gold"]);
  });

  it("is doubted when no tag is known that it was", async () => {
    await run(other);

    expect(await weigh()).toEqual(doubted);
  });

  it("has certainly lost its signature when whoever signed it under the tag signs another one there", async () => {
    setProd({ require: [{ team: "ops", k: 1 }] });
    await run(image);
    lab().sign(gold, "gold", other);

    expect(await weigh()).toEqual(["UNSIGNED", true]);
  });
});

function rekey(signed: Loose): void {
  const key = ecdsaKey();
  const { keys, roles } = signed.delegations as { keys: Loose; roles: Loose[] };
  Object.assign(keys, keysOf(key));
  for (const role of roles) if (role.name === "targets/a") role.keyids = [key.key.id];
}

const strange = () => qa.part("targets/a", put(["targets"], { "1": entryOf(other) }), [ecdsaKey()]);
