/** Orders as they come to a whole bridge, and what came of them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { parseJson } from "../../oci/json.ts";
import { alice } from "../../trust/testing/signers.ts";
import type { Outcome } from "../actions.ts";
import type { Bridge } from "../bridge.ts";
import type { PassPoint } from "../failpoint.ts";
import type { OrderAction } from "../orders.ts";
import { type BridgeLab, useBridgeLab } from "./bridge-lab.ts";
import { EngineSimulator } from "./engine-simulator.ts";
import { type Signing, signOrder } from "./order-signing.ts";

/** How a new service comes up where nothing is asked of that. */
export const QUICK = { monitor: "1ms" };

export interface Ordering extends Partial<Signing> {
  readonly breakGlass?: Uint8Array;
  readonly environment?: string;
}

export class OrderLab {
  readonly lab: BridgeLab;
  readonly engine: EngineSimulator;
  bridge: Bridge;

  constructor(lab: BridgeLab, engine: EngineSimulator, bridge: Bridge) {
    [this.lab, this.engine, this.bridge] = [lab, engine, bridge];
  }

  /** As alice, who may deploy in prod. */
  async order(action: OrderAction, content: object, { breakGlass, environment = "prod", ...how }: Ordering = {}) {
    const body = Buffer.from(JSON.stringify(content));
    const signing = { by: alice, now: this.lab.now, ...how };
    const order = await signOrder({ environment, action, spec: body }, signing);
    return this.bridge.order({ environment, action, order, body, breakGlass }, () => undefined);
  }

  deploy(tag: string, more: object = {}): Promise<Outcome> {
    return this.order("service.deploy", { name: "web", image: this.name(tag), update: QUICK, ...more });
  }

  /** `host/ops/app:tag`, or `@sha256:…`. */
  name(reference: string): string {
    return `${this.lab.registry.authority}/ops/app${reference.startsWith("sha256:") ? "@" : ":"}${reference}`;
  }

  /** The bridge ends as if it were killed, and another one starts. */
  async restart(failpoint?: PassPoint): Promise<void> {
    await this.bridge.close();
    this.bridge = await this.lab.open(this.engine, failpoint);
  }

  /** Events of the journal, without what they say. */
  async events(): Promise<string[]> {
    return (await this.journal()).map(({ event }) => String(event));
  }

  async journal(): Promise<Record<string, unknown>[]> {
    const lines = (await readFile(join(this.lab.folder, "journal"), "utf8")).split("\n").slice(0, -1);
    return lines.map((line) => parseJson(Buffer.from(line)) as Record<string, unknown>);
  }
}

/** A bridge for every test of a file, between one registry and one engine. */
export function useOrderLab(): () => OrderLab {
  const bridgeLab = useBridgeLab();
  let engine: EngineSimulator;
  let lab: OrderLab;
  beforeAll(async () => {
    engine = await EngineSimulator.start();
  });
  afterAll(() => engine.stop());
  beforeEach(async () => {
    engine.reset();
    lab = new OrderLab(bridgeLab(), engine, await bridgeLab().open(engine));
  });
  afterEach(() => lab.bridge.close());
  return () => lab;
}
