import { beforeEach, describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { image } from "../trust/testing/world.ts";
import { useOrderLab } from "./testing/order-lab.ts";

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
