import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { OciError } from "./error.ts";
import { parseManifest } from "./manifest.ts";
import { DOCKER_MANIFEST, isNonDistributable, OCI_INDEX, OCI_MANIFEST } from "./media-types.ts";

const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf("c"), size: 1 };
const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf("l"), size: 1 };
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const refusalOf = (value: unknown, type?: string): string => {
  try {
    parseManifest(bytes(value), type);
    return "none";
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return error.code;
  }
};

describe("parseManifest", () => {
  it("reads an image: config first, then layers in order, and the type that referrers show", () => {
    const manifest = parseManifest(bytes(image), OCI_MANIFEST);

    expect(manifest).toMatchObject({ mediaType: OCI_MANIFEST, blobs: [config, layer], children: [] });
    expect([manifest.artifactType, manifest.subject, manifest.annotations]).toEqual([
      config.mediaType,
      undefined,
      undefined,
    ]);
  });

  it("reads an index with its children, subject, artifactType and annotations", () => {
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf("s", "sha512"), size: 1 };
    const index = { schemaVersion: 2, manifests: [subject], subject, artifactType: "a/b", annotations: { k: "v" } };

    const manifest = parseManifest(bytes(index), OCI_INDEX);

    expect(manifest).toMatchObject({
      mediaType: OCI_INDEX,
      blobs: [],
      children: [subject],
      subject,
      artifactType: "a/b",
    });
    expect({ ...manifest.annotations }).toEqual({ k: "v" });
  });

  it("needs mediaType inside docker's documents, and takes OCI's without", () => {
    const { mediaType: _, ...silent } = image;

    expect([refusalOf(silent, OCI_MANIFEST), refusalOf(silent, DOCKER_MANIFEST)]).toEqual(["none", "MANIFEST_INVALID"]);
    expect([refusalOf(image), refusalOf(silent), refusalOf(image, DOCKER_MANIFEST)]).toEqual([
      "none",
      "MANIFEST_INVALID",
      "MANIFEST_INVALID",
    ]);
  });

  it("throws nothing but OciError for any JSON at all, and for any value at any place", () => {
    const places = [
      "schemaVersion",
      "mediaType",
      "config",
      "layers",
      "subject",
      "annotations",
      "artifactType",
      "manifests",
    ];
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom(...places),
        fc.constantFrom(OCI_MANIFEST, OCI_INDEX, undefined),
        (value, place, type) => {
          refusalOf(value, type);
          refusalOf({ ...image, [place]: value }, type);
          refusalOf({ ...image, layers: [{ ...layer, [place]: value }] }, type);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("never reads a document as an image and as an index both", () => {
    const keys = fc.subarray(["config", "layers", "manifests", "fsLayers", "subject", "annotations"]);
    const parts: Record<string, unknown> = {
      config,
      layers: [layer],
      manifests: [],
      fsLayers: [],
      subject: layer,
      annotations: {},
    };
    fc.assert(
      fc.property(keys, (chosen) => {
        const document = { schemaVersion: 2, ...Object.fromEntries(chosen.map((key) => [key, parts[key]])) };

        const taken = [OCI_MANIFEST, OCI_INDEX].filter((type) => refusalOf(document, type) === "none");

        expect(taken.length).toBeLessThan(2);
      }),
    );
  });

  it("checks embedded data against digest and size", () => {
    const data = (text: string, change: object = {}) => {
      const good = { ...config, digest: digestOf(text), size: text.length, data: Buffer.from(text).toString("base64") };
      return refusalOf({ ...image, config: { ...good, ...change } }, OCI_MANIFEST);
    };

    expect([data(""), data("{}"), data("hello", { digest: digestOf("hello", "sha512") })]).toEqual([
      "none",
      "none",
      "none",
    ]);
    expect([
      data("{}", { size: 3 }),
      data("{}", { data: "e30" }),
      data("{}", { data: "e31=" }),
      data("{}", { digest: digestOf("x") }),
    ]).toEqual(Array.from({ length: 4 }, () => "MANIFEST_INVALID"));
  });

  it("says which descriptor is wrong", () => {
    const text = { ...image, layers: [layer, { ...layer, size: "1" }] };

    expect(() => parseManifest(bytes(text), OCI_MANIFEST)).toThrow("layers[1].size must be a whole number of bytes");
  });
});

describe("isNonDistributable", () => {
  it("knows the layers that a registry need not hold", () => {
    const types = [
      "application/vnd.oci.image.layer.nondistributable.v1.tar",
      "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
      "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ];

    expect(types.every(isNonDistributable)).toBe(true);
    expect([layer.mediaType, `x${types[0]}`, ""].some(isNonDistributable)).toBe(false);
  });
});
