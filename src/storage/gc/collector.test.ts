import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../oci/digest.ts";
import { parseRepositoryName } from "../../oci/repository-name.ts";
import {
  describe as describeContent,
  digestOf,
  OCI_INDEX,
  pushBlob,
  pushParts,
  putManifest,
} from "../../testing/images.ts";
import { pin, unpin } from "../pins.ts";
import { ALL_GONE, ALL_THERE, DAY, useCollector } from "./test-collector.ts";

const { collect, newPlace, pushImage, statusOf, untag, fileOf, statusesOf, child, app } = useCollector();

describe("a collection", () => {
  it("deletes an image that nothing names, with its bytes, and leaves the one beside it", async () => {
    const place = newPlace();
    const [kept, gone] = [await pushImage(place, "kept"), await pushImage(place, "gone")];
    await untag(place, "gone");

    const run = await collect();

    expect([run.outcome, run.skipped]).toEqual(["done", 0]);
    expect(run.items).toEqual(
      [
        `manifest ${place.repository} ${gone.digest} ${JSON.stringify(gone.image.manifest).length}`,
        ...[gone.image.config, gone.image.layer].flatMap(({ digest, size }) => [
          `link ${place.repository} ${digest} ${size}`,
          `blob  ${digest} ${size}`,
        ]),
      ].sort(),
    );
    expect(await statusesOf(place, gone)).toEqual(ALL_GONE);
    expect(await statusesOf(place, kept)).toEqual(ALL_THERE);
    expect([gone.image.config, kept.image.config].map(({ digest }) => existsSync(fileOf(digest)))).toEqual([
      false,
      true,
    ]);
    expect(readdirSync(join(app().blobsFolder, "uploads"))).toEqual([]);
  });

  it("lists in a dry run what the real one then deletes, and changes nothing (G7)", async () => {
    const place = newPlace();
    const gone = await pushImage(place, "gone");
    await pushImage(place, "kept");
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child(gone)] };
    expect((await putManifest(place, "list", index, { contentType: OCI_INDEX })).status).toBe(201);
    for (const tag of ["gone", "list"]) await untag(place, tag);
    await pushBlob(place, "nobody's");
    const before = await app().stored();
    await collect({ graceSeconds: DAY, untaggedSeconds: DAY });
    for (const grace of [DAY, 0]) {
      const dry = await collect({ graceSeconds: grace, untaggedSeconds: grace }, { dryRun: true });
      expect(await app().stored()).toEqual(before);
      const real = await collect({ graceSeconds: grace, untaggedSeconds: grace });

      expect(dry.items).toEqual(real.items);
      expect([dry.deleted, dry.freedBytes]).toEqual([real.deleted, real.freedBytes]);
      expect(real.items).toHaveLength(grace === 0 ? 8 : 0);
    }
  });

  it("keeps what tags, indexes, subjects and pins lead to, however far (G4)", async () => {
    const place = newPlace();
    const inner = await pushImage(place, "inner");
    const subject = await pushImage(place, "subject");
    const pinned = await pushImage(place, "pinned");
    const signature = await pushImage(place, "signature", { subject: child(inner) });
    const ofSignature = await pushImage(place, "countersigned", { subject: child(signature) });
    const nested = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child(inner)] });
    await putManifest(place, "nested", nested, { contentType: OCI_INDEX });
    const outer = {
      ...{ schemaVersion: 2, mediaType: OCI_INDEX, subject: child(subject) },
      manifests: [{ ...describeContent(nested, OCI_INDEX) }],
    };
    await putManifest(place, "outer", outer, { contentType: OCI_INDEX });
    const [repository, digest] = [parseRepositoryName(place.repository), parseDigest(pinned.digest)];
    const held = { repository, digest, kind: "deployment", owner: "production/web" };
    expect(await pin(app().database, held)).toBe(true);
    expect(await pin(app().database, { ...held, digest: parseDigest(digestOf("missing")) })).toBe(false);
    for (const tag of ["inner", "pinned", "signature", "countersigned", "nested", "outer"]) await untag(place, tag);

    await collect();
    for (const image of [inner, subject, pinned, signature, ofSignature])
      expect(await statusesOf(place, image)).toEqual(ALL_THERE);

    await untag(place, "subject");
    await unpin(app().database, held);
    await collect();
    for (const image of [inner, subject, pinned, signature, ofSignature])
      expect(await statusesOf(place, image)).toEqual(ALL_GONE);
  });

  it("takes a deleted image at once, and the same push brings it back (D10)", async () => {
    const place = newPlace();
    const image = await pushImage(place, "t");
    expect(await statusOf(place, `manifests/${image.digest}`, "DELETE")).toBe(202);
    await collect();

    const { layer, manifest } = image.image;
    expect(await statusOf(place, `blobs/${layer.digest}`, "HEAD")).toBe(404);
    const refused = await putManifest(place, "t", JSON.stringify(manifest));
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
    await pushParts(place, `${place.repository} t`);
    expect((await putManifest(place, "t", JSON.stringify(manifest))).status).toBe(201);
    expect(await statusesOf(place, image)).toEqual(ALL_THERE);
  });

  it("deletes a chain of indexes in one run, however many manifests it takes at once", async () => {
    const place = newPlace();
    const image = await pushImage(place, "image");
    let last = child(image);
    for (let i = 0; i < 4; i++) {
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [last], annotations: { i: String(i) } };
      expect((await putManifest(place, `index-${i}`, index, { contentType: OCI_INDEX })).status).toBe(201);
      last = describeContent(JSON.stringify(index), OCI_INDEX);
    }
    for (const tag of ["image", "index-0", "index-1", "index-2", "index-3"]) await untag(place, tag);

    const run = await collect({ manifestsAtOnce: 1 });

    expect(run.items.filter((item) => item.startsWith("manifest"))).toHaveLength(5);
    expect([run.deleted, run.skipped]).toEqual([9, 0]);
  });
});
