import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Digest, digestOf, hexOf } from "../oci/digest.ts";
import { FsBlobStore } from "../storage/fs-blob-store.ts";
import { maxSignatureBytes, openSmallBlobs } from "./cosign-reader.ts";

let root: string;
let store: FsBlobStore;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldseal-small-"));
  store = await FsBlobStore.open(root);
});
afterAll(() => rm(root, { recursive: true }));

async function keep(content: Buffer, algorithm: "sha256" | "sha512" = "sha256") {
  const digest = digestOf(content, algorithm);
  const segment = await store.writeSegment(
    (async function* () {
      yield content;
    })(),
    algorithm,
  );
  await store.publish([segment.name], digest, segment.digest);
  return { digest, size: content.length };
}
const fileOf = (digest: Digest) => join(root, "blobs", "sha256", hexOf(digest).slice(0, 2), hexOf(digest));
/** Whoever has read it is asked no more. */
const read = (blob: { digest: Digest; size: number }) => openSmallBlobs(store)(blob);

describe("a small blob", () => {
  it.each([0, 1, maxSignatureBytes - 1, maxSignatureBytes])("of %i bytes is read", async (size) => {
    const content = Buffer.alloc(size, "a");

    expect((await read(await keep(content)))?.equals(content)).toBe(true);
  });

  it("is read by SHA-512 too", async () => {
    const content = Buffer.from("by another algorithm");

    expect(await read(await keep(content, "sha512"))).toEqual(content);
  });

  it("is none that is larger, whatever its descriptor says, or whatever is there", async () => {
    const large = await keep(Buffer.alloc(maxSignatureBytes + 1, "b"));
    const small = await keep(Buffer.from("small"));

    expect(await read({ ...large, size: 5 })).toBeUndefined();
    expect(await read({ ...small, size: maxSignatureBytes + 1 })).toBeUndefined();
    expect(await read({ ...small, size: maxSignatureBytes })).toEqual(Buffer.from("small"));
  });

  it("is none that is absent or damaged, until it is there; then it is remembered", async () => {
    const readBlob = openSmallBlobs(store);
    const content = Buffer.from("will be there");
    const blob = { digest: digestOf(content), size: content.length };
    expect(await readBlob(blob)).toBeUndefined();
    await keep(content);
    await writeFile(fileOf(blob.digest), "will be thera");
    expect(await readBlob(blob)).toBeUndefined();
    await writeFile(fileOf(blob.digest), content);

    const found = await readBlob(blob);
    await rm(fileOf(blob.digest));

    expect(found).toEqual(content);
    expect(await readBlob(blob)).toBe(found);
  });
});
