import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "../testing/http-client.ts";
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  digestOf,
  type Image,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  putManifest,
} from "../testing/images.ts";
import type { TestApp } from "../testing/open-test-app.ts";
import { closeWithoutErrors, expectRefused, openWithImage } from "./test-registry.ts";

let app: TestApp;
let place: Place;
let image: Image;
beforeAll(async () => {
  ({ app, place, image } = await openWithImage("alice/admission"));
});
afterAll(() => closeWithoutErrors(app));

const refused = (attempt: () => Promise<Answer>, status: number, code: string) =>
  expectRefused({ app, place, image }, attempt, status, code);

const ALL_TYPES = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

describe("end-7 PUT of one document that could be two things", () => {
  const without = (name: string) => Object.fromEntries(Object.entries(image.manifest).filter(([key]) => key !== name));

  it.each(ALL_TYPES.flatMap((type) => [[type, type] as const, [type, undefined] as const]))(
    "answers 400 for config, layers and manifests together as %s with mediaType %s",
    async (contentType, mediaType) => {
      const both = { ...without("mediaType"), ...(mediaType && { mediaType }), manifests: [] };

      await refused(() => putManifest(place, "both", both, { contentType }), 400, "MANIFEST_INVALID");
    },
  );

  it.each([
    [OCI_MANIFEST, "manifests", []],
    [OCI_MANIFEST, "manifests", null],
    [OCI_MANIFEST, "fsLayers", []],
    [DOCKER_MANIFEST, "manifests", []],
    [OCI_INDEX, "layers", []],
    [OCI_INDEX, "config", {}],
    [OCI_INDEX, "fsLayers", []],
    [DOCKER_LIST, "layers", null],
    [DOCKER_LIST, "config", null],
  ])("answers 400 for %s with a key %s of the other kind", async (contentType, key, value) => {
    const own = [OCI_INDEX, DOCKER_LIST].includes(contentType)
      ? { schemaVersion: 2, manifests: [] }
      : { schemaVersion: 2, config: image.config, layers: [] };
    const document = { ...own, mediaType: contentType, [key]: value };

    await refused(() => putManifest(place, "both", document, { contentType }), 400, "MANIFEST_INVALID");
  });

  it.each(ALL_TYPES.flatMap((sent) => ALL_TYPES.filter((own) => own !== sent).map((own) => [sent, own] as const)))(
    "answers 400 when it is sent as %s and says %s",
    async (contentType, mediaType) => {
      const document = { ...image.manifest, mediaType };

      await refused(() => putManifest(place, "mixed", document, { contentType }), 400, "MANIFEST_INVALID");
    },
  );

  it.each([
    "application/json",
    "text/html",
    "application/vnd.oci.image.config.v1+json",
    `${OCI_MANIFEST}x`,
    OCI_MANIFEST.toUpperCase(),
    "*/*",
    "application/vnd.oci.artifact.manifest.v1+json",
  ])("answers 400 for Content-Type %s", async (contentType) => {
    await refused(() => putManifest(place, "x", image.manifest, { contentType }), 400, "MANIFEST_INVALID");
  });

  it("serves an index as an index, whatever Accept asks for", async () => {
    const index = { schemaVersion: 2, manifests: [] };
    expect((await putManifest(place, "index", index, { contentType: OCI_INDEX })).status).toBe(201);

    for (const accept of [OCI_MANIFEST, "application/json", "text/html", "", "*/*"]) {
      const path = `/v2/alice/admission/manifests/${digestOf(JSON.stringify(index))}`;
      const answer = await app.ask("GET", path, { as: "alice", headers: { accept } });

      expect([answer.status, answer.headers["content-type"]]).toEqual([200, OCI_INDEX]);
    }
  });

  it("takes parameters after the media type, and a manifest that says its type where Content-Type is absent", async () => {
    const withParameter = await putManifest(place, "p", image.manifest, {
      contentType: `${OCI_MANIFEST}; charset=utf-8`,
    });
    const body = JSON.stringify(image.manifest);
    const silent = await app.ask("PUT", "/v2/alice/admission/manifests/s", { as: "alice", body });

    expect([withParameter.status, silent.status]).toEqual([201, 201]);
  });

  it("answers 400 for schema 1 and says why", async () => {
    const schema1 = { schemaVersion: 1, name: "alice/admission", tag: "x", fsLayers: [], history: [], signatures: [] };
    for (const contentType of [
      "application/vnd.docker.distribution.manifest.v1+json",
      "application/vnd.docker.distribution.manifest.v1+prettyjws",
      DOCKER_MANIFEST,
    ]) {
      const put = () => putManifest(place, "one", schema1, { contentType });
      const answer = await refused(put, 400, "MANIFEST_INVALID");

      expect(answer.body.toString()).toContain("schema 1 is not supported");
    }
  });

  it.each([undefined, null, "2", 2.5, 0, 3, [2]])("answers 400 for schemaVersion %j", async (schemaVersion) => {
    const put = () => putManifest(place, "x", { ...image.manifest, schemaVersion });

    await refused(put, 400, "MANIFEST_INVALID");
  });
});

