import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OCI_MANIFEST, pushBlob, putManifest } from "../testing/images.ts";
import { type Lab, openLab, pushImage, pushIndex } from "./testing/lab.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
  for (const user of ["dora", "quin", "olga"]) await lab.addUser(user);
  await lab.join("dev", "builders", "dora", { on: "*", level: "admin" });
  await lab.join("qa", "testers", "quin", { on: "*", level: "read-write", extra: ["promote"] });
  await lab.join("dev", "testers", "quin", { on: "*", level: "read-only", extra: ["promote"] });
  await lab.join("ops", "writers", "olga", { on: "*", level: "read-write" });
});

afterAll(async () => {
  expect(lab.app.errors()).toEqual([]);
  await lab[Symbol.asyncDispose]();
});

const promote = (source: string, destination: string, as = "admin") =>
  lab.rest("POST", "promotions", { as, body: { source, destination } });
const place = (repository: string) => ({ app: lab.app, as: "admin", repository });
const files = async () => (await lab.app.stored()).files;

describe("POST /api/v1/promotions", () => {
  it("brings an index with its platforms, blobs and referrers, and no byte into the blob store", async () => {
    const { digest, size, children } = await pushIndex(place("dev/app"), "1.0", ["amd64", "arm64"]);
    const subject = { mediaType: "application/vnd.oci.image.index.v1+json", digest, size };
    const sbom = await pushImage(place("dev/app"), "sbom", "sbom", { subject, artifactType: "application/spdx+json" });
    const sig = await pushImage(place("dev/app"), `${children[0]?.replace(":", "-")}.sig`, "signature");
    const sbomOfSig = await pushImage(place("dev/app"), "x", "of the signature", {
      subject: { mediaType: OCI_MANIFEST, digest: sig, size: 1 },
    });
    await lab.must(201, "PUT", "orgs/qa/repositories/app", { body: { visibility: "private" } });
    const before = await files();

    const { status, body } = await promote("dev/app:1.0", "qa/app:1.0-rc");

    expect([status, body.state]).toEqual([201, "done"]);
    expect(await files()).toBe(before);
    for (const one of [digest, ...children, sbom, sig, sbomOfSig]) expect(await lab.tagDigest("qa/app", one)).toBe(one);
    expect(await lab.tagDigest("qa/app", "1.0-rc")).toBe(digest);
    expect(await lab.tagDigest("qa/app", `${children[0]?.replace(":", "-")}.sig`)).toBe(sig);
    expect(await lab.tagDigest("qa/app", "sbom")).toBeUndefined();
    const manifest = await lab.app.ask("GET", `/v2/qa/app/manifests/${children[1]}`, { as: "admin" });
    for (const { digest: blob } of JSON.parse(manifest.body.toString()).layers)
      expect((await lab.app.ask("GET", `/v2/qa/app/blobs/${blob}`, { as: "admin" })).status).toBe(200);
  });

  it("attaches what was done, signed by the organization's own key", async () => {
    const digest = await lab.push("dev/signed", "2", "to be attested");

    const { body } = await promote("dev/signed:2", "qa/signed");

    const { body: list } = await lab.app.ask("GET", `/v2/qa/signed/referrers/${digest}`, { as: "admin" });
    const [referrer] = JSON.parse(list.toString()).manifests;
    expect(referrer).toMatchObject({ artifactType: "application/vnd.in-toto+json" });
    const statement = body.statement as { manifest: string; envelope: string };
    expect(referrer.digest).toBe(statement.manifest);
    const envelope = JSON.parse(Buffer.from(statement.envelope, "base64").toString());
    expect(envelope.payloadType).toBe("application/vnd.in-toto+json");
    expect(JSON.parse(Buffer.from(envelope.payload, "base64").toString())).toMatchObject({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "registry.test/qa/signed:2", digest: { sha256: digest.slice(7) } }],
      predicate: {
        source: { repository: "registry.test/dev/signed", tag: "2", digest },
        destination: { repository: "registry.test/qa/signed", tag: "2" },
        askedBy: "admin",
      },
    });
    const { signers } = await lab.must(200, "GET", "orgs/qa/signers");
    const promoter = (signers as { role: string; keyId: string }[]).find(({ role }) => role.endsWith("promote"));
    expect(envelope.signatures[0].keyid).toBe(promoter?.keyId);
  });

  it.each([
    ["the rights on both sides", "quin", "dev/rights:1", "qa/rights:1", 201, "done"],
    ["not the right to promote at the source", "olga", "dev/rights:1", "ops/rights:1", 404, "not-found"],
    ["no right at the destination", "quin", "dev/rights:1", "ops/rights:1", 403, "forbidden"],
    ["no right at what is not even there", "quin", "dev/rights:1", "ops/nothing:1", 403, "forbidden"],
    ["a tag that is not there", "admin", "dev/rights:none", "qa/rights:1", 404, "not-found"],
    ["a destination in no namespace", "admin", "dev/rights:1", "nowhere/rights:1", 403, "forbidden"],
    ["something that is no image", "admin", "dev/rights", "qa/rights:1", 400, "invalid-request"],
    ["something that is no repository", "admin", "dev/rights:1", "QA:1", 400, "invalid-request"],
  ])("with %s", async (_what, as, source, destination, status, code) => {
    await lab.push("dev/rights", "1", "rights");
    await lab.push("ops/rights", "0", "ops");
    await lab.push("qa/rights", "0", "qa");

    const answer = await promote(source, destination, as);

    expect([answer.status, answer.body.code ?? answer.body.state]).toEqual([status, code]);
  });

  it("asks for push at the destination too", async () => {
    await lab.push("dev/rights", "1", "rights");
    await lab.addUser("pam");
    await lab.join("dev", "testers", "pam");
    await lab.join("qa", "promoters", "pam", { on: "*", level: "read-only", extra: ["promote"] });

    expect((await promote("dev/rights:1", "qa/rights:2", "pam")).body.code).toBe("forbidden");
  });

  it("by digest and tag is refused once the tag is something else", async () => {
    const first = await lab.push("dev/moved", "1", "first");
    await lab.push("dev/moved", "1", "second");

    expect(await promote(`dev/moved:1@${first}`, "qa/moved:1")).toMatchObject({
      status: 409,
      body: { code: "source-moved" },
    });
    expect(await promote(`dev/moved@${first}`, "qa/moved:1")).toMatchObject({ status: 201, body: { digest: first } });
  });

  it("is on record in both organizations, with the change or not at all", async () => {
    await lab.push("dev/record", "1", "record");
    await promote("dev/record:1", "qa/record:1");

    const text =
      "select target from audit_log where action = 'promotion-ask' and outcome = 'done' and target like '%/record'";
    const rows = await lab.app.database.query<{ target: string }>("", text);
    expect(rows.map(({ target }) => target).sort()).toEqual(["dev/record", "qa/record"]);
  });

  it("refuses what is damaged", async () => {
    const digest = await lab.push("dev/damaged", "1", "damaged");
    await lab.app.database.query("", "update manifests set content = '\\x00' where digest = $1", [digest]);

    expect((await promote("dev/damaged:1", "qa/damaged:1")).body.detail).toContain("is damaged");
  });

  it("looks at bytes that may be gone before it clears their mark", async () => {
    await lab.push("dev/faded", "1", "faded");
    await lab.app.database.query("", "update blobs set unreferenced_at = now()");

    expect((await promote("dev/faded:1", "qa/faded:1")).status).toBe(201);
    const manifest = await lab.app.ask("GET", "/v2/qa/faded/manifests/1", { as: "admin" });
    const [{ digest }] = JSON.parse(manifest.body.toString()).layers;
    const marks = await lab.app.database.query("", "select unreferenced_at from blobs where digest = $1", [digest]);
    expect(marks).toEqual([{ unreferenced_at: null }]);
    await lab.app.database.query("", "update blobs set unreferenced_at = null");
  });

  it("is refused where bytes that a collection may have taken are gone", async () => {
    await lab.push("dev/taken", "1", "taken");
    const manifest = await lab.app.ask("GET", "/v2/dev/taken/manifests/1", { as: "admin" });
    const [{ digest }] = JSON.parse(manifest.body.toString()).layers;
    await lab.app.database.query("", "update blobs set unreferenced_at = now() where digest = $1", [digest]);
    const file = readdirSync(lab.app.blobsFolder, { recursive: true, encoding: "utf8" }).find((name) =>
      name.endsWith(digest.slice("sha256:".length)),
    );
    rmSync(join(lab.app.blobsFolder, file ?? ""));

    const { status, body } = await promote("dev/taken:1", "qa/taken:1");

    expect([status, body.code]).toEqual([409, "refused"]);
    expect((await lab.app.ask("GET", "/v2/qa/taken/tags/list", { as: "admin" })).status).toBe(404);
  });

  it("keeps signatures that only the destination has", async () => {
    const digest = await lab.push("dev/cosign", "1", "cosign");
    const tag = `${digest.replace(":", "-")}.sig`;
    await pushImage(place("dev/cosign"), tag, "by dev");
    await lab.push("qa/cosign", "0", "qa");
    const own = await pushImage(place("qa/cosign"), tag, "by qa");

    await promote("dev/cosign:1", "qa/cosign:1");

    expect(await lab.tagDigest("qa/cosign", tag)).toBe(own);
  });
});

