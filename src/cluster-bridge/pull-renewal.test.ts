import { describe, expect, it } from "vitest";
import { KEY, usePullLab } from "./testing/pull-lab.ts";

const lab = usePullLab();

describe("a service that runs", () => {
  it("is sent once more, unchanged, with another secret at half of the life of its own, and not before", async () => {
    const bridge = await lab().openBridge();
    const first = await lab().deploy(bridge);
    lab().later(11.9);
    await bridge.keeper.tend(KEY);
    expect(lab().updates()).toEqual([]);
    const before = lab().engine.find("web");

    lab().later(0.2);
    await bridge.keeper.tend(KEY);

    expect(lab().updates()).toHaveLength(1);
    const [second] = lab().updates();
    expect(second).not.toBe(first);
    expect(JSON.stringify(lab().engine.find("web")?.Spec)).toBe(JSON.stringify(before?.Spec));
    expect([await lab().works(first), await lab().works(second)]).toEqual([true, true]);
    expect(bridge.journal.records.at(-1)).toMatchObject({ event: "pull-secret-renewed", ...KEY });
    await bridge.keeper.tend(KEY);
    expect(lab().updates()).toHaveLength(1);
    lab().later(12.1);
    await bridge.keeper.tend(KEY);
    expect([await lab().works(first), await lab().works(second), await lab().works(lab().updates()[1])]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it("is renewed by a bridge that was started since, too", async () => {
    await lab().deploy(await lab().openBridge());
    await lab().closeBridges();
    const bridge = await lab().openBridge();
    expect(bridge.keeper.due()).toMatchObject([KEY]);
    lab().later(13);

    await bridge.keeper.tend(KEY);

    expect(lab().updates()).toHaveLength(1);
    expect(bridge.keeper.findFaults()).toEqual([]);
  });

  it("is sent once more at once where the engine may not have been told", async () => {
    const bridge = await lab().openBridge();
    await lab().deploy(bridge);
    await bridge.keeper.prepare({ ...KEY, pinned: lab().pinned() });

    await bridge.keeper.tend(KEY);

    expect(lab().updates()).toHaveLength(1);
    expect(bridge.states.find(KEY)?.isApplied).toBe(true);
  });

  it.each(["updating", "paused", "rollback_started", "rollback_paused"])(
    "is left alone while its update is %s, and that is said before the secret ends",
    async (State) => {
      const bridge = await lab().openBridge();
      await lab().deploy(bridge);
      const [[id, service] = []] = lab().engine.services;
      lab().engine.services.set(id ?? "", { ...service, UpdateStatus: { State, Message: "" } } as never);

      lab().later(13);
      await bridge.keeper.tend(KEY);
      expect([lab().updates(), bridge.keeper.findFaults()]).toEqual([[], []]);
      lab().later(9.5);
      await bridge.keeper.tend(KEY);

      expect(lab().updates()).toEqual([]);
      expect(bridge.keeper.findFaults()).toEqual([
        expect.stringMatching(`^prod/web: the secret .* is not renewed: its update is ${State}, and the secret ends `),
      ]);
    },
  );

  it("is not sent in the bridge's name when somebody else changed it, which is an alarm", async () => {
    const bridge = await lab().openBridge();
    await lab().deploy(bridge);
    const held = lab().engine.find("web");
    Object.assign(held?.Spec.TaskTemplate.ContainerSpec ?? {}, { Args: ["evil"] });
    lab().later(13);

    await bridge.keeper.tend(KEY);

    expect(lab().updates()).toEqual([]);
    expect(bridge.keeper.findFaults()).toEqual([
      "prod/web: the secret that nodes pull with is not renewed: the service is not as the bridge made it: TaskTemplate.ContainerSpec.Args",
    ]);
    expect(bridge.keeper.count()).toEqual(new Map(Object.entries({ held: 1, failing: 1, expired: 0 })));
  });

  it("that cannot be renewed is tried again, with an alarm until it was", async () => {
    const bridge = await lab().openBridge();
    await lab().deploy(bridge);
    lab().later(13);
    lab().setRegistry("away");
    await bridge.keeper.tend(KEY);
    await bridge.keeper.tend(KEY);
    const faults = bridge.keeper.findFaults();
    lab().setRegistry("back");

    await bridge.keeper.tend(KEY);

    expect(faults).toEqual([
      expect.stringMatching(/^prod\/web: the secret that nodes pull with is not renewed: https:/),
    ]);
    expect(lab().lines.filter((line) => line.includes("bridge.pull-secret"))).toHaveLength(1);
    expect([lab().updates().length, bridge.keeper.findFaults()]).toEqual([1, []]);
  });

  it("is not renewed twice at the registry where the engine refuses the update", async () => {
    const bridge = await lab().openBridge();
    await lab().deploy(bridge);
    lab().later(13);
    lab().engine.attack = (method, _path, response) => {
      if (method !== "POST") return false;
      response.writeHead(500, { "content-type": "application/json" }).end('{"message":"update out of sequence"}');
      return true;
    };
    for (let round = 0; round < 3; round++) await bridge.keeper.tend(KEY);
    lab().engine.attack = () => false;
    const tried = lab().updates();

    await bridge.keeper.tend(KEY);

    expect(new Set(lab().updates()).size).toBe(1);
    expect([tried.length, lab().updates().length, bridge.keeper.findFaults()]).toEqual([3, 4, []]);
  });

  it("that the engine changes on the way is an alarm", async () => {
    const bridge = await lab().openBridge();
    await lab().deploy(bridge);
    lab().later(13);
    lab().engine.change = (spec) => Object.assign(spec.TaskTemplate, { ForceUpdate: 1 });

    await bridge.keeper.tend(KEY);

    expect(bridge.keeper.findFaults()).toEqual([expect.stringContaining("another task template")]);
  });
});
