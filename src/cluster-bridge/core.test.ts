import { expect, it } from "vitest";
import { createLog } from "../http/log.ts";
import { closeCore, openCore } from "./core.ts";
import { useBridgeLab } from "./testing/bridge-lab.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";

const lab = useBridgeLab();

it("knows the other managers before the first falls silent, and before it is asked anything", async () => {
  const [first, second] = [await EngineSimulator.start(), await EngineSimulator.start()];
  const silent: (() => void)[] = [];
  first.attack = (_method, _path, response) => silent.push(() => response.destroy()) > 0;
  const config = await lab().config(first);
  const core = await openCore(
    { ...config, engines: new Map([["two", { kind: "unix", socket: second.socket }]]) },
    {
      ...{ now: () => lab().now, failpoint: () => undefined, log: createLog({ level: "off" }) },
      metrics: { addGauge: () => undefined },
    },
  );

  try {
    await expect.poll(() => core.engines.each().map(({ facts }) => facts?.isManager)).toEqual([undefined, true]);
  } finally {
    for (const end of silent) end();
    await closeCore(core);
    await Promise.all([first.stop(), second.stop()]);
  }
});