describe("GET /api/v1/promotions", () => {
  it("shows each side to those who may see it", async () => {
    await lab.push("dev/seen", "1", "seen");
    const { body } = await promote("dev/seen:1", "qa/seen:1");
    await lab.join("dev", "readers", "bob", { on: "seen", level: "read-only" });

    const ofBob = await lab.must(200, "GET", `promotions/${body.id}`, { as: "bob" });
    expect(ofBob).toMatchObject({
      source: { repository: "dev/seen" },
      destination: { repository: null },
      statement: null,
    });
    expect((await lab.rest("GET", `promotions/${body.id}`, { as: "alice" })).status).toBe(404);
    const list = await lab.must(200, "GET", "promotions?destination=qa/seen", { as: "bob" });
    expect(list.promotions).toEqual([]);
    const mine = await lab.must(200, "GET", "promotions?source=dev/seen", { as: "bob" });
    expect((mine.promotions as object[]).length).toBe(1);
  });

  it("goes on where a page ended", async () => {
    await lab.push("dev/pages", "1", "pages");
    for (const tag of ["a", "b", "c"]) await promote("dev/pages:1", `qa/pages:${tag}`);

    const first = await lab.must(200, "GET", "promotions?limit=2&source=dev/pages");
    const second = await lab.must(200, "GET", String(first.next).replace("/api/v1/", ""));
    const tags = [first, second].flatMap(({ promotions }) =>
      (promotions as { destination: { tag: string } }[]).map(({ destination }) => destination.tag),
    );
    expect(tags).toEqual(["c", "b", "a"]);
    expect(second.next).toBeUndefined();
  });
});

