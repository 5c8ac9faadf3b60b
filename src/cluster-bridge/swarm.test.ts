import { beforeEach, describe, expect, it } from "vitest";
import { image } from "../trust/testing/world.ts";
import type { EngineSpec } from "./testing/engine-simulator.ts";
import { useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
beforeEach(() => lab().lab.sign(lab().lab.found("ops/app"), "1", image));

/** In the moment before the engine hears of the update, once. */
function meanwhile(change: (spec: EngineSpec) => EngineSpec): void {
  const { engine } = lab();
  engine.attack = (method, path) => {
    const service = engine.services.get(/^\/services\/(.+)\/update$/.exec(path)?.[1] ?? "");
    if (method !== "POST" || service === undefined) return false;
    engine.attack = () => false;
    const { ID, Spec, Version } = service;
    engine.services.set(ID, { ...service, Spec: change(structuredClone(Spec)), Version: { Index: Version.Index + 1 } });
    return false;
  };
}

describe("an update of a service", () => {
  beforeEach(async () => {
    await lab().deploy("1");
  });

  it("is done where the managers noted meanwhile how the last one went", async () => {
    meanwhile((spec) => spec);

    expect(await lab().deploy("1", { env: { A: "1" } })).toMatchObject({ kind: "deployed" });
    expect(lab().engine.asked.filter((asked) => asked.endsWith("/update"))).toHaveLength(2);
  });

  it("is refused where somebody else changed it meanwhile, and leaves what they made of it", async () => {
    meanwhile((spec) => ({ ...spec, Labels: { ...spec.Labels, theirs: "yes" } }));

    expect(await lab().deploy("1", { env: { A: "1" } })).toMatchObject({
      ...{ kind: "refuse", code: "ENGINE", reason: expect.stringContaining("out of sequence") },
    });
    expect([...lab().engine.services.values()].map(({ Spec }) => Spec.Labels.theirs)).toEqual(["yes"]);
  });
});
