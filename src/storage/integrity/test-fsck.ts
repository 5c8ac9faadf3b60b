import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import type { Place } from "../../testing/images.ts";
import { openTestApp, type TestApp } from "../../testing/open-test-app.ts";
import { FsBlobInspector } from "../fs-blob-inspector.ts";
import { FsBlobInventory } from "../fs-blob-inventory.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { Fsck, type FsckOptions } from "./fsck.ts";
import { type FsckRequest, FsckRuns } from "./fsck-runs.ts";
import type { IntegrityEvent } from "./integrity-event.ts";

export const ALL: FsckRequest = { mode: "all", sample: undefined, repair: true, acceptLoss: false };
export const DRY: FsckRequest = { ...ALL, repair: false };
export const SIZES: FsckRequest = { ...ALL, mode: "sizes" };

/** For every test of a file: a registry on a folder, and checks of it. Each test leaves nothing to find. */
export function useFsck() {
  let app: TestApp;
  let place: Place;
  let count = 0;
  const events: IntegrityEvent[] = [];
  beforeAll(async () => {
    app = await openTestApp({ GOLDSEAL_GC_EVERY_MINUTES: "off" });
  });
  beforeEach(() => {
    place = { app, as: "alice", repository: `alice/fsck-${++count}` };
    events.length = 0;
  });
  afterAll(async () => {
    expect(app.errors()).toEqual([]);
    await app[Symbol.asyncDispose]();
  });

  async function open(options: Partial<FsckOptions> = {}): Promise<Fsck> {
    return new Fsck({
      database: app.database,
      blobs: await FsBlobStore.open(app.blobsFolder),
      inspector: new FsBlobInspector(app.blobsFolder),
      inventory: new FsBlobInventory(app.blobsFolder),
      observe: (event) => events.push(event),
      ...options,
    });
  }

  /** Findings as lines, in the order of their names. */
  async function fsck(request: FsckRequest, options: Partial<FsckOptions> = {}) {
    const id = await (await open(options)).run(request);
    const runs = new FsckRuns(app.database);
    const run = await runs.find(id ?? 0);
    if (run === undefined) throw new Error("nobody looked");
    const findings = await runs.listFindings(run.id, 0, 1_000);
    const lines = findings.map(({ kind, name, reason, action }) => `${kind} ${name} ${reason} ${action}`).sort();
    return { ...run, lines };
  }

  const fileOf = (digest: string): string => {
    const [algorithm = "", hex = ""] = digest.split(":");
    return join(app.blobsFolder, "blobs", algorithm, hex.slice(0, 2), hex);
  };

  async function flip(digest: string): Promise<void> {
    const bytes = readFileSync(fileOf(digest));
    bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    await writeFile(fileOf(digest), bytes);
  }

  async function get(path: string, method = "GET") {
    const answer = await app.ask(method, `/v2/${place.repository}/${path}`, { as: "alice" });
    return { status: answer.status, code: answer.code, body: answer.body.toString() };
  }

  /** Files in quarantine. */
  const asideOf = (digest: string): string[] => {
    const folder = join(app.blobsFolder, "quarantine");
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.filter((name) => name.startsWith(digest.replace(":", "-"))).map((name) => join(folder, name));
  };

  return { app: () => app, place: () => place, events, open, fsck, fileOf, flip, get, asideOf };
}
