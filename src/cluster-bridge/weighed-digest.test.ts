import { describe, expect, it } from "vitest";
import { drop, type Loose, put } from "../notary/tuf/testing/loose.ts";
import { DAY_MS, keysOf, type Repository } from "../notary/tuf/testing/repository.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import { bob } from "../trust/testing/signers.ts";
import { entryOf, image, other } from "../trust/testing/world.ts";
import { type DecisionDeps, weighSignedDigest } from "./signed-digest.ts";
import { forge, useBridgeLab } from "./testing/bridge-lab.ts";

const lab = useBridgeLab();

/** Whether a bridge that saw it signed is told now that it is not, and by whom it counts. */
async function weigh(act: (repository: Repository) => void | Promise<void>): Promise<[string, boolean]> {
  const repository = lab().found("ops/app");
  lab().sign(repository, "1.4");
  const deps = await lab().start();
  expect(await ask(deps)).toEqual(["deploy", true]);
  await act(repository);
  return ask(deps);
}

async function ask(deps: DecisionDeps): Promise<[string, boolean]> {
  const text = `${lab().registry.authority}/ops/app@${image.digest}`;
  const { decision, isCertain } = await weighSignedDigest(deps, text, "prod");
  return [decision.kind === "deploy" ? "deploy" : decision.code, isCertain];
}

const setProd = (own: Loose) =>
  lab().setPolicy((document) => {
    document.version = 8;
    Object.assign((document.environments as Record<string, Loose>).prod as Loose, own);
  });

/** The image was signed in qa/app, and a server put it into ops/app as gold. */
async function weighPromoted(act: (gold: Repository, qa: Repository) => void): Promise<[string, boolean]> {
  setProd({ require: [{ team: "qa", k: 1, gun: "qa/{name}" }] });
  const [gold, qa] = [lab().found("ops/app", bob), lab().found("qa/app")];
  lab().sign(gold, "gold");
  lab().sign(qa, "1.4");
  const deps = await lab().start();
  expect(await ask(deps)).toEqual(["deploy", true]);
  act(gold, qa);
  return ask(deps);
}

describe("weighSignedDigest is certain of a refusal", () => {
  it("when the signer took the entry back", async () => {
    const revoke = (repository: Repository): void =>
      void repository.publish([repository.part("targets/a", drop(["targets", "1.4"]))]);

    expect(await weigh(revoke)).toEqual(["UNSIGNED", true]);
  });

  it("when the owner took the delegation its keys, though its file is the same", async () => {
    const key = ecdsaKey();
    const change = (signed: Loose): void => {
      const { keys, roles } = signed.delegations as { keys: Loose; roles: Loose[] };
      Object.assign(keys, keysOf(key));
      for (const role of roles) if (role.name === "targets/a") role.keyids = [key.key.id];
    };
    const rekey = (repository: Repository): void => void repository.publish([repository.part("targets", change)]);

    expect(await weigh(rekey)).toEqual(["UNSIGNED", true]);
  });

  it("when the policy asks for somebody else, or for other images", async () => {
    expect(await weigh(() => setProd({ require: [{ team: "ops", k: 1 }] }))).toEqual(["UNSIGNED", true]);
  });

  it("when who signed it took it back where it was promoted from", async () => {
    const takeBack = (gold: Repository, qa: Repository): void => {
      lab().sign(gold, "gold", other);
      qa.publish([qa.part("targets/a", drop(["targets", "1.4"]))]);
    };

    expect(await weighPromoted(takeBack)).toEqual(["UNSIGNED", true]);
  });

  it("when the policy does not know the image any more", async () => {
    expect(await weigh(() => setProd({ images: ["ops/other"] }))).toEqual(["POLICY", true]);
  });
});

describe("weighSignedDigest doubts a refusal", () => {
  it("when the registry is away", async () => {
    const cut = (): void => {
      lab().registry.attack = (_path, response) => response.destroy() !== undefined;
    };

    expect(await weigh(cut)).toEqual(["REGISTRY", false]);
  });

  it("when the collection is gone", async () => {
    expect(await weigh(() => void lab().registry.collections.clear())).toEqual(["TRUST", false]);
  });

  it("when only the tag is another image now, which a promotion does and a server's key can do", async () => {
    expect(await weighPromoted((gold) => lab().sign(gold, "gold", other))).toEqual(["UNSIGNED", false]);
  });

  it("when the registry hides the image that it would be judged by", async () => {
    const hide = (repository: Repository): void => {
      lab().sign(repository, "1.4", other);
      lab().registry.manifests.delete(image.digest);
    };

    expect(await weigh(hide)).toEqual(["UNSIGNED", false]);
  });

  it("when a collection that the policy asks for was never there", async () => {
    const ask = (): void => setProd({ require: [{ team: "qa", k: 1, gun: "qa/{name}" }] });

    expect(await weigh(ask)).toEqual(["UNSIGNED", false]);
  });

  it("when servers may sign it too", async () => {
    const either = (repository: Repository): void => {
      setProd({ require: [{ k: 1, class: "either" }] });
      repository.publish([repository.part("targets/a", drop(["targets", "1.4"]))]);
    };

    expect(await weigh(either)).toEqual(["UNSIGNED", false]);
  });

  it("when it was never seen to be signed", async () => {
    expect(await ask(await lab().start())).toEqual(["UNSIGNED", false]);
  });

  it("when the registry puts a file there that its keys alone vouch for", async () => {
    const own = (repository: Repository): void => {
      const file = repository.part("targets/a", put(["targets"], { "1.4": entryOf(other) }), [ecdsaKey()]);
      forge(repository, [file]);
    };

    expect(await weigh(own)).toEqual(["UNSIGNED", false]);
  });

  it.each([
    ["the timestamp is older than the policy lets it be", 3, "UNSIGNED"],
    ["files have expired", 30, "TRUST"],
  ])("when time alone is the reason: %s", async (_what, days, code) => {
    const later = (): void => {
      lab().now = new Date(lab().now.getTime() + days * DAY_MS);
    };

    expect(await weigh(later)).toEqual([code, false]);
  });

  it("when the policy has expired, or cannot be read", async () => {
    const expire = (): void =>
      lab().setPolicy((document) => Object.assign(document, { version: 8, expires: lab().now.toISOString() }));

    expect(await weigh(expire)).toEqual(["POLICY", false]);
  });

  it("when the clock went back", async () => {
    const back = (): void => {
      lab().now = new Date(lab().now.getTime() - DAY_MS);
    };

    expect(await weigh(back)).toEqual(["CLOCK", false]);
  });
});
