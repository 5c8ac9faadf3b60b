import { once } from "node:events";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Answer } from "../testing/http-client.ts";
import {
  CONFIG,
  DOCKER_LIST,
  describe as describeContent,
  digestOf,
  type Image,
  LAYER,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  pushBlob,
  putManifest,
} from "../testing/images.ts";
import { basic, type TestApp } from "../testing/open-test-app.ts";
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

describe("end-7 PUT of a manifest whose parts are not here", () => {
  const absent = describeContent("never pushed", LAYER);

  it("answers 400 MANIFEST_BLOB_UNKNOWN for an image with a missing config or layer, naming it", async () => {
    for (const change of [{ config: { ...absent, mediaType: CONFIG } }, { layers: [image.layer, absent] }]) {
      const attempt = () => putManifest(place, "sparse", { ...image.manifest, ...change });
      const answer = await refused(attempt, 400, "MANIFEST_BLOB_UNKNOWN");

      expect(JSON.parse(answer.body.toString()).errors[0].detail).toEqual({ digests: [absent.digest] });
    }
  });

  it("answers 400 MANIFEST_BLOB_UNKNOWN for a sparse index: every platform must be here", async () => {
    const body = JSON.stringify({ ...image.manifest, annotations: { platform: "one" } });
    expect((await putManifest(place, "one", body)).status).toBe(201);
    const present = describeContent(body, OCI_MANIFEST);
    const manifests = [present, { ...absent, mediaType: OCI_MANIFEST }];
    for (const contentType of [OCI_INDEX, DOCKER_LIST]) {
      const sparse = { schemaVersion: 2, mediaType: contentType, manifests };

      await refused(() => putManifest(place, "sparse", sparse, { contentType }), 400, "MANIFEST_BLOB_UNKNOWN");
    }
    const whole = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [present] };
    expect((await putManifest(place, "whole", whole, { contentType: OCI_INDEX })).status).toBe(201);
  });

  it("answers the same for a blob of another repository as for one that is nowhere", async () => {
    const elsewhere = { app, as: "bob", repository: "bob/private" };
    await pushBlob(elsewhere, "secret of bob");
    const secret = describeContent("secret of bob", LAYER);
    const naming = (layer: object) => () => putManifest(place, "theft", { ...image.manifest, layers: [layer] });

    const theft = await refused(naming(secret), 400, "MANIFEST_BLOB_UNKNOWN");
    const nothing = await refused(naming({ ...absent, size: secret.size }), 400, "MANIFEST_BLOB_UNKNOWN");

    expect(theft.body.toString().replaceAll(secret.digest, "X")).toBe(
      nothing.body.toString().replaceAll(absent.digest, "X"),
    );
    await pushBlob(place, "secret of bob");
    expect((await naming(secret)()).status).toBe(201);
  });

  it("answers 400 when an index calls a child what it was not pushed as", async () => {
    const body = JSON.stringify({ ...image.manifest, annotations: { child: "of an index" } });
    await putManifest(place, "child", body);
    const manifests = [describeContent(body, OCI_INDEX)];

    const put = () => putManifest(place, "liar", { schemaVersion: 2, manifests }, { contentType: OCI_INDEX });

    await refused(put, 400, "MANIFEST_INVALID");
  });

  it("takes foreign layers that are not here, with a warning, and never fetches them", async () => {
    const listener = (await import("node:net")).createServer();
    let connections = 0;
    listener.on("connection", () => connections++).listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as { port: number };
    for (const mediaType of [
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ]) {
      const foreign = { ...absent, mediaType, urls: [`http://127.0.0.1:${port}/layer`] };

      const answer = await putManifest(place, "windows", { ...image.manifest, layers: [foreign, image.layer] });

      expect(answer.status).toBe(201);
      expect(answer.headers.warning).toMatch(/^299 - "a non-distributable layer/);
    }
    expect(connections).toBe(0);
    listener.close();
  });

  it("takes a subject that is not here", async () => {
    const subject = { ...absent, mediaType: OCI_MANIFEST };

    const answer = await putManifest(place, "early", { ...image.manifest, subject });

    expect([answer.status, answer.headers["oci-subject"]]).toEqual([201, absent.digest]);
  });
});

describe("end-7 PUT of a manifest that is too large", () => {
  const limit = 4 * 1024 * 1024;
  const padded = (bytes: number) => {
    const text = JSON.stringify({ ...image.manifest, padding: "" });
    return `${text.slice(0, -2)}${"x".repeat(bytes - text.length)}"}`;
  };

  it("takes exactly 4 MiB", async () => {
    const answer = await putManifest(place, "large", padded(limit));

    expect(answer.status).toBe(201);
    const back = await app.ask("GET", "/v2/alice/admission/manifests/large", { as: "alice" });
    expect(digestOf(back.body)).toBe(digestOf(padded(limit)));
  });

  it("answers 413 MANIFEST_INVALID for one byte more, with a length and in chunks", async () => {
    const body = padded(limit + 1);
    const chunks = () => Readable.from([Buffer.from(body.slice(0, limit)), Buffer.from(body.slice(limit))]);
    const headers = { "content-type": OCI_MANIFEST };
    const path = "/v2/alice/admission/manifests/larger";

    await refused(() => putManifest(place, "larger", body), 413, "MANIFEST_INVALID");
    await refused(() => app.ask("PUT", path, { as: "alice", headers, body: chunks() }), 413, "MANIFEST_INVALID");
  });

  it("answers before a byte of the body came, from what Content-Length says", async () => {
    const head = `PUT /v2/alice/admission/manifests/huge HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic("alice")}\r\nContent-Type: ${OCI_MANIFEST}\r\n`;
    for (const declared of [String(limit + 1), "9007199254740991"]) {
      const socket = connect({ host: "127.0.0.1", port: app.port });
      socket.write(`${head}Content-Length: ${declared}\r\n\r\n`);

      const [first] = await once(socket, "data");

      expect(String(first)).toMatch(/^HTTP\/1\.1 413 /);
      socket.destroy();
    }
  });

  it("refuses 200 at once", async () => {
    const body = Buffer.alloc(limit + 1, 0x20);
    const chunked = () =>
      Readable.from(Array.from({ length: 65 }, (_, i) => body.subarray(i * 65_536, (i + 1) * 65_536)));
    const headers = { "content-type": OCI_MANIFEST };
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        index % 4 === 0
          ? app.ask("PUT", "/v2/alice/admission/manifests/many", { as: "alice", headers, body: chunked() })
          : putManifest(place, "many", body),
      ),
    );

    expect(new Set(answers.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(["413 MANIFEST_INVALID"]));
    expect((await putManifest(place, "after", image.manifest)).status).toBe(201);
  });
});
