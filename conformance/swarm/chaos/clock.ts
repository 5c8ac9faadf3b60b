import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Report } from "../../harness/report.ts";
import { equal } from "../looking.ts";
import type { Havoc } from "./havoc.ts";

const [HOUR, DAY] = [3600, 86_400];
const LIFE = 240;

/** The bridge's clock is stepped while it runs: what has expired is never good again, and a clock that is right is enough. */
export async function clockStepped(havoc: Havoc, report: Report): Promise<void> {
  const { world } = havoc;
  const file = join(world.folder, "clock");
  const step = (seconds: number): void => writeFileSync(file, String(seconds));
  step(0);
  const preload = `--import=${pathToFileURL(join(import.meta.dirname, "..", "clock.mjs"))}`;
  await world.stopBridge();
  await world.startBridge({ NODE_OPTIONS: preload, CLOCK_FILE: file });
  const [one] = havoc.standing;
  /** Ordered by somebody whose clock says the same as the bridge's. */
  const order = (ahead: number, name: string) => havoc.deploy(havoc.spec(name, one.tag), ahead + LIFE);
  const expectCode = async (ahead: number, expected: readonly [number, string]): Promise<void> => {
    step(ahead);
    const answer = await order(ahead, "clock");
    equal([answer?.status, answer?.last?.code], expected);
    await havoc.tryUnsigned("clock", ahead + LIFE);
  };
  await report.check("the clock is right, and an honest service runs", async () => {
    await order(0, "clock");
    await havoc.mustRun("clock", one.pinned);
  });
  await report.check("the clock goes back by two days: nothing is deployed", () =>
    expectCode(-2 * DAY, [503, "clock"]),
  );
  await report.check("the clock goes ahead by a month, when the policy is over: nothing is deployed", () =>
    expectCode(30 * DAY, [403, "policy"]),
  );
  await report.check("the clock is right again: so are deployments", async () => {
    step(0);
    await order(0, "clock-again");
    await havoc.mustRun("clock-again", one.pinned);
  });
  await report.check("what was verified while the clock was ahead is not forgotten when it is set right", async () => {
    step(2 * HOUR);
    await order(2 * HOUR, "ahead");
    await havoc.mustRun("ahead", one.pinned);
    await expectCode(0, [503, "clock"]);
  });
  await report.check("the operator removes what the clock was seen at, as the refusal says", async () => {
    await world.stopBridge();
    rmSync(join(world.bridgeStore, "clock"));
    await world.startBridge();
    await order(0, "right");
    await havoc.mustRun("right", one.pinned);
  });
}
