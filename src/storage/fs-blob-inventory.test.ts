import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { FsBlobInventory } from "./fs-blob-inventory.ts";
import { FsBlobStore } from "./fs-blob-store.ts";
import { blobPath } from "./fs-layout.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldseal-inventory-"));
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => rm(root, { recursive: true, force: true }));

const digest = digestOf("wanted again");
const path = () => blobPath(root, digest);
const pieces = () => readdirSync(join(root, "uploads")).length;

async function withdrawn() {
  const store = await FsBlobStore.open(root);
  async function* content() {
    yield Buffer.from("wanted again");
  }
  const { name } = await store.writeSegment(content(), "sha256");
  await store.publish([name], digest, digest);
  await store.discard([name]);
  const bytes = await new FsBlobInventory(root).withdraw(digest);
  if (bytes === undefined) throw new Error("there was nothing to withdraw");
  return bytes;
}

/** Each sync from now on: of what, whether the blob had its name by then, and how many pieces there were. */
async function watchSyncs(): Promise<[path: string, isNamed: boolean, pieces: number][]> {
  const handle = await open(root);
  const prototype: FileHandle = Object.getPrototypeOf(handle);
  await handle.close();
  const seen: [string, boolean, number][] = [];
  for (const name of ["sync", "datasync"] as const) {
    const real = prototype[name];
    vi.spyOn(prototype, name).mockImplementation(function (this: FileHandle) {
      seen.push([readlinkSync(`/proc/self/fd/${this.fd}`), existsSync(path()), pieces()]);
      return real.call(this);
    });
  }
  return seen;
}

describe("FsBlobInventory", () => {
  it("puts a withdrawn blob back durably: its folder is synced with its name in it, and only then the piece goes", async () => {
    const bytes = await withdrawn();
    expect([existsSync(path()), pieces()]).toEqual([false, 1]);
    const syncs = await watchSyncs();

    await bytes.restore();

    expect(syncs).toEqual([[join(path(), ".."), true, 1]]);
    expect([existsSync(path()), pieces()]).toEqual([true, 0]);
  });

  it("leaves nothing of a withdrawn blob that is discarded, and the bytes that a push put there meanwhile", async () => {
    await (await withdrawn()).discard();
    expect([existsSync(path()), pieces()]).toEqual([false, 0]);

    const bytes = await withdrawn();
    const again = await withdrawn();
    await again.restore();
    await bytes.restore();

    expect([existsSync(path()), pieces()]).toEqual([true, 0]);
  });
});