describe("an immutable tag", () => {
  const fix = (patterns: string[]) =>
    lab.must(200, "PUT", "orgs/ops/repositories/fixed/immutable-tags", { body: { patterns } });
  const put = (tag: string, config: string) => {
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: "text/plain", digest: config, size: 1 },
      layers: [],
    };
    return putManifest(place("ops/fixed"), tag, manifest);
  };

  it("is moved by no push, deletion or promotion until somebody frees it", async () => {
    const [one, two] = [await pushBlob(place("ops/fixed"), "1"), await pushBlob(place("ops/fixed"), "2")];
    await put("gold_1", one);
    await put("goldx1", one);
    await fix(["gold_*"]);
    const digest = await lab.tagDigest("ops/fixed", "gold_1");

    expect((await put("gold_1", two)).code).toBe("DENIED");
    expect((await put("gold_1", one)).status).toBe(201);
    expect((await put("goldx1", two)).status).toBe(201);
    for (const reference of ["gold_1", digest]) {
      const answer = await lab.app.ask("DELETE", `/v2/ops/fixed/manifests/${reference}`, { as: "admin" });
      expect([answer.status, answer.code]).toEqual([403, "DENIED"]);
    }
    await lab.push("dev/fixed", "1", "fixed");
    expect((await promote("dev/fixed:1", "ops/fixed:gold_1")).body.code).toBe("immutable-tag");
    expect(await lab.tagDigest("ops/fixed", "gold_1")).toBe(digest);

    await fix([]);
    expect((await promote("dev/fixed:1", "ops/fixed:gold_1")).body.state).toBe("done");
  });

  it("leaves signatures of cosign alone, not the tags of clients without the referrers API", async () => {
    const [one, two] = [await pushBlob(place("ops/fixed"), "1"), await pushBlob(place("ops/fixed"), "2")];
    await fix(["*"]);
    const hex = "a".repeat(64);
    for (const tag of [`sha256-${hex}.sig`, `sha256-${hex}`]) await put(tag, one);

    expect((await put(`sha256-${hex}.sig`, two)).status).toBe(201);
    expect((await put(`sha256-${hex}`, two)).code).toBe("DENIED");
  });
});
