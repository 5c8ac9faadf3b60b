/** What a run of the suite consists of: kills in several surroundings, and power cuts. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PROVISION } from "../harness/report.ts";
import { hasS3Server, startS3Server } from "../harness/s3-servers.ts";
import { EmbeddedWorld } from "./embedded-world.ts";
import type { Journal } from "./journal.ts";
import { Loop } from "./loop.ts";
import { listFailpoints } from "./plan.ts";
import { PowerCuts } from "./power/cuts.ts";
import { ReplicaWorld } from "./replica-world.ts";
import type { World } from "./world.ts";

export interface Bounds {
  readonly cycles: number;
  readonly cuts: number;
  readonly seconds: number;
}

export interface Part {
  readonly name: string;
  /** Of the seconds. */
  readonly share: number;
  /** @throws Violation */
  run(folder: string, journal: Journal, bounds: Bounds): Promise<void>;
  summary(): string;
  /** Failpoints and operations that a full run did not reach. */
  unhit(): string[];
}

export interface Setting {
  readonly blobs: "fs" | "s3";
  readonly replicas: number;
  readonly collector: boolean;
}

export interface PartOptions {
  readonly seed: string;
  readonly writers: number;
  /** Default: every one that the server has. */
  readonly failpoints?: readonly string[];
  /** Default: some of each. */
  readonly only?: Setting | "power-cuts";
  /** Operations that power cuts come after; default: any, and in between. */
  readonly after?: readonly string[];
}

/** Without a collector nothing at all may vanish; with it what nothing leads to. */
const SETTINGS: readonly (Setting & { readonly share: number })[] = [
  { blobs: "fs", replicas: 1, collector: false, share: 0.22 },
  { blobs: "fs", replicas: 2, collector: true, share: 0.18 },
  { blobs: "s3", replicas: 1, collector: false, share: 0.18 },
  { blobs: "s3", replicas: 2, collector: true, share: 0.2 },
];
const POWER_SHARE = 0.22;
/** A bucket gets a blob in parts of 8 MiB. */
const LARGEST_IN_BUCKET = 18_000_000;

export function makeParts(options: PartOptions): Part[] {
  if (options.only === "power-cuts") return [new PowerPart(options, 1)];
  if (options.only !== undefined) return [new KillPart(options, options.only, 1)];
  const kills = SETTINGS.map((setting) => new KillPart(options, setting, setting.share));
  return [new PowerPart(options, POWER_SHARE), ...kills];
}

class KillPart implements Part {
  readonly name: string;
  readonly share: number;
  readonly #options: PartOptions;
  readonly #setting: Setting;
  #loop: Loop | undefined;

  constructor(options: PartOptions, setting: Setting, share: number) {
    const { blobs, replicas, collector } = setting;
    this.name = `kills, ${replicas === 1 ? "one server" : "two servers"} on a ${blobs === "fs" ? "folder" : "bucket"}${
      collector ? ", collector" : ""
    }`;
    this.share = share;
    this.#options = options;
    this.#setting = setting;
  }

  async run(folder: string, journal: Journal, bounds: Bounds): Promise<void> {
    const { blobs, collector } = this.#setting;
    if (blobs === "s3" && !hasS3Server("minio")) {
      console.log(`skipped ${this.name}: minio not found (${PROVISION} provides it)`);
      return;
    }
    const { seed, writers, failpoints = listFailpoints(this.#setting) } = this.#options;
    const world = await this.#openWorld(join(folder, this.name.replaceAll(/\W+/g, "-")));
    const largest = blobs === "s3" ? { largestBytes: LARGEST_IN_BUCKET } : {};
    this.#loop = new Loop(world, { name: this.name, seed, writers, failpoints, collector, journal, ...largest });
    try {
      await this.#loop.run(bounds);
    } catch (error) {
      await world.stop().catch((failure: unknown) => console.log(String(failure)));
      throw error;
    } finally {
      await world.close();
    }
  }

  summary(): string {
    return this.#loop?.summary() ?? `${this.name}: skipped`;
  }

  unhit(): string[] {
    return this.#loop?.unhit() ?? [];
  }

  async #openWorld(folder: string): Promise<World> {
    mkdirSync(folder, { mode: 0o711 });
    const s3 = this.#setting.blobs === "s3" ? await startS3Server("minio") : undefined;
    return this.#setting.replicas === 1 ? new EmbeddedWorld(folder, s3) : ReplicaWorld.open(folder, s3);
  }
}

class PowerPart implements Part {
  readonly name = "power cuts on a folder";
  readonly share: number;
  readonly #options: PartOptions;
  #cuts: PowerCuts | undefined;

  constructor(options: PartOptions, share: number) {
    this.#options = options;
    this.share = share;
  }

  async run(folder: string, journal: Journal, bounds: Bounds): Promise<void> {
    this.#cuts = await PowerCuts.open({ ...this.#options, folder: join(folder, "power"), journal });
    if (this.#cuts === undefined) console.log(`skipped ${this.name}: gcc not found (${PROVISION} provides it)`);
    await this.#cuts?.run(bounds);
  }

  summary(): string {
    return this.#cuts?.summary() ?? `${this.name}: skipped`;
  }

  unhit(): string[] {
    return this.#cuts?.unhit() ?? [];
  }
}
