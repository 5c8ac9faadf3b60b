/** What does not come up where there is nothing to go back to. */
import { beforeEach, describe, expect, it } from "vitest";
import { drop } from "../notary/tuf/testing/loose.ts";
import type { Repository } from "../notary/tuf/testing/repository.ts";
import { image, other } from "../trust/testing/world.ts";
import { useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
let repository: Repository;
beforeEach(() => {
  repository = lab().lab.found("ops/app");
  lab().lab.sign(repository, "1", image);
  lab().lab.sign(repository, "2", other);
});
const [first, second] = [() => lab().name(image.digest), () => lab().name(other.digest)];
const ADVICE = "stays as it is: look at goldseal services logs web, then deploy it again, or goldseal services rm web";

describe("a new service that does not come up", () => {
  beforeEach(() => {
    lab().engine.crashes.set(first(), { error: "task: non-zero exit (3)" });
  });

  it("stays as it is, to be looked at, and whoever ordered it is told what became of it and what to do", async () => {
    const outcome = await lab().deploy("1");

    expect(outcome).toEqual({
      ...{ kind: "failed", rolledBackTo: undefined },
      reason: `as replica 1 it ended 3 times; failed: task: non-zero exit (3); nothing else ran well here before, so it ${ADVICE}`,
    });
    expect(lab().engine.images).toEqual({ web: first() });
    expect((await lab().events()).slice(-2)).toEqual(["failed", "ended"]);
  });

  it("is nothing to go back to, by itself or by an order", async () => {
    await lab().deploy("1");
    lab().engine.broken.add(second());

    expect(await lab().deploy("2")).toMatchObject({ kind: "failed", rolledBackTo: undefined });
    expect(await lab().order("service.rollback", { name: "web" })).toMatchObject({ kind: "refuse", code: "MISSING" });
    expect(lab().engine.images).toEqual({ web: second() });
  });

  it("is as it was ordered when it is ordered once more and comes up", async () => {
    await lab().deploy("1");
    lab().engine.crashes.clear();

    expect(await lab().deploy("1")).toEqual({ kind: "deployed", pinned: first() });
  });
});

describe("an update that does not come up", () => {
  beforeEach(async () => {
    await lab().deploy("1");
    lab().engine.broken.add(second());
  });

  it("is told with why nothing that ran before may run now", async () => {
    repository.publish([repository.part("targets/a", drop(["targets", "1"]))]);

    expect(await lab().deploy("2")).toMatchObject({
      ...{ kind: "failed", rolledBackTo: undefined },
      reason: expect.stringMatching(`nothing that ran here before may run now \\(.+\\), so it ${ADVICE}$`),
    });
  });

  it("is told with what became of the step back", async () => {
    lab().engine.broken.add(first());

    expect(await lab().deploy("2")).toMatchObject({
      ...{ kind: "failed", rolledBackTo: undefined },
      reason: expect.stringContaining(
        `what ran before is not back (update paused due to failure; it ${ADVICE}), so it`,
      ),
    });
  });
});
