import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../cli/main.ts";
import { digestOf, type Place, pushBlob, pushParts, putManifest, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { patchUpload, putUpload } from "./test-registry.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp({
    GOLDSEAL_GC_GRACE_HOURS: "0",
    GOLDSEAL_GC_UNTAGGED_HOURS: "0",
    GOLDSEAL_GC_EVERY_MINUTES: "off",
  });
  place = { app, as: "alice", repository: "alice/garbage" };
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const start = (body: object, as = "admin") => app.ask("POST", "/api/v1/gc", { as, body: JSON.stringify(body) });
async function goldseal(line: string) {
  const io = {
    stdin: Object.assign(new PassThrough(), { isTTY: false }),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
  };
  const [out, err]: [string[], string[]] = [[], []];
  io.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
  io.stderr.on("data", (chunk: Buffer) => err.push(chunk.toString()));
  const env = {
    GOLDSEAL_PUBLIC_URL: `http://127.0.0.1:${app.port}`,
    GOLDSEAL_ADMIN_PASSWORD: "correct horse battery",
    GOLDSEAL_DATA: "/nonexistent",
  };
  const status = await runCli(line.split(" "), env, io);
  await new Promise(setImmediate);
  return { status, out: out.join(""), err: err.join("") };
}
async function ended(id: unknown): Promise<Record<string, unknown>> {
  for (;;) {
    const run = JSON.parse((await app.ask("GET", `/api/v1/gc/${id}`, { as: "admin" })).body.toString());
    if (run.state !== "running") return run;
  }
}

describe("POST /api/v1/gc", () => {
  it("is for system administrators, refuses unknown fields, and is on record", async () => {
    expect((await start({}, "alice")).status).toBe(403);
    expect((await start({ force: true })).status).toBe(400);
    const answer = await start({ dryRun: true });

    expect(answer.status).toBe(202);
    const { id, ...run } = JSON.parse(answer.body.toString());
    expect(run).toMatchObject({ dryRun: true, freedBytes: 0 });
    expect(answer.headers.location).toBe(`/api/v1/gc/${id}`);
    expect(await ended(id)).toMatchObject({ state: "done", stage: "over", deleted: 0, skipped: 0 });
    const audit = await app.ask("GET", "/api/v1/audit?action=gc-start", { as: "admin" });
    const { entries } = JSON.parse(audit.body.toString());
    expect(entries.map((entry: { actor: string; outcome: string }) => [entry.actor, entry.outcome])).toEqual([
      ["admin", "done"],
      ["alice", "refused"],
    ]);
    expect((await app.ask("GET", "/api/v1/gc/999", { as: "admin" })).status).toBe(404);
    expect((await app.ask("GET", `/api/v1/gc/${id}/items?after=x`, { as: "admin" })).status).toBe(400);
  });

  it("answers 409 while a collection is under way", async () => {
    await app.database.exclusively("goldseal garbage collection", async () => {
      const answer = await start({});
      expect([answer.status, JSON.parse(answer.body.toString()).code]).toEqual([409, "collecting"]);
      expect((await goldseal("gc")).err).toContain("under way already");
    });
  });
});

describe("goldseal gc", () => {
  it("lists in a dry run what it then deletes, and counts it in the metrics", async () => {
    const blob = await pushBlob(place, "nobody's");
    const image = await pushParts(place);
    const body = JSON.stringify(image.manifest);
    await putManifest(place, "t", body);
    await app.ask("DELETE", "/v2/alice/garbage/manifests/t", { as: "alice" });

    const dry = await goldseal("gc --dry-run");
    const real = await goldseal("gc --json");

    expect([dry.status, real.status, dry.err, real.err]).toEqual([0, 0, "", ""]);
    const { items, ...run } = JSON.parse(real.out);
    const lines = dry.out.trim().split("\n");
    expect(lines.slice(0, -1).map((line) => line.split(/ +/))).toEqual(
      items.map((item: Record<string, unknown>) =>
        [item.kind, String(item.size), item.digest, item.repository].filter((word) => word !== undefined),
      ),
    );
    expect(items.map(({ digest }: { digest: string }) => digest).sort()).toEqual(
      [digestOf(body), ...[blob, image.config.digest, image.layer.digest].flatMap((one) => [one, one])].sort(),
    );
    const bytes = body.length + 8 + image.config.size + image.layer.size;
    expect(lines.at(-1)).toBe(`7 would be deleted (${bytes} bytes); 0 newly marked`);
    expect(run).toMatchObject({ state: "done", dryRun: false, deleted: 7, freedBytes: bytes, skipped: 0, marked: 7 });
    const metrics = (await app.ask("GET", "/metrics")).body.toString();
    expect(metrics).toContain('goldseal_gc_deleted_total{kind="blob"} 3');
    expect(metrics).toContain(`goldseal_gc_deleted_bytes_total{kind="blob"} ${bytes - body.length}`);
    expect(metrics).toContain("goldseal_gc_marked_total 7");
    expect(metrics).toMatch(/^goldseal_gc_last_run_timestamp_seconds \d{10}/m);
  });

  it("says that it is held on a restored database, and goes on when told", async () => {
    await app.database.query("", "update gc_mark set runs = 0");

    const held = await goldseal("gc");

    expect([held.status, held.err]).toEqual([1, expect.stringContaining("--after-restore")]);
    expect((await goldseal("gc --after-restore")).status).toBe(0);
    expect((await goldseal("gc")).status).toBe(0);
  });
});

describe("an upload whose last answer the client never saw", () => {
  const collect = async () => ended(JSON.parse((await start({})).body.toString()).id);
  const finish = (path: string) => putUpload(app, path, digestOf("its bytes"));
  const begin = async () => {
    const path = await startUpload(place);
    await patchUpload(app, path, "its bytes");
    return path;
  };

  it("ended: blob and upload may both be gone by a collection, which lists the blob, and the push is made anew", async () => {
    const path = await begin();
    await finish(path);
    const { id } = await collect();

    const asked = await app.ask("GET", path, { as: "alice" });
    const blob = await app.ask("GET", `/v2/${place.repository}/blobs/${digestOf("its bytes")}`, { as: "alice" });

    expect([asked.code, blob.code, (await finish(path)).code]).toEqual([
      ...["BLOB_UPLOAD_UNKNOWN", "BLOB_UNKNOWN", "BLOB_UPLOAD_UNKNOWN"],
    ]);
    const { items } = JSON.parse((await app.ask("GET", `/api/v1/gc/${id}/items`, { as: "admin" })).body.toString());
    const listed = items.filter((item: { digest: string }) => item.digest === digestOf("its bytes"));
    expect(listed.map(({ kind, repository }: Record<string, string>) => [kind, repository])).toEqual([
      ["link", place.repository],
      ["blob", undefined],
    ]);
    expect((await finish(await begin())).status).toBe(201);
  });

  it("did not end: a collection takes none of it, and the same last request ends it", async () => {
    const path = await begin();
    await collect();

    expect((await finish(path)).status).toBe(201);
    const blob = await app.ask("GET", `/v2/${place.repository}/blobs/${digestOf("its bytes")}`, { as: "alice" });
    expect([blob.status, blob.body.toString()]).toEqual([200, "its bytes"]);
  });
});
