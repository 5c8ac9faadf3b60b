import { beforeEach, describe, expect, it } from "vitest";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import { drop, put } from "../notary/tuf/testing/loose.ts";
import type { Repository } from "../notary/tuf/testing/repository.ts";
import { alice, bob, mallory } from "../trust/testing/signers.ts";
import { image, other } from "../trust/testing/world.ts";
import { armImage } from "./testing/bridge-lab.ts";
import { QUICK, useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
let repository: Repository;
beforeEach(() => {
  repository = lab().lab.found("ops/app");
  lab().lab.sign(repository, "1", image);
  lab().lab.sign(repository, "2", other);
  lab().lab.sign(repository, "3", armImage);
});
const pinned = (digest: string) => lab().name(digest);
const revoke = (tag: string) => repository.publish([repository.part("targets/a", drop(["targets", tag]))]);
const rollBack = () => lab().order("service.rollback", { name: "web" });
const remove = (name = "web") => lab().order("service.remove", { name });

describe("service.deploy", () => {
  it("goes by one policy, of after the order came; and the next order by what came since", async () => {
    const asked = () => lab().lab.registry.asked.filter((path) => path === "/api/v1/policies/bridge").length;
    await lab().deploy("1");
    const before = asked();
    await lab().deploy("2");
    expect(asked() - before).toBe(1);
    lab().lab.setPolicy((document) => {
      put(["version"], 8)(document);
      put(["environments", "prod", "images"], ["ops/web"])(document);
    });

    expect(await lab().deploy("1")).toMatchObject({ kind: "refuse", code: "POLICY" });
  });
});

describe("service.rollback", () => {
  it("goes to what ran before, and then to what ran before that, never back to what was taken back", async () => {
    for (const tag of ["1", "2", "3"]) await lab().deploy(tag);

    const outcomes = [await rollBack(), await rollBack(), await rollBack()];

    expect(outcomes).toEqual([
      { kind: "deployed", pinned: pinned(other.digest) },
      { kind: "deployed", pinned: pinned(image.digest) },
      { kind: "refuse", code: "MISSING", reason: "nothing else that ran in web may run now" },
    ]);
    expect(lab().engine.images).toEqual({ web: pinned(image.digest) });
  });

  it("passes over what was revoked meanwhile, and has it in the journal with its reason", async () => {
    for (const tag of ["1", "2", "3"]) await lab().deploy(tag);
    revoke("2");

    const outcome = await rollBack();

    expect(outcome).toEqual({ kind: "deployed", pinned: pinned(image.digest) });
    expect(await lab().journal()).toContainEqual(
      expect.objectContaining({ event: "passed-over", pinned: pinned(other.digest), reason: expect.any(String) }),
    );
  });

  it("does nothing where nothing that ran verifies now, and says why", async () => {
    await lab().deploy("1");
    await lab().deploy("2");
    revoke("1");

    const outcome = await rollBack();

    expect(outcome).toMatchObject({ kind: "refuse", code: "UNSIGNED", reason: expect.stringContaining(image.digest) });
    expect(lab().engine.images).toEqual({ web: pinned(other.digest) });
    expect((await lab().events()).at(-1)).toBe("refused");
  });

  it("keeps to the limits of now", async () => {
    lab().lab.setPolicy(put(["environments", "prod", "specLimits"], { command: true }));
    await lab().deploy("1", { command: ["serve"] });
    await lab().deploy("2");
    lab().lab.setPolicy(put(["version"], 8));

    expect(await rollBack()).toMatchObject({
      kind: "refuse",
      code: "SPEC",
      reason: expect.stringContaining("command"),
    });
  });

  it("touches no service whose label somebody put on this one", async () => {
    for (const tag of ["1", "2"])
      await lab().order("service.deploy", { name: "db", image: lab().name(tag), update: QUICK });
    await lab().deploy("1");
    const [web, db] = ["web", "db"].map((name) => lab().engine.find(name)?.Spec.Labels ?? {});
    Object.assign(web ?? {}, { "goldseal.intent": db?.["goldseal.intent"] });

    expect(await rollBack()).toEqual({
      ...{ kind: "refuse", code: "MISSING", reason: "the journal does not know how web came about" },
    });
    expect(lab().engine.images).toEqual({ db: pinned(other.digest), web: pinned(image.digest) });
  });

  it("takes the specification back with the image", async () => {
    await lab().deploy("1", { env: { COLOUR: "red" } });
    await lab().deploy("1", { env: { COLOUR: "blue" } });

    await rollBack();

    expect(lab().engine.find("web")?.Spec.TaskTemplate.ContainerSpec).toMatchObject({ Env: ["COLOUR=red"] });
  });

  it("leaves a service alone that failed to come up before, and says that it failed", async () => {
    await lab().deploy("1");
    await lab().deploy("2");
    lab().engine.broken.add(pinned(image.digest));

    expect(await rollBack()).toMatchObject({ kind: "failed", rolledBackTo: undefined });
  });
});

describe("service.remove", () => {
  it("removes the service, on record before and after", async () => {
    await lab().deploy("1");

    expect(await remove()).toEqual({ kind: "done", removed: "web" });
    expect(lab().engine.images).toEqual({});
    expect((await lab().events()).slice(-2)).toEqual(["remove", "removed"]);
  });

  it("ends what can be rolled back to: a service of the same name begins anew", async () => {
    await lab().deploy("1");
    await remove();
    await lab().deploy("2");

    expect(await rollBack()).toMatchObject({ kind: "refuse", code: "MISSING" });
  });
});

describe("service.rollback and service.remove", () => {
  it.each(["service.rollback", "service.remove"] as const)("%s: refuse what is not there", async (action) => {
    expect(await lab().order(action, { name: "web" })).toEqual({
      ...{ kind: "refuse", code: "MISSING", reason: "there is no service web" },
    });
  });

  it.each(["service.rollback", "service.remove"] as const)(
    "%s: refuse what is not the environment's",
    async (action) => {
      await lab().deploy("1");
      const labels = lab().engine.find("web")?.Spec.Labels ?? {};
      for (const [owner, why] of [
        ["test", "belongs to test"],
        [undefined, "was not made by the bridge"],
      ] as const) {
        if (owner === undefined) delete labels["goldseal.environment"];
        else labels["goldseal.environment"] = owner;

        const outcome = await lab().order(action, { name: "web" });

        expect(outcome).toMatchObject({ kind: "refuse", code: "SPEC", reason: expect.stringContaining(why) });
      }
      expect(lab().engine.images).toEqual({ web: pinned(image.digest) });
    },
  );

  it.each([{}, { name: "" }, { name: "web", force: true }, { name: 1 }])("refuse a body such as %j", async (body) => {
    expect(await lab().order("service.remove", body)).toMatchObject({ kind: "refuse", code: "SPEC" });
  });

  it("need the right for it: to remove, operate; to roll back, deploy", async () => {
    lab().lab.setPolicy((document) => {
      put(["environments", "prod", "rights", "ops"], "operate")(document);
      const { operators } = (document.environments as Record<string, { operators: string[] }>).prod ?? {
        operators: [],
      };
      operators.push(...Object.keys(document.keys as object));
    });
    await lab().deploy("1");
    await lab().deploy("2");

    const byBob = (action: "service.rollback" | "service.remove") => lab().order(action, { name: "web" }, { by: bob });

    expect(await byBob("service.rollback")).toMatchObject({
      ...{ kind: "refuse", code: "ORDER", reason: "bob is in no team that may deploy in prod" },
    });
    expect(await byBob("service.remove")).toEqual({ kind: "done", removed: "web" });
  });
});

describe("an order that is refused", () => {
  it("is in the journal with what it asked for and why it was refused", async () => {
    await lab().deploy("4");
    await lab().order("service.deploy", { name: "web" }, { by: bob });

    expect(await lab().journal()).toEqual([
      expect.objectContaining({ event: "refused", action: "service.deploy", environment: "prod", code: "UNSIGNED" }),
      expect.objectContaining({ event: "refused", code: "ORDER", reason: expect.stringContaining("bob") }),
    ]);
    const [ours, theirs] = await lab().journal();
    expect([ours?.user, ours?.signer, theirs?.user, theirs?.signer]).toEqual(["alice", undefined, undefined, "bob"]);
  });

  it("is not in the journal where no key of the policy document signed it", async () => {
    const stranger = await lab().order("service.deploy", { name: "web" }, { by: mallory });
    const forged = { by: mallory, header: { kid: canonicalKeyId(alice.key) } };

    expect(await lab().order("service.deploy", { name: "web" }, forged)).toMatchObject({ code: "ORDER" });

    expect(stranger).toMatchObject({ kind: "refuse", code: "ORDER" });
    expect(await lab().journal()).toEqual([]);
  });

  it("is in the journal with who signed it while the registry is away", async () => {
    await lab().deploy("4");
    lab().lab.registry.attack = (_path, response) => response.writeHead(500).end() !== undefined;

    expect(await lab().deploy("1")).toMatchObject({ kind: "refuse", code: "REGISTRY" });

    expect((await lab().journal()).at(-1)).toMatchObject({ event: "refused", code: "REGISTRY", signer: "alice" });
  });

  it("is in the journal a hundred times a minute where it does not count, and then as a number", async () => {
    for (let count = 0; count < 105; count++) await lab().order("service.deploy", { name: "web" }, { by: bob });
    expect((await lab().journal()).length).toBe(100);
    lab().lab.now = new Date(lab().lab.now.getTime() + 60_000);

    await lab().deploy("4");

    expect((await lab().journal()).at(-1)).toMatchObject({ event: "refused", user: "alice", unrecorded: 5 });
  });

  it.each(["secret.create", "stack.deploy"] as const)(
    "%s leaves nothing by which a guess of a secret could be told",
    async (action) => {
      await lab().order(action, { name: "key", data: "aHVudGVyMg==" }, { by: bob });

      expect((await lab().journal())[0]).toMatchObject({ event: "refused", action });
      expect((await lab().journal())[0]).not.toHaveProperty("spec");
    },
  );
});
