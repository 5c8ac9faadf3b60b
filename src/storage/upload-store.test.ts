import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../oci/digest.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { RepositoryStore } from "./repository-store.ts";
import { unconfirmed as confirm, openTestDatabase, type TestDatabase } from "./test-database.ts";
import { type LastBlob, UploadStore } from "./upload-store.ts";

const repository = parseRepositoryName("alice/app");
const digest = digestOf("content");
const firstPush = { repositoryId: undefined, mayCreate: true };
const principal = "user:7";
const unknown = { code: "BLOB_UPLOAD_UNKNOWN" };
let opened: TestDatabase;
/** These tests have rows only. */
const stored = (digest: Digest, size: number): LastBlob => ({
  digest,
  size,
  confirm,
  ensureBytes: async () => undefined,
  replaceBytes: async () => undefined,
});

let uploads: UploadStore;
let repositoryId: number;
beforeAll(async () => {
  opened = await openTestDatabase();
  uploads = new UploadStore(opened.database);
  await opened.database.query("", "insert into namespaces (name, kind) values ('alice', 'org'), ('crowd', 'org')");
  repositoryId = await new RepositoryStore(opened.database).ensure(repository, firstPush, confirm);
});
afterAll(() => opened.close());

const begin = async () =>
  uploads.get({ id: await uploads.create(repositoryId, principal, "sha256"), repository, principal });
const piece = (name: string, size = 5) => ({ name, size, digest });

describe("UploadStore", () => {
  it("gives 1,000 different ids of 128 bits", async () => {
    const ids = await Promise.all(
      Array.from({ length: 1_000 }, () => uploads.create(repositoryId, principal, "sha256")),
    );

    expect(new Set(ids).size).toBe(1_000);
    expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id))).toBe(true);
  });

  it("finds an upload only for its user and its repository", async () => {
    const { id } = await begin();

    await expect(uploads.get({ id, repository, principal: "robot:7" })).rejects.toMatchObject(unknown);
    await expect(uploads.get({ id, repository: parseRepositoryName("alice/other"), principal })).rejects.toMatchObject(
      unknown,
    );
    await expect(uploads.get({ id: randomUUID(), repository, principal })).rejects.toMatchObject(unknown);
    expect(await uploads.get({ id, repository, principal })).toMatchObject({
      id,
      size: 0,
      segments: [],
      digest: undefined,
    });
  });

  it("keeps the digest of a first piece alone: after a second one nobody knows it", async () => {
    const first = await uploads.append(await begin(), piece("a"));
    if (first === undefined) throw new Error("the first piece was not taken");

    const second = await uploads.append(first, piece("b"));

    expect(first).toMatchObject({ size: 5, digest, segments: ["a"] });
    expect(second).toMatchObject({ size: 10, digest: undefined, segments: ["a", "b"] });
  });

  it("lets one of 16 appends win that begin at the same byte", async () => {
    const session = await begin();

    const results = await Promise.all(Array.from({ length: 16 }, (_, i) => uploads.append(session, piece(`p${i}`))));

    const winners = results.filter((result) => result !== undefined);
    expect(winners.length).toBe(1);
    expect(await uploads.get({ id: session.id, repository, principal })).toEqual(winners[0]);
  });

  it("lets one of 8 finishes win, and none beside an append that came first", async () => {
    const session = await begin();
    const ended = await Promise.allSettled(Array.from({ length: 8 }, () => uploads.finish(session, stored(digest, 7))));

    expect(ended.filter(({ status }) => status === "fulfilled").length).toBe(1);
    for (const result of ended) if (result.status === "rejected") expect(result.reason).toMatchObject(unknown);
    const other = await begin();
    await uploads.append(other, piece("a"));
    await expect(uploads.finish(other, stored(digest, 7))).rejects.toMatchObject(unknown);
  });

  it("links the blob in the same transaction that ends the upload", async () => {
    const session = await begin();

    await uploads.finish(session, stored(digestOf("linked"), 6));

    const rows = await opened.database.query(
      "",
      "select b.size::int from repository_blobs r join blobs b on b.digest = r.digest where r.repository_id = $1 and r.digest = $2",
      [repositoryId, digestOf("linked")],
    );
    expect(rows).toEqual([{ size: 6 }]);
    await expect(uploads.get({ id: session.id, repository, principal })).rejects.toMatchObject(unknown);
  });

  it("links one blob whole from 16 pushes at once, making its repository", async () => {
    const name = parseRepositoryName("crowd/first");

    const whole = { repository: name, admission: firstPush, ...stored(digestOf("crowd"), 5) };

    await Promise.all(Array.from({ length: 16 }, () => uploads.linkWhole(whole)));

    const rows = await opened.database.query("", "select 1 from repositories where name = $1", [name]);
    expect(rows.length).toBe(1);
  });

  it("removes once, and sweeps what nobody touched with the names of its pieces", async () => {
    const [gone, old, young] = [await begin(), await begin(), await begin()];
    for (const [session, name] of [
      [old, "old piece"],
      [young, "young piece"],
    ] as const)
      await uploads.append(session, piece(name));
    await opened.database.query(
      "",
      "update upload_sessions set touched_at = now() - interval '25 hours' where id = $1",
      [old.id],
    );

    expect([await uploads.remove(gone.id), await uploads.remove(gone.id)]).toEqual([true, false]);
    expect(await uploads.findSegmentsInUse(["old piece", "young piece", "nobody's"])).toEqual(
      new Set(["old piece", "young piece"]),
    );
    expect(await uploads.removeAbandoned(24)).toEqual(["old piece"]);
    expect(await uploads.findSegmentsInUse(["old piece", "young piece"])).toEqual(new Set(["young piece"]));
  });
});
