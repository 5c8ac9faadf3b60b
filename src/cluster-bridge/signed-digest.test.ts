import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { DAY_MS } from "../notary/tuf/testing/repository.ts";
import { alice, bob, carol } from "../trust/testing/signers.ts";
import { entryOf, image, other } from "../trust/testing/world.ts";
import { resolveSignedDigest } from "./signed-digest.ts";
import { armImage, bothPlatforms, deploys, officer, refused, useBridgeLab } from "./testing/bridge-lab.ts";

const lab = useBridgeLab();

describe("resolveSignedDigest", () => {
  it("answers the digest that the required people signed under the tag, and never asks the registry for a tag", async () => {
    lab().sign(lab().found("ops/app"), "1.4");

    const decision = await lab().resolve("ops/app:1.4");

    expect(decision).toMatchObject({ kind: "deploy", repository: "ops/app", digest: image.digest });
    expect(decision).toMatchObject({ verdict: { allowed: true, rows: [{ who: ["alice"], met: true }] } });
    expect(lab().registry.asked.filter((path) => path.includes("/manifests/"))).toEqual([
      `/v2/ops/app/manifests/${image.digest}`,
    ]);
  });

  it("takes a digest, and a tag with its digest", async () => {
    lab().sign(lab().found("ops/app"), "1.4");

    expect(await lab().resolve(`ops/app@${image.digest}`)).toEqual(deploys(image));
    expect(await lab().resolve(`ops/app:1.4@${image.digest}`)).toEqual(deploys(image));
  });

  it("answers the index for a tag of several platforms, and a platform that the index lists", async () => {
    lab().sign(lab().found("ops/app"), "1.4", bothPlatforms);

    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(bothPlatforms));
    expect(await lab().resolve(`ops/app:1.4@${armImage.digest}`)).toEqual(deploys(armImage));
  });

  it("answers a platform without its tag once an index let it run, as long as some tag is that index", async () => {
    const app = lab().found("ops/app");
    lab().sign(app, "1.4", bothPlatforms);
    const nothing = refused("UNSIGNED", "has nothing that is signed as sha256:");
    expect(await lab().resolve(`ops/app@${armImage.digest}`)).toEqual(nothing);

    await lab().resolve(`ops/app:1.4@${armImage.digest}`);

    expect(await lab().resolve(`ops/app@${armImage.digest}`)).toEqual(deploys(armImage));
    app.publish([app.part("targets/a/b", put(["targets", "of-a-stranger"], entryOf(armImage)))]);
    expect(await lab().resolve(`ops/app@${armImage.digest}`)).toEqual(deploys(armImage));
    lab().found("ops/other");
    expect(await lab().resolve(`ops/other@${armImage.digest}`)).toEqual(nothing);
    lab().sign(app, "1.4", other);
    expect(await lab().resolve(`ops/app@${armImage.digest}`)).toEqual(refused("UNSIGNED", "and is by nobody"));
  });

  it("looks for signatures where the rule says, and for the tag in the image's own collection", async () => {
    lab().setPolicy(put(["environments", "prod", "require"], [{ team: "qa", k: 1, gun: "qa/{name}" }]));
    lab().sign(lab().found("ops/app", bob), "gold");
    const reason = /^sha256:.* must be signed by one person of team qa with their own key, and is by nobody/;
    expect(await lab().resolve("ops/app:gold")).toEqual(refused("UNSIGNED", reason));

    lab().sign(lab().found("qa/app"), "1.4");

    expect(await lab().resolve("ops/app:gold")).toEqual(deploys(image));
    lab().sign(lab().found("qa/app"), "1.4", other);
    lab().editPins({ epoch: 2 });
    expect(await lab().resolve("ops/app:gold")).toEqual(refused("UNSIGNED", reason));
  });

  it("asks again for what was revoked since", async () => {
    const app = lab().found("ops/app");
    lab().sign(app, "1.4");
    const bridge = await lab().start();
    const ask = (name: string) => resolveSignedDigest(bridge, `${lab().registry.authority}/ops/app${name}`, "prod");
    expect(await ask(":1.4")).toEqual(deploys(image));

    lab().sign(app, "1.4", other);

    expect(await ask(":1.4")).toEqual(deploys(other));
    expect(await ask(`@${image.digest}`)).toEqual(refused("UNSIGNED", "has nothing that is signed as sha256:"));
    app.publish([app.part("targets/a", put(["targets"], {}))]);
    expect(await ask(":1.4")).toEqual(refused("UNSIGNED", "has nothing that is signed as the tag 1.4"));
  });

  it.each([
    ["a stranger to the team", bob, "and is by nobody"],
    ["somebody of no team", carol, "and is by nobody"],
  ])("refuses what %s signed", async (_who, by, reason) => {
    lab().sign(lab().found("ops/app", by), "1.4");

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("UNSIGNED", reason));
  });

  it("refuses fewer people than the rule asks for", async () => {
    lab().setPolicy((document) => {
      put(["environments", "prod", "require"], [{ k: 2 }])(document);
    });
    lab().sign(lab().found("ops/app"), "1.4");

    expect(await lab().resolve("ops/app:1.4")).toEqual(
      refused("UNSIGNED", "must be signed by 2 people .* and is by alice;"),
    );
  });

  it("refuses what nobody founded trust data for", async () => {
    expect(await lab().resolve("ops/app:1.4")).toEqual(
      refused("UNSIGNED", "^nothing of localhost:.*/ops/app is signed$"),
    );
  });

  it.each([
    ["another host", "registry.example.com/ops/app:1.4", "IMAGE", "is no image of localhost:"],
    ["a host that only begins so", "localhost:1/ops/app:1.4", "IMAGE", "is no image of localhost:"],
    ["no host", "ops/app:1.4", "IMAGE", "is no image of localhost:"],
    ["an image id", image.digest, "IMAGE", "is no image of localhost:"],
  ])("refuses an image of %s", async (_what, name, code, reason) => {
    expect(await resolveSignedDigest(await lab().start(), name, "prod")).toEqual(refused(code, reason));
  });

  it.each([
    ["neither tag nor digest", "ops/app", "has neither a tag nor a digest"],
    ["a digest that is none", "ops/app:1.4@sha256:1234", "a digest is sha256:"],
    ["a digest trust data does not know", `ops/app@sha512:${"a".repeat(128)}`, "by SHA-256 alone"],
    ["an upper-case name", "ops/App:1.4", "invalid repository name"],
    ["a way out of the repository", "ops/../qa/app:1.4", "invalid repository name"],
    ["a tag with a line more", "ops/app:1.4\n", "a tag is 1 to 128"],
  ])("refuses a name with %s", async (_what, name, reason) => {
    lab().sign(lab().found("ops/app"), "1.4");

    expect(await lab().resolve(name)).toEqual(refused("IMAGE", reason));
  });
});

