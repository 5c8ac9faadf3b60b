import { beforeEach, describe, expect, it } from "vitest";
import { drop, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import type { Repository } from "../../notary/tuf/testing/repository.ts";
import { digestOf } from "../../oci/digest.ts";
import { image, other } from "../../trust/testing/world.ts";
import { useWatchLab } from "../testing/watch-lab.ts";

const lab = useWatchLab();
let repository: Repository;
/** What `manifestOf` makes of a name. */
const config = { [image.digest]: digestOf("image"), [other.digest]: digestOf("other") };

beforeEach(() => {
  repository = lab().lab.found("ops/app");
  lab().lab.sign(repository, "1", image);
  lab().lab.sign(repository, "2", other);
  for (const [digest, id] of Object.entries(config)) lab().engine.imageIds.set(lab().pin(digest), id);
});

const service = () => lab().service;
const revoke = (tag: string) => repository.publish([repository.part("targets/a", drop(["targets", tag]))]);
const setPolicy = (own: Loose) =>
  lab().lab.setPolicy((document) => {
    document.version = (document.version as number) + 1;
    Object.assign((document.environments as Record<string, Loose>).prod as Loose, own);
  });
/** As a manager's own socket lets anybody do it. */
function changeByHand(change: (spec: { Labels: Record<string, string> } & Loose) => void): void {
  const [held] = [...lab().engine.services.values()];
  if (held === undefined) throw new Error("no service");
  const spec = structuredClone(held.Spec);
  change(spec as never);
  lab().engine.services.set(held.ID, { ...held, Version: { Index: held.Version.Index + 1 }, Spec: spec });
}
const setImage = (pinned: string) =>
  changeByHand((spec) => put(["TaskTemplate", "ContainerSpec", "Image"], pinned)(spec));
const reacted = () =>
  lab()
    .records("reacted")
    .map(({ action, outcome }) => `${action}: ${outcome}`);

describe("what runs as it was ordered and signed", () => {
  it("is trusted, service and tasks, and nothing is said or done", async () => {
    await lab().deploy(image.digest, { replicas: 2 });

    await lab().until(() => service() === "trusted: ");
    await lab().later();

    expect(lab().core.watch.states()).toMatchObject({
      services: [{ name: "web", environment: "prod", pinned: lab().pin(image.digest) }],
      containers: [{ state: "trusted", environment: "prod", node: "node-1" }, { state: "trusted" }],
      nodes: [{ id: "node-1", hostname: "one", state: "seen", reason: "" }],
    });
    expect(lab().records("seen", "reaction")).toEqual([]);
  });

  it("loses trust when its entry is taken back, and is told of once, over restarts too", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    revoke("1");

    await lab().until(() => service().startsWith("trust-lost: ") && lab().records("seen").length >= 2);
    await lab().restartWatch();
    await lab().later(10);

    expect(
      lab()
        .records("seen")
        .map(({ what, state }) => `${what} ${state}`),
    ).toEqual(["service trust-lost", "container trust-lost"]);
    expect(lab().records("reaction")).toEqual([]);
  });

  it("is judged by the policy of now, at once", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    setPolicy({ images: ["ops/other"] });

    await lab().until(() => service() === "trust-lost: ops/app is none of the images of prod: ops/other");
  });

  it("is asked for by one walk, however many tasks there are", async () => {
    await lab().deploy(image.digest, { replicas: 20 });
    await lab().until(() => lab().containers.join() === "trusted");
    const { asked } = lab().lab.registry;
    asked.length = 0;

    await lab().later(20);

    const walks = asked.filter((path) => path.endsWith("/timestamp.json")).length;
    const rounds = asked.filter((path) => path === "/api/v1/policies/bridge").length;
    expect(walks).toBeGreaterThan(0);
    expect(walks).toBeLessThanOrEqual(rounds);
    expect(asked.filter((path) => path.includes("/manifests/"))).toEqual([]);
  });
});

describe("what was made round the bridge", () => {
  it("is a service that drifted, of whatever somebody changed in it", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    setImage(lab().pin(other.digest));

    await lab().until(() => service() === "drifted: somebody changed TaskTemplate.ContainerSpec.Image");
    expect(lab().containers).toEqual(["drifted"]);
  });

  it("is a service that was rolled back by hand to what was ordered before", async () => {
    await lab().deploy(image.digest);
    const [before] = [...lab().engine.services.values()];
    await lab().deploy(other.digest);
    await lab().until(() => service() === "trusted: ");
    changeByHand((spec) => Object.assign(spec, before?.Spec));

    await lab().until(() => service().startsWith("drifted: it was put back by hand to an earlier order"));
  });

  it("is an unmanaged service, whatever labels it has", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    changeByHand((spec) => Object.assign(spec, { Name: "copy" }));

    await lab().until(() => service() === "unmanaged: the bridge did not make it");
    expect(lab().containers).toEqual(["unmanaged"]);
  });

  it("is a container that somebody started on a node, also one that says it is a task", async () => {
    lab().run(lab().pin(image.digest));
    lab().run(lab().pin(image.digest), { "com.docker.swarm.service.id": "made-up" });

    await lab().until(
      () =>
        lab()
          .core.watch.states()
          .containers.filter(({ state }) => state === "unmanaged").length === 2,
    );
    expect(
      lab()
        .core.watch.states()
        .containers.map(({ reason }) => reason),
    ).toEqual([
      "it was started on the node itself",
      "it says that it is a task of the Swarm, and no manager knows of it",
    ]);
  });

  it("is a node's own copy of an image, under the same name", async () => {
    lab().engine.imageIds.set(lab().pin(image.digest), digestOf("evil"));
    await lab().deploy(image.digest);

    await lab().until(() => lab().containers.join() === "drifted" && service() === "trusted: ");
    expect(lab().core.watch.states().containers[0]?.reason).toContain(`on this node is ${digestOf("evil")}`);
  });
});

