import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { digestOf, type Image, OCI_MANIFEST, type Place, pushParts, putManifest } from "../../testing/images.ts";
import { openTestApp, type TestApp } from "../../testing/open-test-app.ts";
import { FsBlobInventory } from "../fs-blob-inventory.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { Collector, type CollectorOptions, type GcEvent } from "./collector.ts";
import { GcRuns } from "./runs.ts";

export const DAY = 86_400;
/** Statuses of a manifest, its config and its layer. */
export const ALL_THERE = [200, 200, 200];
export const ALL_GONE = [404, 404, 404];

export interface PushedImage {
  readonly image: Image;
  readonly digest: string;
}

/** For every test of a file: a server whose garbage is collected when the test says so. */
export function useCollector() {
  let app: TestApp;
  let runs: GcRuns;
  let count = 0;
  const events: GcEvent[] = [];
  /** Of manifests with more in them than their parts. */
  const sizes = new Map<string, number>();

  beforeAll(async () => {
    app = await openTestApp();
    runs = new GcRuns(app.database);
  });
  afterAll(async () => {
    expect(app.errors()).toEqual([]);
    await app[Symbol.asyncDispose]();
  });

  async function open(options: Partial<CollectorOptions> = {}): Promise<Collector> {
    const store = await FsBlobStore.open(app.blobsFolder);
    return new Collector({
      database: app.database,
      inventory: new FsBlobInventory(app.blobsFolder),
      seeBytes: async (digest, size) => (await store.findSize(digest)) === size,
      ...{ graceSeconds: 0, untaggedSeconds: 0, observe: (event) => events.push(event) },
      ...options,
    });
  }

  async function collect(
    options: Partial<CollectorOptions> = {},
    run: { dryRun?: boolean; afterRestore?: boolean } = {},
  ) {
    const id = await (await open(options)).run({ dryRun: false, ...run });
    const found = id === undefined ? undefined : await runs.find(id);
    if (id === undefined || found === undefined) throw new Error("nobody collected");
    const items = await runs.listItems(id, 0, 1_000);
    return {
      ...found,
      items: items.map((one) => `${one.kind} ${one.repository ?? ""} ${one.digest} ${one.size}`).sort(),
    };
  }

  /** Everything that nothing needs is a while old. */
  async function age(seconds: number): Promise<void> {
    for (const table of ["manifests", "repository_blobs", "blobs"]) {
      const text = `update ${table} set unreferenced_at = unreferenced_at - make_interval(secs => $1)`;
      await app.database.query("", text, [seconds]);
    }
  }

  const newPlace = (): Place => ({ app, as: "alice", repository: `alice/gc-${++count}` });

  /** An image of its own under `tag`. */
  async function pushImage(place: Place, tag: string, more: object = {}): Promise<PushedImage> {
    const image = await pushParts(place, `${place.repository} ${tag}`);
    const body = JSON.stringify({ ...image.manifest, ...more });
    expect((await putManifest(place, tag, body)).status).toBe(201);
    sizes.set(digestOf(body), Buffer.byteLength(body));
    return { image, digest: digestOf(body) };
  }

  const statusOf = async ({ repository }: Place, path: string, method = "GET") =>
    (await app.ask(method, `/v2/${repository}/${path}`, { as: "alice" })).status;
  const untag = async (place: Place, tag: string) =>
    expect(await statusOf(place, `manifests/${tag}`, "DELETE")).toBe(202);
  const fileOf = (digest: string): string =>
    join(app.blobsFolder, "blobs", "sha256", digest.slice(7, 9), digest.slice(7));
  const statusesOf = async (place: Place, { image, digest }: PushedImage) => [
    await statusOf(place, `manifests/${digest}`),
    await statusOf(place, `blobs/${image.config.digest}`),
    await statusOf(place, `blobs/${image.layer.digest}`),
  ];
  /** As an index lists it. */
  const child = ({ digest }: { digest: string }, mediaType = OCI_MANIFEST) => ({
    ...{ mediaType, digest, size: sizes.get(digest) ?? 0 },
  });

  return {
    ...{ open, collect, age, newPlace, pushImage, statusOf, untag, fileOf, statusesOf, child, events },
    app: () => app,
    runs: () => runs,
  };
}
