import { describe, expect, it } from "vitest";
import { put } from "../../notary/tuf/testing/loose.ts";
import { base64, useStackLab } from "../testing/stack-lab.ts";

const { lab, service, deploy, remove, services, revoke, allow } = useStackLab();

describe("stack.remove", () => {
  it("removes services, then all else that is the stack's", async () => {
    await deploy({ secrets: { key: { data: base64("x") } } });
    await lab().deploy("1");
    lab().engine.asked.length = 0;

    const outcome = await remove();

    expect(outcome).toMatchObject({ kind: "done", stack: "shop", left: [] });
    expect(services()).toEqual(["web"]);
    expect(lab().engine.parts.names).toEqual([]);
    const deletions = lab()
      .engine.asked.filter((line) => line.startsWith("DELETE"))
      .map((line) => line.split("/")[1]);
    expect(deletions.slice(0, 2)).toEqual(["services", "services"]);
    expect(deletions.toSorted()).toEqual(["networks", "secrets", "services", "services"]);
  });

  it("is done when the engine shows nothing of it any more", async () => {
    await deploy();
    lab().engine.parts.lingers = 2;

    expect(await remove()).toMatchObject({ kind: "done", left: [] });
    expect(lab().engine.parts.names).toEqual([]);
  });

  it("refuses what is not there, and what is not the environment's", async () => {
    expect(await remove()).toMatchObject({ kind: "refuse", code: "MISSING", reason: "there is no stack shop" });
    await deploy();
    delete lab().engine.find("shop_db")?.Spec.Labels["goldseal.environment"];

    expect(await remove()).toMatchObject({ kind: "refuse", code: "CONFLICT" });
    expect(services()).toEqual(["shop_db", "shop_web"]);
  });
});

describe("a bridge that is killed while it makes a stack", () => {
  const kill = (at: string, pass = 1) => {
    let passes = 0;
    return (name: string): void => {
      if (name === at && ++passes === pass) throw new Error("killed");
    };
  };
  const content = { secrets: { key: { data: base64("x") } } };
  const all = ["networks shop_front", expect.stringMatching(/^secrets shop_key_/)];

  it.each<[string, number, boolean]>([
    ["bridge.afterVerify", 1, false],
    // Before the secret was made: what it holds died with the bridge.
    ["bridge.afterIntent", 1, false],
    ["bridge.afterDockerCall", 1, true],
    ["bridge.afterDockerCall", 2, true],
    ["bridge.afterStackParts", 1, true],
    ["bridge.afterStackServices", 1, true],
  ])("at %s (%i): the next one makes all of it or nothing", async (point, pass, isMade) => {
    await lab().restart(kill(point, pass));
    await deploy(content).catch(() => undefined);
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => services()).toEqual(isMade ? ["shop_db", "shop_web"] : []);
    const isKnown = point !== "bridge.afterVerify";
    if (isKnown) await expect.poll(() => lab().events()).toContain("stack-ended");
    else expect(await lab().events()).not.toContain("stack");
    expect(lab().engine.parts.names).toEqual(isMade ? all : []);
    const made = lab().engine.asked.filter((line) => line === "POST /services/create");
    expect(made).toHaveLength(isMade ? 2 : 0);
  });

  it("does not make a service whose image was revoked meanwhile", async () => {
    await lab().restart(kill("bridge.afterStackParts"));
    await deploy({ services: { web: service("2") } }).catch(() => undefined);
    revoke("2");
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => lab().events()).toContain("stack-ended");
    expect(services()).toEqual([]);
  });

  it("does not make a service that the environment does not allow any more, and comes to an end", async () => {
    allow({ command: true });
    await lab().restart(kill("bridge.afterStackParts"));
    await deploy({ services: { web: service("1", { command: ["serve"] }), db: service("1") } }).catch(() => undefined);
    lab().lab.setPolicy(put(["version"], 9));
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => lab().events()).toContain("stack-ended");
    expect(services()).toEqual(["shop_db"]);
    const end = (await lab().journal()).at(-1);
    expect(end).toMatchObject({ event: "stack-ended", services: { shop_db: "deployed", shop_web: "refuse" } });
  });

  it.each([
    ["its own", "bridge.afterIntent"],
    ["what it made before, which is gone", "bridge.afterStackParts"],
  ])("does not take what somebody else made meanwhile for %s, and leaves it alone", async (_what, point) => {
    await lab().restart(kill(point));
    await deploy().catch(() => undefined);
    const theirs = { Name: "shop_front", Labels: { "goldseal.environment": "staging" } };
    lab().engine.parts.reset();
    lab().engine.parts.act("POST", "/networks/create", theirs);
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => lab().events()).toContain("stack-ended");
    expect((await lab().journal()).at(-1)).toMatchObject({
      ...{ event: "stack-ended", reason: "there is a network shop_front already, and it belongs to staging" },
    });
    expect([services(), lab().engine.parts.names]).toEqual([[], ["networks shop_front"]]);
  });

  it("goes on with a removal", async () => {
    await deploy();
    await lab().restart(kill("bridge.afterStackServices"));
    await remove().catch(() => undefined);
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => lab().engine.parts.names).toEqual([]);
    expect(services()).toEqual([]);
  });
});
