import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Digest, digestOf, hexOf } from "../oci/digest.ts";
import { pushBlob } from "../testing/images.ts";
import { openTestApp } from "../testing/open-test-app.ts";
import { blobStoreContract } from "./blob-store.contract.ts";
import { FsBlobStore } from "./fs-blob-store.ts";

blobStoreContract("FsBlobStore", async () => {
  const root = await mkdtemp(join(tmpdir(), "goldseal-blobs-"));
  return { store: await FsBlobStore.open(root), close: () => rm(root, { recursive: true, force: true }) };
});

async function* one(content: Buffer | string): AsyncGenerator<Buffer> {
  yield Buffer.from(content);
}

async function sizeOf(store: FsBlobStore, digest: Digest): Promise<number | undefined> {
  const reader = await store.open(digest);
  await reader?.close();
  return reader?.size;
}

const filesUnder = async (root: string): Promise<string[]> =>
  (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);

describe("FsBlobStore", () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "goldseal-blobs-"));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  const fileOf = (content: string) => {
    const hex = hexOf(digestOf(content));
    return join(root, "blobs", "sha256", hex.slice(0, 2), hex);
  };

  it("keeps what it has when it is opened again, for nobody else to read", async () => {
    const store = await FsBlobStore.open(root);
    const { name, digest } = await store.writeSegment(one("kept"), "sha256");
    await store.publish([name], digest, digest);

    const again = await FsBlobStore.open(root);

    expect(await sizeOf(again, digest)).toBe(4);
    for (const path of [root, join(root, "uploads"), join(root, "blobs", "sha256", "00")])
      expect((await stat(path)).mode & 0o077).toBe(0);
    expect((await stat(fileOf("kept"))).mode & 0o077).toBe(0);
  });

  it("mends a file that was cut off from outside with the next push of its bytes", async () => {
    const store = await FsBlobStore.open(root);
    const first = await store.writeSegment(one("will be torn"), "sha256");
    await store.publish([first.name], first.digest, first.digest);
    await store.discard([first.name]);
    await truncate(fileOf("will be torn"), 3);

    const second = await store.writeSegment(one("will be torn"), "sha256");
    await store.publish([second.name], second.digest, second.digest);
    await store.discard([second.name]);

    expect(await readFile(fileOf("will be torn"), "utf8")).toBe("will be torn");
  });

  it("skips files in the folder of uploads that are no pieces", async () => {
    const store = await FsBlobStore.open(root);
    for (const name of ["README", "0".repeat(31), "G".repeat(32)])
      await writeFile(join(root, "uploads", name), "stray");

    const idle = await store.listIdleSegments(-1_000);

    expect(idle.every((name) => /^[0-9a-f]{32}$/.test(name))).toBe(true);
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)("on a disk that is full (needs root, to mount a small tmpfs)", () => {
  const mib = 1024 * 1024;
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "goldseal-small-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m,mode=0700", "goldseal-test", root]);
  });
  afterAll(async () => {
    execFileSync("umount", [root]);
    await rm(root, { recursive: true, force: true });
  });

  it("refuses what does not fit with INSUFFICIENT_STORAGE, keeps nothing of it, and goes on reading and writing", async () => {
    const store = await FsBlobStore.open(join(root, "store"));
    const kept = await store.writeSegment(one("kept"), "sha256");
    await store.publish([kept.name], kept.digest, kept.digest);
    const before = await filesUnder(root);
    const { bfree } = await statfs(root);

    for (const size of [16 * mib, 40 * mib]) {
      async function* tooMuch(): AsyncGenerator<Buffer> {
        for (let sent = 0; sent < size; sent += mib) yield randomBytes(mib);
      }
      await expect(store.writeSegment(tooMuch(), "sha256")).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });
    }

    expect(await filesUnder(root)).toEqual(before);
    expect((await statfs(root)).bfree).toBe(bfree);
    expect(await sizeOf(store, kept.digest)).toBe(4);
    const next = await store.writeSegment(one(randomBytes(mib)), "sha256");
    expect(await store.publish([next.name], next.digest, next.digest)).toBe(mib);
    await store.discard([kept.name, next.name]);
  });

  it("refuses to join pieces for which there is no room twice, and the pieces stay", async () => {
    const store = await FsBlobStore.open(join(root, "joined"));
    const pieces = [randomBytes(4 * mib), randomBytes(4 * mib)];
    const written = await Promise.all(pieces.map((piece) => store.writeSegment(one(piece), "sha256")));
    const names = written.map(({ name }) => name);
    const digest = digestOf(Buffer.concat(pieces));

    await expect(store.publish(names, digest)).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });

    expect(await store.open(digest)).toBeUndefined();
    expect((await store.listIdleSegments(-1_000)).sort()).toEqual([...names].sort());
    await store.discard(names);
  });

  it("answers 507 INSUFFICIENT_STORAGE, no blob is torn, and the same server takes the blob once there is room", async () => {
    await using app = await openTestApp({ GOLDSEAL_BLOBS: `fs:${join(root, "served")}` });
    const place = { app, as: "alice", repository: "alice/full" };
    await pushBlob(place, "before");
    const ballast = join(root, "ballast");
    const content = randomBytes(3 * mib);
    const { bavail, bsize } = await statfs(root);
    await writeFile(ballast, Buffer.alloc(bavail * bsize - 2 * mib));
    const path = `/v2/alice/full/blobs/uploads/?digest=${digestOf(content)}`;

    const full = await app.ask("POST", path, { as: "alice", body: content });
    const started = await app.ask("POST", "/v2/alice/full/blobs/uploads/", { as: "alice" });
    const session = new URL(String(started.headers.location)).pathname;
    const patched = await app.ask("PATCH", session, { as: "alice", body: content });

    expect([full.status, full.code, patched.status, patched.code]).toEqual([
      507,
      "INSUFFICIENT_STORAGE",
      507,
      "INSUFFICIENT_STORAGE",
    ]);
    const blob = await app.ask("GET", `/v2/alice/full/blobs/${digestOf(content)}`, { as: "alice" });
    const old = await app.ask("GET", `/v2/alice/full/blobs/${digestOf("before")}`, { as: "alice" });
    expect([blob.status, old.body.toString()]).toEqual([404, "before"]);
    await rm(ballast);
    expect(
      (await app.ask("PUT", `${session}?digest=${digestOf(content)}`, { as: "alice", body: content })).status,
    ).toBe(201);
    expect(app.errors()).toEqual([]);
  });
});
