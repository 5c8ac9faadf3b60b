import { describe, expect, it } from "vitest";
import { type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { digestOf } from "../../oci/digest.ts";
import { image, other } from "../../trust/testing/world.ts";
import { useWatchLab } from "../testing/watch-lab.ts";

const lab = useWatchLab();
const service = () => lab().service;
/** Where a minute of the clock is measured: a machine may stand still for many seconds, and its disk, before it goes by. */
const SLOW_MS = 40;

describe("what the policy wants to be done", () => {
  it("about lost trust: replace it by the newest that verifies now, once", async () => {
    lab().setPolicy({ onTrustLost: "replace" });
    await lab().deploy(image.digest);
    await lab().deploy(other.digest);
    await lab().until(() => service() === "trusted: ");
    lab().revoke("2");

    await lab().until(() => lab().reacted.length > 0 && service() === "trusted: ");
    await lab().later();

    expect(lab().reacted).toEqual([`replace: it is ${lab().pin(image.digest)}`]);
    expect(lab().engine.images).toEqual({ web: lab().pin(image.digest) });
    expect(lab().records("reaction").length).toBe(1);
  });

  it("about lost trust: replace, where nothing verifies: nothing, and that is said once", async () => {
    lab().setPolicy({ onTrustLost: "replace" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().revoke("1");

    await lab().until(() => lab().reacted.length > 0);
    await lab().later(10);

    expect(lab().reacted).toEqual(["replace: nothing: of all that ran as web nothing verifies now"]);
    expect(lab().engine.images).toEqual({ web: lab().pin(image.digest) });
  });

  it("about lost trust: remove", async () => {
    lab().setPolicy({ onTrustLost: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().revoke("1");

    await lab().until(() => lab().reacted.length > 0);

    expect(lab().reacted).toEqual(["remove: removed"]);
    expect(lab().engine.services.size).toBe(0);
    expect(lab().records("reaction")).toMatchObject([{ name: "web", action: "remove" }]);
  });

  it("about lost trust: freeze, until it is trusted again", async () => {
    lab().setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().revoke("1");
    await lab().until(() => lab().reacted.length > 0);

    const refused = await lab().deploy(other.digest);
    expect(refused).toMatchObject({ kind: "refuse", code: "POLICY", reason: expect.stringContaining("web is frozen") });
    const back = { environment: "prod", service: "web", user: "alice" };
    expect(await lab().core.deployer.rollBack(back, () => undefined)).toMatchObject({ kind: "refuse", code: "POLICY" });
    lab().sign("1", image);

    await lab().until(() => lab().reacted.length > 1);
    expect(lab().reacted).toEqual(["freeze: frozen", "thaw: thawed"]);
    expect(await lab().deploy(other.digest)).toMatchObject({ kind: "deployed" });
  });

  it("about lost trust: freeze, and what somebody scaled up by hand goes down again", async () => {
    lab().setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest, { replicas: 2 });
    await lab().until(() => service() === "trusted: ");
    lab().revoke("1");
    await lab().until(() => lab().reacted.length > 0);
    lab().changeByHand((spec) => put(["Mode", "Replicated", "Replicas"], 5)(spec));

    await lab().until(() => lab().reacted.length > 1 && service().startsWith("trust-lost"));

    expect(lab().reacted).toEqual(["freeze: frozen", "scale-back: scaled back to what was ordered"]);
    expect([...lab().engine.services.values()][0]?.Spec.Mode).toEqual({ Replicated: { Replicas: 2 } });
  });

  it("about what drifted: what was ordered takes its place again", async () => {
    lab().setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().setImage(lab().pin(digestOf("evil")));

    await lab().until(() => lab().reacted.length > 0 && service() === "trusted: ");

    expect(lab().reacted).toEqual([`restore: it is ${lab().pin(image.digest)}`]);
    expect(lab().records("intent").at(-1)).toMatchObject({
      because: "put back: somebody changed TaskTemplate.ContainerSpec.Image",
    });
  });

  it("about what was rolled back by hand: the same, whatever is to be done about what the bridge never made", async () => {
    lab().setPolicy({ onTrustLost: "freeze", onUnmanaged: "remove" });
    await lab().deploy(image.digest);
    const [before] = [...lab().engine.services.values()];
    await lab().deploy(other.digest);
    await lab().until(() => service() === "trusted: ");
    lab().changeByHand((spec) => Object.assign(spec, before?.Spec));

    await lab().until(() => lab().reacted.length > 0 && service() === "trusted: ");

    expect(lab().reacted).toEqual([`restore: it is ${lab().pin(other.digest)}`]);
  });

  it("about what drifted: nothing, where the environment does not allow any more what was ordered", async () => {
    lab().setPolicy({ onTrustLost: "freeze", specLimits: { command: true } });
    await lab().deploy(image.digest, { command: ["serve"] });
    await lab().until(() => service() === "trusted: ");
    lab().lab.setPolicy((document) => {
      put(["version"], 99)(document);
      put(["environments", "prod", "onTrustLost"], "freeze")(document);
    });
    const evil = lab().pin(digestOf("evil"));
    lab().setImage(evil);

    await lab().until(() => lab().reacted.length > 0);

    expect(lab().reacted).toEqual([expect.stringMatching(/^restore: .*prod does not let a service have a command/)]);
    expect(lab().engine.images).toEqual({ web: evil });
  });

  it("about what drifts again and again: a minute apart from the fourth time on", async () => {
    lab().setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    for (const turn of [1, 2, 3, 4]) {
      lab().setImage(lab().pin(digestOf(`evil ${turn}`)));
      const isDone = () => lab().reacted.length === turn && service() === "trusted: ";
      await lab().until(isDone, turn < 4 ? SLOW_MS : undefined);
    }

    const [one = 0, , three = 0, four = 0] = lab()
      .records("reaction")
      .map(({ at }) => Date.parse(String(at)));
    expect(three - one).toBeLessThan(60_000);
    expect(four - three).toBeGreaterThanOrEqual(60_000);
  });

  it("is done by the next bridge where one was killed over it", async () => {
    lab().setPolicy({ onTrustLost: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().engine.attack = (method, _path, response) => method === "DELETE" && response.destroy() !== undefined;
    lab().revoke("1");
    await lab().until(() => lab().records("reaction").length === 1);
    lab().engine.attack = () => false;

    await lab().restartWatch();
    await lab().until(() => lab().reacted.at(-1) === "remove: removed");

    expect(lab().engine.services.size).toBe(0);
  });

  it("about what is unmanaged: remove it", async () => {
    lab().setPolicy({ onUnmanaged: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().changeByHand((spec) => Object.assign(spec, { Name: "copy" }));
    lab().run("busybox");

    await lab().until(() => lab().engine.services.size === 0 && lab().engine.containers.size === 0);

    expect(
      lab()
        .records("reaction")
        .map(({ kind, action }) => `${kind} ${action}`)
        .sort(),
    ).toEqual(["container remove", "service remove"]);
  });

  it("about what is unmanaged: remove it a minute later where the managers lost their leader over it", async () => {
    lab().setPolicy({ onUnmanaged: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().engine.attack = (method, _path, response) => {
      if (method !== "DELETE") return false;
      response.writeHead(500, { "content-type": "application/json" }).end('{"message":"raft: lost leadership"}');
      return true;
    };
    lab().changeByHand((spec) => Object.assign(spec, { Name: "copy" }));
    await lab().until(() => lab().reacted.length > 0, SLOW_MS);
    lab().engine.attack = () => false;

    lab().pass(55_000);
    await lab().until(() => lab().engine.services.size === 0 && lab().reacted.length > 1, SLOW_MS);

    expect(lab().reacted).toEqual([
      expect.stringMatching(/^remove: failed: DELETE .*: raft: lost leadership$/),
      "remove: removed",
    ]);
    const [first = 0, second = 0] = lab()
      .records("reaction")
      .map(({ at }) => Date.parse(String(at)));
    expect(second - first).toBeGreaterThanOrEqual(60_000);
    expect(second - first).toBeLessThan(120_000);
  });

  it("about what is unmanaged: nothing, where the bridge may have made it and lost its store", async () => {
    lab().setPolicy({ onUnmanaged: "remove" });
    const Labels = { "goldseal.environment": "prod", "goldseal.intent": "of-before" };
    const TaskTemplate = { ContainerSpec: { Image: lab().pin(image.digest) } };
    const Spec = { Name: "web", Labels, TaskTemplate, Mode: { Replicated: { Replicas: 1 } } };
    lab().engine.services.set("of-before", { ID: "of-before", Version: { Index: 1 }, Spec });

    await lab().until(() => service() === "unknown: the journal says of no deployment at all");
    await lab().later(10);

    expect([lab().engine.services.size, lab().containers]).toEqual([1, ["unknown"]]);
    expect(lab().records("reaction")).toEqual([]);
  });

  it("about what is unmanaged: nothing, while one environment does not want it", async () => {
    lab().lab.setPolicy((document) => {
      document.version = 8;
      const environments = document.environments as Record<string, Loose>;
      environments.test = { ...environments.prod };
      (environments.prod as Loose).onUnmanaged = "remove";
    });
    lab().run("busybox");

    await lab().until(() => lab().records("seen").length === 1);
    await lab().later(10);

    expect(lab().engine.containers.size).toBe(1);
    expect(lab().records("reaction")).toEqual([]);
  });
});
