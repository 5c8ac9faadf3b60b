import { beforeEach, describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { image } from "../trust/testing/world.ts";
import { Ledger } from "./ledger.ts";
import { parseServiceSpec } from "./service-spec.ts";
import { requireOwnVolumes } from "./service-writer.ts";
import { QUICK, useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
beforeEach(() => {
  lab().lab.sign(lab().lab.found("ops/app"), "1", image);
  const limits = { secrets: ["shared"], configs: ["shared"] };
  lab().lab.setPolicy(put(["environments", "prod", "specLimits"], limits));
});
const make = (kind: string, owner: string | undefined) => {
  const Labels = owner === undefined ? {} : { "goldseal.environment": owner };
  lab().engine.parts.act("POST", `/${kind}s/create`, { Name: "shared", Labels });
};

describe.each([
  ["network", { networks: ["shared"], networkAliases: { shared: ["db"] } }],
  ["secret", { secrets: [{ source: "shared" }] }],
  ["config", { configs: [{ source: "shared" }] }],
])("a service that names a %s", (kind, more) => {
  it("is refused where another environment made it: rights in one do not reach into another", async () => {
    make(kind, "staging");

    expect(await lab().deploy("1", more)).toEqual({
      ...{ kind: "refuse", code: "SPEC", reason: `the ${kind} shared belongs to staging` },
    });
    expect(lab().engine.images).toEqual({});
  });

  it.each([["its own environment", "prod"], ["nobody of the bridge's"] as const])(
    "may have what is of %s",
    async (...of) => {
      make(kind, of[1]);

      expect(await lab().deploy("1", more)).toMatchObject({ kind: "deployed" });
    },
  );
});

describe("a service that names a volume", () => {
  const kept = { mounts: [{ type: "volume", source: "kept", target: "/kept" }] };
  const inStaging = (more: object) =>
    lab().order(
      "service.deploy",
      { name: "trial", image: lab().name("1"), update: QUICK, ...more },
      { environment: "staging" },
    );
  beforeEach(() => {
    lab().lab.setPolicy((document) => {
      const { prod } = document.environments as Record<string, never>;
      put(["environments", "staging"], prod)(document);
    });
  });

  it("is refused where another environment named it, also when that service is gone", async () => {
    expect(await lab().deploy("1", kept)).toMatchObject({ kind: "deployed" });
    expect(await lab().deploy("1", { ...kept, env: { A: "b" } })).toMatchObject({ kind: "deployed" });
    expect(await lab().order("service.remove", { name: "web" })).toMatchObject({ kind: "done" });
    const told = lab().engine.asked.filter((line) => !line.startsWith("GET")).length;

    const refusal = { kind: "refuse", code: "SPEC", reason: "the volume kept belongs to prod" };
    expect(await inStaging(kept)).toEqual(refusal);
    await lab().restart();
    expect(await inStaging(kept)).toEqual(refusal);
    expect(lab().engine.asked.filter((line) => !line.startsWith("GET"))).toHaveLength(told);
    expect(await inStaging({ mounts: [{ ...kept.mounts[0], source: "own" }] })).toMatchObject({ kind: "deployed" });
    expect(await lab().deploy("1", kept)).toMatchObject({ kind: "deployed" });
  });

  it("is refused as part of a stack before anything of that is made", async () => {
    await lab().deploy("1", kept);
    const told = lab().engine.asked.filter((line) => !line.startsWith("GET")).length;
    const web = { image: lab().name("1"), mounts: [{ ...kept.mounts[0], source: "data" }] };
    const stack = { name: "shop", services: { web }, networks: { front: {} }, volumes: { data: { external: "kept" } } };

    expect(await lab().order("stack.deploy", stack, { environment: "staging" })).toEqual({
      ...{ kind: "refuse", code: "SPEC", reason: "shop_web: the volume kept belongs to prod" },
    });
    expect(lab().engine.asked.filter((line) => !line.startsWith("GET"))).toHaveLength(told);
  });

  it("may have what its own environment named before another one could be refused", () => {
    const records = ["prod", "staging"].flatMap((environment) => [
      {
        ...{ event: "intent", id: environment, environment, service: `${environment}-web` },
        ...{ pinned: "r/a/b@1", spec: "{}", user: "olga", because: "ann" },
      },
      {
        ...{ event: "sent", id: environment },
        definition: { TaskTemplate: { ContainerSpec: { Mounts: [{ Type: "volume", Source: "shared" }] } } },
      },
    ]);
    const ledger = new Ledger({ records });
    const spec = parseServiceSpec(
      Buffer.from(JSON.stringify({ name: "web", image: "r/a/b:1", mounts: [{ ...kept.mounts[0], source: "shared" }] })),
    );

    expect(ledger.environmentsOfVolume("shared")).toEqual(new Set(["prod", "staging"]));
    for (const environment of ["prod", "staging"]) requireOwnVolumes(ledger, spec, environment);
    expect(() => requireOwnVolumes(ledger, spec, "dev")).toThrow("the volume shared belongs to prod, staging");
  });
});
