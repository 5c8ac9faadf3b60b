import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { drop, type Loose } from "../../notary/tuf/testing/loose.ts";
import { digestOf } from "../../oci/digest.ts";
import type { JsonObject } from "../../oci/json.ts";
import { image, other } from "../../trust/testing/world.ts";
import type { States } from "../cluster-states.ts";
import { armImage, bothPlatforms } from "../testing/bridge-lab.ts";
import { useWatchLab } from "../testing/watch-lab.ts";

const lab = useWatchLab();
const service = () => lab().service;

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
    lab().revoke("1");

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

  it("is trusted as it was sent: by a bridge that gave volumes no label, too", async () => {
    await lab().deploy(image.digest, { mounts: [{ type: "volume", source: "data", target: "/data" }] });
    await lab().until(() => service() === "trusted: ");
    const [sent] = lab().records("sent") as [{ id: string; definition: Loose }];
    const path = ["TaskTemplate", "ContainerSpec", "Mounts", 0, "VolumeOptions"];
    const definition = structuredClone(sent.definition);
    drop(path)(definition);
    await lab().core.journal.append({ event: "sent", id: sent.id, definition: definition as JsonObject });
    await lab().until(() => service().startsWith("drifted"));

    lab().changeByHand(drop(path));

    await lab().until(() => service() === "trusted: ");
  });

  it("is judged by the policy of now, at once", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().setPolicy({ images: ["ops/other"] });

    await lab().until(() => service() === "trust-lost: ops/app is none of the images of prod: ops/other");
  });

  it("is asked for by one walk, however many tasks there are", async () => {
    await lab().deploy(image.digest, { replicas: 20 });
    await lab().until(() => lab().containers.join() === "trusted");
    const { asked } = lab().lab.registry;
    asked.length = 0;

    await lab().later(20);

    const policy = "/api/v1/policies/bridge";
    // A round begins with the policy; one may have been under way.
    const whole = asked.slice(asked.indexOf(policy));
    const walks = whole.filter((path) => path.endsWith("/timestamp.json")).length;
    const rounds = whole.filter((path) => path === policy).length;
    expect(walks).toBeGreaterThan(0);
    expect(walks).toBeLessThanOrEqual(rounds);
    expect(asked.filter((path) => path.includes("/manifests/"))).toEqual([]);
  });
});

describe("what was made round the bridge", () => {
  it("is a service that drifted, of whatever somebody changed in it", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().setImage(lab().pin(other.digest));

    await lab().until(() => service() === "drifted: somebody changed TaskTemplate.ContainerSpec.Image");
    await lab().until(() => lab().containers.join() === "drifted");
  });

  it("is a service that was rolled back by hand to what was ordered before", async () => {
    await lab().deploy(image.digest);
    const [before] = [...lab().engine.services.values()];
    await lab().deploy(other.digest);
    await lab().until(() => service() === "trusted: ");
    lab().changeByHand((spec) => Object.assign(spec, before?.Spec));

    await lab().until(() => service().startsWith("unmanaged: it was put back by hand to an earlier order"));
    await lab().until(() => lab().containers.join() === "trusted");
  });

  it("is an unmanaged service, whatever labels it has", async () => {
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().changeByHand((spec) => Object.assign(spec, { Name: "copy" }));

    await lab().until(() => service() === "unmanaged: the bridge did not make it");
    await lab().until(() => lab().containers.join() === "unmanaged");
  });

  it("is said once of an unmanaged service, however many containers it starts", async () => {
    await lab().deploy(image.digest, { replicas: 3 });
    await lab().until(() => service() === "trusted: ");
    for (const name of ["copy-1", "copy-2", "copy-3"]) {
      lab().changeByHand((spec) => Object.assign(spec, { Name: name }));
      await lab().until(() => lab().core.watch.states().services[0]?.name === name);
      await lab().until(() => lab().containers.join() === "unmanaged");
    }

    expect(
      lab()
        .records("seen")
        .map(({ what, name, state }) => `${what} ${name} ${state}`),
    ).toEqual(["service copy-1 unmanaged"]);
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

  it("is such a container as soon as it is new no more, however long the pause between two looks is", async () => {
    lab().run(lab().pin(image.digest), { "com.docker.swarm.service.id": "made-up" });
    const { watch } = lab().core;
    let before: States | undefined;
    // Most of the time is over after the first look.
    const elapsedMs = () => {
      before ??= watch.states();
      return performance.now() + (watch.states() === before ? 0 : 4_900);
    };
    await lab().restartWatch({ pace: { lookMs: 600_000, calmMs: 10, judgeMs: 600_000, soonMs: 20 }, elapsedMs });

    await expect.poll(() => lab().containers).toEqual(["unmanaged"]);
  });

  it("is a node's own copy of an image, under the same name", async () => {
    lab().engine.imageIds.set(lab().pin(image.digest), digestOf("evil"));
    await lab().deploy(image.digest);

    await lab().until(() => lab().containers.join() === "drifted" && service() === "trusted: ");
    expect(lab().core.watch.states().containers[0]?.reason).toContain(`on this node is ${digestOf("evil")}`);
  });

  it("is nobody's node's copy of a platform that the registry hid at the deployment, and that is known at the next", async () => {
    lab().sign("1", bothPlatforms);
    lab().lab.registry.manifests.delete(armImage.digest);
    lab().engine.imageIds.set(lab().pin(bothPlatforms.digest), digestOf("arm"));
    await lab().deploy(bothPlatforms.digest);
    await lab().until(() => lab().containers.join() === "unknown" && service() === "trusted: ");
    lab().lab.registry.manifests.set(armImage.digest, armImage);

    await lab().deploy(bothPlatforms.digest);

    await lab().until(() => lab().containers.join() === "trusted");
    expect(
      lab()
        .records("image")
        .map(({ isPartial }) => isPartial),
    ).toEqual([true, false]);
  });
});

describe("what nobody can tell", () => {
  it("is unknown after a while, and nothing is done about it", async () => {
    lab().setPolicy({ onTrustLost: "remove", onUnmanaged: "remove" });
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

  it("is a node since it was seen last: its silence is no shorter because somebody waited for it", async () => {
    await lab().until(() => lab().core.watch.states().nodes[0]?.state === "seen");
    const held: ServerResponse[] = [];
    lab().engine.attack = (_method, path, response) => path === "/containers/json" && held.push(response) > 0;
    await expect.poll(() => held.length).toBe(1);
    lab().lab.now = new Date(lab().lab.now.getTime() + 7_000);

    lab().engine.attack = (_method, path, response) =>
      path === "/containers/json" && response.writeHead(500).end() !== undefined;
    held[0]?.writeHead(500).end();

    await expect.poll(() => lab().records("seen").length).toBe(1);
    expect(lab().records("seen")).toMatchObject([{ what: "node", name: "one", state: "unseen" }]);
  });

  it("is not done by a clock that went back", async () => {
    lab().setPolicy({ onTrustLost: "remove" });
    await lab().deploy(image.digest);
    await lab().until(() => service() === "trusted: ");
    lab().revoke("1");
    lab().lab.now = new Date(lab().lab.now.getTime() - 3_600_000);

    await lab().until(() => lab().lab.registry.asked.length > 0);
    await lab().later(10);

    expect(lab().records("reaction")).toEqual([]);
    expect(lab().engine.services.size).toBe(1);
  });
});
