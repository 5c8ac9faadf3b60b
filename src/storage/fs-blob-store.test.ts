import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { blobStoreContract } from "./blob-store.contract.ts";
import { FsBlobStore } from "./fs-blob-store.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-blobs-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

blobStoreContract("FsBlobStore", async () => FsBlobStore.open(await mkdtemp(join(folder, "store-"))));
