import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CONFIG,
  describe as describeContent,
  digestOf,
  type Image,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  putManifest,
} from "../testing/images.ts";
import type { TestApp } from "../testing/open-test-app.ts";
import { closeWithoutErrors, openWithImage } from "./test-registry.ts";

let app: TestApp;
let place: Place;
let image: Image;
beforeAll(async () => {
  ({ app, place, image } = await openWithImage("alice/referrers"));
});
afterAll(() => closeWithoutErrors(app));

const variant = (name: string) => JSON.stringify({ ...image.manifest, annotations: { name } });

describe("end-12 referrers", () => {
  const list = async (digest: string) => {
    const answer = await app.ask("GET", `/v2/alice/referrers/referrers/${digest}`, { as: "alice" });
    expect([answer.status, answer.headers["content-type"]]).toEqual([200, OCI_INDEX]);
    return JSON.parse(answer.body.toString());
  };

  it("lists what an old client pushed with its list under the fallback tag", async () => {
    const subjectBody = variant("subject of an old client");
    await putManifest(place, "subject", subjectBody);
    const subject = describeContent(subjectBody, OCI_MANIFEST);
    const artifact = JSON.stringify({ ...image.manifest, subject, artifactType: "application/vnd.old.sbom" });
    const pushed = await putManifest(place, digestOf(artifact), artifact);
    const entry = { ...describeContent(artifact, OCI_MANIFEST), artifactType: "application/vnd.old.sbom" };
    const fallback = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry] };

    const tagged = await putManifest(place, subject.digest.replace(":", "-"), fallback, { contentType: OCI_INDEX });

    expect([pushed.status, pushed.headers["oci-subject"]]).toEqual([201, subject.digest]);
    expect(tagged.status).toBe(201);
    expect(tagged.headers.warning).toMatch(/^299 - "this registry has the referrers API/);
    expect((await list(subject.digest)).manifests).toEqual([entry]);
    // An old client goes on reading its own list.
    expect(
      (
        await app.ask("GET", `/v2/alice/referrers/manifests/${subject.digest.replace(":", "-")}`, { as: "alice" })
      ).body.toString(),
    ).toBe(JSON.stringify(fallback));
  });

  it("answers an empty index for a digest without referrers, there or not", async () => {
    const empty = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };

    expect([await list(digestOf("nobody refers")), await list(image.config.digest)]).toEqual([empty, empty]);
  });

  it("lists a referrer until it is deleted, and only in its own repository", async () => {
    const subject = { ...describeContent("not here", OCI_MANIFEST) };
    const body = JSON.stringify({ ...image.manifest, subject, annotations: { why: "x" } });
    await putManifest(place, "ref", body);
    const elsewhere = await app.ask("GET", `/v2/alice/else/referrers/${subject.digest}`, { as: "alice" });

    const listed = await list(subject.digest);
    await app.ask("DELETE", `/v2/alice/referrers/manifests/${digestOf(body)}`, { as: "alice" });

    // Without an artifactType an image is shown by the type of its config.
    const expected = { ...describeContent(body, OCI_MANIFEST), artifactType: CONFIG, annotations: { why: "x" } };
    expect(listed.manifests).toEqual([expected]);
    expect((await list(subject.digest)).manifests).toEqual([]);
    expect([200, 404]).toContain(elsewhere.status);
    expect(elsewhere.body.toString()).not.toContain(digestOf(body));
  });

  it.each(["sha256:abc", "latest", `md5:${"0".repeat(32)}`])("answers 400 DIGEST_INVALID for %s", async (digest) => {
    const answer = await app.ask("GET", `/v2/alice/referrers/referrers/${digest}`, { as: "alice" });

    expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
  });
});
