import { beforeEach, describe, expect, it } from "vitest";
import { drop, type Loose } from "../../notary/tuf/testing/loose.ts";
import type { Repository } from "../../notary/tuf/testing/repository.ts";
import { image, other } from "../../trust/testing/world.ts";
import { useWatchLab } from "../testing/watch-lab.ts";
import { findWatchFaults } from "./watch-figures.ts";

const lab = useWatchLab();
const service = () => lab().service;
const SUPERSEDED = "trusted: no tag is this image any more: 1 is another one now";
/** Where people sign; `1` and `2` of `ops/app` only say which of those images they are. */
let qa: Repository;
beforeEach(async () => {
  qa = lab().lab.found("qa/app");
  for (const [tag, what] of [
    ["1.1", image],
    ["1.2", other],
  ] as const)
    lab().lab.sign(qa, tag, what);
  setPolicy(8, {});
  await lab().deploy(image.digest, { replicas: 2 });
  await lab().until(() => service() === "trusted: ");
  lab().sign("1", other);
});

function setPolicy(version: number, own: Loose): void {
  lab().lab.setPolicy((document) => {
    const { prod } = document.environments as Record<string, Loose>;
    Object.assign(prod ?? {}, { require: [{ team: "qa", k: 1, gun: "qa/{name}" }], ...own });
    Object.assign(document, { version });
  });
}

describe("what runs when its tag is another image", () => {
  it("stays trusted, service and tasks: no alarm, and nothing that /readyz would say", async () => {
    await lab().until(() => service() === SUPERSEDED);
    const since = lab().lab.now.getTime();
    await lab().until(() => lab().lab.now.getTime() - since > 120_000);
    await lab().later();

    expect([service(), lab().containers]).toEqual([SUPERSEDED, ["trusted"]]);
    expect(lab().records("seen", "reaction")).toEqual([]);
    expect(findWatchFaults({ watch: lab().core.watch, now: () => lab().lab.now })).toEqual([]);
  });

  it("stays trusted when the watch begins anew", async () => {
    await lab().until(() => service() === SUPERSEDED);

    await lab().restartWatch();
    await lab().later(10);

    expect([service(), lab().records("seen")]).toEqual([SUPERSEDED, []]);
  });

  it("loses trust when the signature is taken back, and is not what a service is replaced by", async () => {
    setPolicy(9, { onTrustLost: "replace" });
    await lab().until(() => service() === SUPERSEDED);
    qa.publish([qa.part("targets/a", drop(["targets", "1.1"]))]);

    await lab().until(() => lab().reacted.length > 0);

    expect(lab().reacted).toEqual(["replace: nothing: of all that ran as web nothing verifies now"]);
    expect(
      lab()
        .records("seen")
        .map(({ what, state }) => `${what} ${state}`),
    ).toContain("service trust-lost");
  });

  it("is what a service is put back to that somebody changed by hand", async () => {
    setPolicy(9, { onTrustLost: "freeze" });
    await lab().until(() => service() === SUPERSEDED);
    lab().setImage(lab().pin(other.digest));

    await lab().until(() => lab().reacted.length > 0 && service() === SUPERSEDED);

    expect(lab().reacted).toEqual([`restore: it is ${lab().pin(image.digest)}`]);
  });

  it("is what a service is replaced by that lost trust", async () => {
    setPolicy(9, { onTrustLost: "replace" });
    await lab().deploy(other.digest);
    await lab().until(() => service() === "trusted: ");
    qa.publish([qa.part("targets/a", drop(["targets", "1.2"]))]);

    await lab().until(() => lab().reacted.length > 0 && service() === SUPERSEDED);

    expect(lab().reacted).toEqual([`replace: it is ${lab().pin(image.digest)}`]);
  });
});
