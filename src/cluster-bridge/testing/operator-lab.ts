/** Bob at the command line, who orders in `prod` what alice signed of `alice/app`. */
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { generateSigningKey } from "../../cli/docker-keys/signing-key.ts";
import { pushImage } from "../../cli/trust/testing/trust-lab.ts";
import { CliLab } from "./cli-lab.ts";

interface Wishes {
  /** Tags. */
  readonly signed: readonly string[];
  readonly unsigned?: readonly string[];
  /** What the policy says of `prod` beside the usual. */
  readonly prod?: object;
}

export function useOperatorLab({ signed, unsigned = [], prod }: Wishes) {
  const operator = generateSigningKey();
  const digests = new Map<string, string>();
  let lab: CliLab;
  beforeAll(async () => {
    lab = await CliLab.open();
    const image = `${lab.authority}/alice/app`;
    for (const tag of [...signed, ...unsigned])
      digests.set(tag, await pushImage({ app: lab.app, as: "alice", repository: "alice/app" }, tag));
    for (const line of [`trust init ${image}`, ...signed.map((tag) => `trust sign ${image}:${tag}`)])
      expect(await lab.goldseal("alice", line)).toMatchObject({ status: 0 });
    await lab.giveKey("bob", "bob", operator);
    await lab.setPolicy({ bob: operator }, prod);
    await lab.startBridge();
  });
  afterAll(async () => {
    expect(lab.app.errors()).toEqual([]);
    await lab.close();
  });
  beforeEach(() => lab.engine.reset());
  return {
    lab: () => lab,
    bob: (line: string) => lab.goldseal("bob", `${line} --environment prod`),
    setPolicy: (change?: object) => lab.setPolicy({ bob: operator }, change),
    digestOf: (tag: string) => digests.get(tag),
    pinned: (tag: string) => `${lab.authority}/alice/app@${digests.get(tag)}`,
  };
}