describe("what nobody can tell", () => {
  it("is unknown after a while, and nothing is done about it", async () => {
    setPolicy({ onTrustLost: "remove", onUnmanaged: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    const answers = lab().lab.registry.attack;
    lab().lab.registry.attack = (_path, response) => response.writeHead(500).end() !== undefined;
    await lab().later(3);
    expect(service()).toBe("trusted: ");

    await lab().until(() => service().startsWith("unknown: ") && lab().records("seen").length > 0);
    expect(service()).toMatch(/last known at 20\d\d-/);
    lab().lab.registry.attack = answers;

    await lab().until(() =>
      lab()
        .records("seen")
        .some(({ what, state }) => what === "service" && state === "trusted"),
    );
    expect(service()).toBe("trusted: ");
    expect(lab().records("reaction")).toEqual([]);
  });

  it("is a node whose engine is not the one that the configuration says", async () => {
    lab().engine.facts.NodeID = "node-7";

    await lab().until(() => lab().core.watch.states().nodes[0]?.state === "unseen");
    await lab().until(() => lab().records("seen").length === 1);
    expect(lab().records("seen")).toMatchObject([{ what: "node", name: "one", state: "unseen" }]);
  });

  it("is not done by a clock that went back", async () => {
    setPolicy({ onTrustLost: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    revoke("1");
    lab().lab.now = new Date(lab().lab.now.getTime() - 3_600_000);

    await lab().until(() => lab().lab.registry.asked.length > 0);
    for (let round = 0; round < 50; round++) await new Promise((resolve) => setTimeout(resolve, 10));

    expect(lab().records("reaction")).toEqual([]);
    expect(lab().engine.services.size).toBe(1);
  });
});

describe("what the policy wants to be done", () => {
  it("about lost trust: replace it by the newest that verifies now, once", async () => {
    setPolicy({ onTrustLost: "replace" });
    await lab().deploy(image.digest);
    await lab().deploy(other.digest);
    await lab().until(() => service() === "trusted: ");
    revoke("2");

    await lab().until(() => reacted().length > 0 && service() === "trusted: ");
    await lab().later();

    expect(reacted()).toEqual([`replace: it is ${lab().pin(image.digest)}`]);
    expect(lab().engine.images).toEqual({ web: lab().pin(image.digest) });
    expect(lab().records("reaction").length).toBe(1);
  });

  it("about lost trust: replace, where nothing verifies: nothing, and that is said once", async () => {
    setPolicy({ onTrustLost: "replace" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    revoke("1");

    await lab().until(() => reacted().length > 0);
    await lab().later(10);

    expect(reacted()).toEqual(["replace: nothing: of all that ran as web nothing verifies now"]);
    expect(lab().engine.images).toEqual({ web: lab().pin(image.digest) });
  });

  it("about lost trust: remove", async () => {
    setPolicy({ onTrustLost: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    revoke("1");

    await lab().until(() => reacted().length > 0);

    expect(reacted()).toEqual(["remove: removed"]);
    expect(lab().engine.services.size).toBe(0);
    expect(lab().records("reaction")).toMatchObject([{ name: "web", action: "remove" }]);
  });

  it("about lost trust: freeze, until it is trusted again", async () => {
    setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    revoke("1");
    await lab().until(() => reacted().length > 0);

    const refused = await lab().deploy(other.digest);
    expect(refused).toMatchObject({ kind: "refuse", code: "POLICY", reason: expect.stringContaining("web is frozen") });
    lab().lab.sign(repository, "1", image);

    await lab().until(() => reacted().length > 1);
    expect(reacted()).toEqual(["freeze: frozen", "thaw: thawed"]);
    expect(await lab().deploy(other.digest)).toMatchObject({ kind: "deployed" });
  });

  it("about lost trust: freeze, and what somebody scaled up by hand goes down again", async () => {
    setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest, { replicas: 2 });
    await lab().until(() => service() === "trusted: ");
    revoke("1");
    await lab().until(() => reacted().length > 0);
    changeByHand((spec) => put(["Mode", "Replicated", "Replicas"], 5)(spec));

    await lab().until(() => reacted().length > 1 && service().startsWith("trust-lost"));

    expect(reacted()).toEqual(["freeze: frozen", "scale-back: scaled back to what was ordered"]);
    expect([...lab().engine.services.values()][0]?.Spec.Mode).toEqual({ Replicated: { Replicas: 2 } });
  });

  it("about what drifted: what was ordered takes its place again", async () => {
    setPolicy({ onTrustLost: "freeze" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    setImage(lab().pin(digestOf("evil")));

    await lab().until(() => reacted().length > 0 && service() === "trusted: ");

    expect(reacted()).toEqual([`restore: it is ${lab().pin(image.digest)}`]);
    expect(lab().records("intent").at(-1)).toMatchObject({
      because: "put back: somebody changed TaskTemplate.ContainerSpec.Image",
    });
  });

  it("about what is unmanaged: remove it", async () => {
    setPolicy({ onUnmanaged: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    changeByHand((spec) => Object.assign(spec, { Name: "copy" }));
    lab().run("busybox");

    await lab().until(() => lab().engine.services.size === 0 && lab().engine.containers.size === 0);

    expect(
      lab()
        .records("reaction")
        .map(({ kind, action }) => `${kind} ${action}`)
        .sort(),
    ).toEqual(["container remove", "service remove"]);
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