describe("end-7 PUT of a descriptor that is not right", () => {
  const put = (place_: Place, text: string) => putManifest(place_, "d", text);
  const withField = (where: "config" | "layer", json: string) => {
    const { config, layer } = image;
    const change = (descriptor: object, name: string) =>
      where === name ? `${JSON.stringify(descriptor).slice(0, -1)},${json}}` : JSON.stringify(descriptor);
    const [c, l] = [change(config, "config"), change(layer, "layer")];
    return `{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}","config":${c},"layers":[${l}]}`;
  };
  const replaced = (where: "config" | "layer", field: string, json: string) => {
    const { [field]: _, ...rest } = { ...image[where] } as Record<string, unknown>;
    const text = `${JSON.stringify(rest).slice(0, -1)},"${field}":${json}}`;
    const [c, l] = where === "config" ? [text, JSON.stringify(image.layer)] : [JSON.stringify(image.config), text];
    return `{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}","config":${c},"layers":[${l}]}`;
  };

  it.each(
    (["config", "layer"] as const).flatMap((where) =>
      [
        ["-1", "MANIFEST_INVALID"],
        ["1.5", "MANIFEST_INVALID"],
        ['"5"', "MANIFEST_INVALID"],
        ["9007199254740993", "MANIFEST_INVALID"],
        ["1e400", "MANIFEST_INVALID"],
        ["-0", "MANIFEST_INVALID"],
        ["1e1", "MANIFEST_INVALID"],
        ["null", "MANIFEST_INVALID"],
        ["[5]", "MANIFEST_INVALID"],
        ["0", "SIZE_INVALID"],
        ["9007199254740991", "SIZE_INVALID"],
      ].map(([size = "", code = ""]) => [where, size, code] as const),
    ),
  )("answers 400 for a %s of size %s: %s", async (where, size, code) => {
    await refused(() => put(place, replaced(where, "size", size)), 400, code);
  });

  it.each(
    [
      `"sha256:${"A".repeat(64)}"`,
      `"sha256:${"a".repeat(63)}"`,
      `"sha256:${"a".repeat(65)}"`,
      '"sha256:../../x"',
      `"sha256:../${"a".repeat(61)}"`,
      `"md5:${"a".repeat(32)}"`,
      `"sha256:${"a".repeat(64)}\\n"`,
      `"sha256:${"a".repeat(64)}\\u0000"`,
      `"sha512:${"a".repeat(64)}"`,
      `"SHA256:${"a".repeat(64)}"`,
      '""',
      "null",
      "5",
      '["sha256"]',
      "{}",
    ].flatMap((digest) => (["config", "layer"] as const).map((where) => [where, digest] as const)),
  )("answers 400 DIGEST_INVALID for a %s with digest %s", async (where, digest) => {
    await refused(() => put(place, replaced(where, "digest", digest)), 400, "DIGEST_INVALID");
  });

  it.each([
    ["a mediaType that is none", () => replaced("layer", "mediaType", '"no type"')],
    ["a mediaType that is a number", () => replaced("config", "mediaType", "7")],
    ["data that is not the content", () => withField("config", '"data":"AAAA"')],
    ["data that is not base64", () => withField("config", '"data":"%%%"')],
    ["annotations of numbers", () => withField("layer", '"annotations":{"a":1}')],
    ["annotations that are a list", () => withField("layer", '"annotations":["a"]')],
    ["urls that are text", () => withField("layer", '"urls":"http://127.0.0.1/"')],
    ["a platform that is a list", () => withField("config", '"platform":[]')],
  ])("answers 400 for %s", async (_what, text) => {
    await refused(() => put(place, text()), 400, "MANIFEST_INVALID");
  });

  it.each(["{}", "[]", "null", "[null]", "[[]]", '["sha256:abc"]', '"layers"', "5"])(
    "answers 400 for layers %s where they are no list of descriptors, 201 where they are empty",
    async (layers) => {
      const text = `{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}","config":${JSON.stringify(image.config)},"layers":${layers}}`;
      if (layers === "[]" || layers === "null") expect((await put(place, text)).status).toBe(201);
      else await refused(() => put(place, text), 400, "MANIFEST_INVALID");
    },
  );
});
