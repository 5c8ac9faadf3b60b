import { describe, expect, it } from "vitest";
import { parseDigest } from "../../oci/digest.ts";
import { pushBlob } from "../../testing/images.ts";
import type { BlobReader } from "../blob-store.ts";
import { FsBlobInspector } from "../fs-blob-inspector.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { Doubts } from "./doubts.ts";
import { useFsck } from "./test-fsck.ts";

const { app, place, events, get, asideOf } = useFsck();

/** As a disk answers that cannot read a block; `reads`: so often, then it can again. */
async function openDoubts(reads = Number.POSITIVE_INFINITY) {
  const blobs = await FsBlobStore.open(app().blobsFolder);
  let [left, opened] = [reads, 0];
  const failing = {
    open: async (digest: Parameters<FsBlobStore["open"]>[0]): Promise<BlobReader | undefined> => {
      opened++;
      const reader = await blobs.open(digest);
      if (reader === undefined || left-- <= 0) return reader;
      const error = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO", syscall: "read" });
      return { ...reader, chunks: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }) };
    },
  };
  const stopping = new AbortController();
  const doubts = new Doubts({
    database: app().database,
    blobs: failing,
    inspector: new FsBlobInspector(app().blobsFolder),
    signal: stopping.signal,
    observe: (event) => events.push(event),
  });
  return { doubts, opened: () => opened, stop: () => stopping.abort(new Error("stopping")) };
}

describe("Doubts", () => {
  it("puts a blob that the disk cannot read, twice, into quarantine, and keeps the file", async () => {
    const digest = parseDigest(await pushBlob(place(), "on a bad block"));
    const { doubts } = await openDoubts();

    doubts.suspect({ digest, size: 14 });
    await doubts.close();

    expect(events).toEqual([{ kind: "damaged", of: "blob", digest, reason: "unreadable" }]);
    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 404, code: "BLOB_UNKNOWN" });
    expect(asideOf(digest)).toHaveLength(1);
    await pushBlob(place(), "on a bad block");
    expect((await get(`blobs/${digest}`)).status).toBe(200);
  });

  it("leaves one alone that can be read the second time", async () => {
    const digest = parseDigest(await pushBlob(place(), "on a bad cable"));
    const { doubts } = await openDoubts(1);

    await doubts.settle({ digest, size: 14 }, true);

    expect([events, (await get(`blobs/${digest}`)).status]).toEqual([[], 200]);
  });

  it("looks once, however many pulls meet it at the same time, and not at all after the end", async () => {
    const [first, second] = [await pushBlob(place(), "met by many"), await pushBlob(place(), "met too late")];
    const { doubts, opened, stop } = await openDoubts();

    const blob = { digest: parseDigest(first), size: 11 };
    await Promise.all(Array.from({ length: 8 }, () => doubts.settle(blob, true)));
    // Twice each time, before it is believed.
    expect(opened()).toBe(2);
    stop();
    doubts.suspect({ digest: parseDigest(second), size: 12 });
    await doubts.close();

    expect(events).toEqual([{ kind: "damaged", of: "blob", digest: first, reason: "unreadable" }]);
    await pushBlob(place(), "met by many");
  });
});