describe("the policy document", () => {
  it("refuses an environment it does not have, and an image that is none of the environment's", async () => {
    lab().sign(lab().found("dev/app"), "1.4");

    expect(await lab().resolve("ops/app:1.4", "staging")).toEqual(refused("POLICY", "has no environment staging"));
    expect(await lab().resolve("dev/app:1.4")).toEqual(refused("POLICY", "dev/app is none of the images of prod"));
  });

  it("deploys nothing new when it has expired, or is not there", async () => {
    lab().sign(lab().found("ops/app"), "1.4");
    lab().setPolicy(put(["expires"], "2026-11-22T11:59:59Z"));
    expect(await lab().resolve("ops/app:1.4")).toEqual(
      refused("POLICY", "the policy expired at 2026-11-22T11:59:59.000Z"),
    );

    lab().registry.policy = undefined;

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("POLICY", "shows this bridge no policy document"));
  });

  it("never goes back a version, over a restart too, and takes no second document of one version", async () => {
    lab().sign(lab().found("ops/app"), "1.4");
    lab().setPolicy(put(["version"], 8));
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(image));

    lab().setPolicy();
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("POLICY", "policy version 7 after version 8"));
    lab().setPolicy((document) => {
      put(["version"], 8)(document);
      put(["teams", "qa"], ["alice", "bob"])(document);
    });
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("POLICY", "policy version 8 after version 8"));
  });

  it("is what enough of the pinned keys signed", async () => {
    lab().sign(lab().found("ops/app"), "1.4");
    lab().setPolicy(undefined, [officer]);
    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("POLICY", "signed by 1 of the keys that count, 2 must"));

    lab().setPolicy(undefined, [officer, alice]);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("POLICY", "signed by 1 of the keys that count, 2 must"));
  });

  it("limits how long the news can be held back", async () => {
    lab().sign(lab().found("ops/app"), "1.4");
    lab().now = new Date(lab().now.getTime() + 2 * DAY_MS);
    expect(await lab().resolve("ops/app:1.4")).toEqual(deploys(image));

    lab().now = new Date(lab().now.getTime() + 60_000);

    expect(await lab().resolve("ops/app:1.4")).toEqual(refused("UNSIGNED", "which is too old here"));
  });
});
