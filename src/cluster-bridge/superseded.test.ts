/** Services that run what was `gold`, which is another image now: `qa/app` has people's signatures, `ops/app` the tag. */
import { beforeEach, describe, expect, it } from "vitest";
import { drop } from "../notary/tuf/testing/loose.ts";
import type { Repository } from "../notary/tuf/testing/repository.ts";
import type { Artifact } from "../trust/subject.ts";
import { bob } from "../trust/testing/signers.ts";
import { image, other } from "../trust/testing/world.ts";
import { armImage } from "./testing/bridge-lab.ts";
import { useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
let [gold, qa]: [Repository, Repository] = [] as never;
beforeEach(() => {
  lab().lab.setPolicy((document) => {
    const { prod } = document.environments as Record<string, Record<string, unknown>>;
    Object.assign(prod ?? {}, { require: [{ team: "qa", k: 1, gun: "qa/{name}" }] });
  });
  [gold, qa] = [lab().lab.found("ops/app", bob), lab().lab.found("qa/app")];
  for (const [tag, what] of [
    ["1", image],
    ["2", other],
    ["3", armImage],
  ] as const)
    lab().lab.sign(qa, tag, what);
});
const promote = (what: Artifact): void => lab().lab.sign(gold, "gold", what);
async function release(what: Artifact) {
  promote(what);
  return lab().deploy("gold");
}
const revoke = (tag: string): void => void qa.publish([qa.part("targets/a", drop(["targets", tag]))]);
const rollBack = () => lab().order("service.rollback", { name: "web" });
const pinned = ({ digest }: Artifact) => lab().name(digest);

describe("a service whose tag moves on", () => {
  it("is rolled back, when the newer image does not come up, to what was the tag before", async () => {
    await release(image);
    lab().engine.broken.add(pinned(other));

    expect(await release(other)).toMatchObject({ kind: "failed", rolledBackTo: pinned(image) });
    expect(lab().engine.images).toEqual({ web: pinned(image) });
  });

  it("is not rolled back to what was signed no more since", async () => {
    await release(image);
    await release(other);
    revoke("2");
    lab().engine.broken.add(pinned(armImage));

    expect(await release(armImage)).toMatchObject({ kind: "failed", rolledBackTo: pinned(image) });
    expect(await lab().journal()).toContainEqual(
      expect.objectContaining({ event: "passed-over", pinned: pinned(other) }),
    );
  });

  it("is rolled back by an order, through all that the tag was", async () => {
    for (const what of [image, other, armImage]) await release(what);

    expect(await rollBack()).toEqual({ kind: "deployed", pinned: pinned(other) });
    expect(await rollBack()).toEqual({ kind: "deployed", pinned: pinned(image) });
  });

  it("waits with a rollback for a manifest that the registry hides: it does not choose what is gone back to", async () => {
    for (const what of [image, other, armImage]) await release(what);
    lab().lab.registry.manifests.delete(other.digest);

    expect(await rollBack()).toMatchObject({ kind: "refuse", code: "SILENT" });
    expect(lab().engine.images).toEqual({ web: pinned(armImage) });
  });

  it("may be changed as it runs, by its digest", async () => {
    await release(image);
    promote(other);

    expect(await lab().deploy(image.digest, { replicas: 3 })).toEqual({ kind: "deployed", pinned: pinned(image) });
    expect(await lab().order("service.deploy", { name: "db", image: pinned(image) })).toMatchObject({
      ...{ kind: "refuse", code: "UNSIGNED" },
    });
  });

  it("may not go back by an order to what failed there", async () => {
    await release(image);
    lab().engine.broken.add(pinned(other));
    await release(other);
    promote(armImage);
    lab().engine.broken.clear();

    expect(await lab().deploy(other.digest)).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
  });

  it.each([
    ["is made by the next bridge where one was killed over it", "converged", () => undefined],
    ["is not made by the next bridge where the signature was taken back meanwhile", "abandoned", () => revoke("1")],
  ])("%s", async (_what, event, act) => {
    await lab().restart((name) => {
      if (name === "bridge.afterIntent") throw new Error("killed");
    });
    await expect(release(image)).rejects.toThrow("killed");
    promote(other);
    act();
    await lab().restart();

    lab().bridge.start();

    await expect.poll(() => lab().events()).toContain(event);
    expect(lab().engine.images).toEqual(event === "converged" ? { web: pinned(image) } : {});
  });
});

describe("a stack whose tag moves on", () => {
  const deploy = (what: string) =>
    lab().order("stack.deploy", { name: "shop", services: { web: { image: lab().name(what) } } });

  it("is ordered again by the digest that runs in it, and no other service of it is", async () => {
    promote(image);
    await deploy("gold");
    promote(other);

    expect(await deploy(image.digest)).toMatchObject({ kind: "done" });
    const services = { web: { image: pinned(image) }, db: { image: pinned(image) } };
    expect(await lab().order("stack.deploy", { name: "shop", services })).toMatchObject({
      ...{ kind: "refuse", code: "UNSIGNED", reason: expect.stringMatching(/^shop_db: /) },
    });
  });

  it("is made by the next bridge where one was killed over it", async () => {
    await lab().restart((name) => {
      if (name === "bridge.afterStackParts") throw new Error("killed");
    });
    promote(image);
    await expect(deploy("gold")).rejects.toThrow("killed");
    promote(other);
    await lab().restart();

    lab().bridge.start();

    await expect.poll(() => lab().events()).toContain("stack-ended");
    expect(lab().engine.images).toEqual({ shop_web: pinned(image) });
  });
});
