import { readFileSync, writeFileSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../cli/main.ts";
import { type Place, pushBlob } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp({ GOLDSEAL_GC_EVERY_MINUTES: "off" });
  place = { app, as: "alice", repository: "alice/fsck" };
});
afterAll(async () => {
  expect(new Set(app.errors().map(({ event }) => event))).toEqual(new Set(["bitrot.found"]));
  await app[Symbol.asyncDispose]();
});

const start = (body: object, as = "admin") => app.ask("POST", "/api/v1/fsck", { as, body: JSON.stringify(body) });
const read = async (path: string) => JSON.parse((await app.ask("GET", path, { as: "admin" })).body.toString());

async function goldseal(line: string, isTTY = false) {
  const io = {
    stdin: Object.assign(new PassThrough(), { isTTY: false }),
    stdout: new PassThrough(),
    stderr: Object.assign(new PassThrough(), { isTTY }),
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
const fileOf = (digest: string): string =>
  join(app.blobsFolder, "blobs", "sha256", digest.slice(7, 9), digest.slice(7));
function flip(digest: string): void {
  const bytes = readFileSync(fileOf(digest));
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
  writeFileSync(fileOf(digest), bytes);
}
async function ended(id: unknown): Promise<Record<string, unknown>> {
  for (;;) {
    const run = await read(`/api/v1/fsck/${id}`);
    if (run.state !== "running") return run;
  }
}

describe("POST /api/v1/fsck", () => {
  it.each([
    { sample: "0%x" },
    { sample: "101%" },
    { sample: "0" },
    { sample: "-1" },
    { sample: "1%", all: true },
    { force: true },
    { all: "yes" },
  ])("refuses %j", async (body) => {
    expect((await start(body)).status).toBe(400);
  });

  it("is for system administrators, and is on record", async () => {
    expect((await start({}, "alice")).status).toBe(403);
    const answer = await start({ sample: "0.5%", repair: true });

    expect(answer.status).toBe(202);
    const { id, ...run } = JSON.parse(answer.body.toString());
    expect(run).toMatchObject({ mode: "sample", sample: "0.5%", repair: true, acceptLoss: false });
    expect(answer.headers.location).toBe(`/api/v1/fsck/${id}`);
    expect(await ended(id)).toMatchObject({ state: "done", stage: "over", findings: 0, skipped: 0 });
    const { entries } = await read("/api/v1/audit?action=fsck-start");
    expect(entries.map((entry: { actor: string; outcome: string }) => [entry.actor, entry.outcome])).toEqual([
      ["admin", "done"],
      ["alice", "refused"],
    ]);
    expect((await app.ask("GET", "/api/v1/fsck/999", { as: "admin" })).status).toBe(404);
    expect((await app.ask("GET", `/api/v1/fsck/${id}/findings?after=x`, { as: "admin" })).status).toBe(400);
  });

  it("answers the run that is under way where it is the same, and 409 where it is not", async () => {
    await app.database.exclusively("goldseal fsck", async () => {
      await app.database.query(
        "",
        "insert into fsck_runs (mode, repair, accept_loss, stage) values ('all', true, false, 'hashing')",
      );
      const same = await start({ all: true, repair: true });
      const other = await start({ all: true });
      const [{ id } = { id: "" }] = await app.database.query("", "select id from fsck_runs where ended_at is null");

      expect([same.status, JSON.parse(same.body.toString()).id]).toEqual([202, Number(id)]);
      expect([other.status, JSON.parse(other.body.toString()).code]).toEqual([409, "checking"]);
      expect((await goldseal("fsck")).err).toContain("another check is under way");
    });
    expect(JSON.parse((await start({ all: true, repair: true })).body.toString())).toMatchObject({ mode: "all" });
    const { runs } = await read("/api/v1/fsck");
    expect(await ended(runs[0].id)).toMatchObject({ state: "done" });
  });
});

describe("goldseal fsck", () => {
  it("says what it looked at, exits 1 for findings and 0 for none, and repairs only when told", async () => {
    const [rotten, missing] = [await pushBlob(place, "rotten"), await pushBlob(place, "missing")];
    flip(rotten);
    await unlink(fileOf(missing));

    const sizes = await goldseal("fsck");
    const dry = await goldseal("fsck --all --dry-run --json");
    const real = await goldseal("fsck --all --repair");

    expect([sizes.status, dry.status, real.status]).toEqual([1, 1, 1]);
    expect(sizes.out).toMatch(
      new RegExp(`^blob +7 +${missing} +missing +none +nothing *\\S*\n2 blobs looked at, their sizes`),
    );
    expect(sizes.err).toBe("goldseal: 1 findings; with --repair damaged ones are set aside\n");
    const { findings, ...run } = JSON.parse(dry.out);
    expect(run).toMatchObject({ state: "done", repair: false, objects: 2 });
    expect(
      findings.map((finding: Record<string, unknown>) => [finding.name, finding.reason, finding.action]).sort(),
    ).toEqual(
      [
        [missing, "missing", "none"],
        [rotten, "digest", "none"],
      ].sort(),
    );
    expect(real.out).toMatch(new RegExp(`blob +6 +${rotten} +digest +quarantined +sha256:[0-9a-f]{64}`));
    expect(real.err).toContain("heals when it is pushed again");
    const list = await goldseal("quarantine --json");
    const quarantined = list.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(quarantined.map(({ digest, reason, repositories }) => [digest, reason, repositories]).sort()).toEqual(
      [
        [missing, "missing", ["alice/fsck"]],
        [rotten, "digest", ["alice/fsck"]],
      ].sort(),
    );
    expect(quarantined.find(({ digest }) => digest === rotten).aside).toMatch(/^sha256-[0-9a-f]{64}-[0-9a-f]{32}$/);
    const metrics = (await app.ask("GET", "/metrics")).body.toString();
    expect(metrics).toContain('goldseal_bitrot_total{kind="blob",reason="digest"} 1');
    expect(metrics).toContain('goldseal_quarantined{kind="blob"} 2');

    await pushBlob(place, "rotten");
    await pushBlob(place, "missing");
    const healed = await goldseal("fsck --sample 100%");
    expect(healed).toEqual({ status: 0, out: "2 blobs looked at, 13 B hashed; 0 findings\n", err: "" });
    expect((await goldseal("quarantine")).out).toBe("");
  });

  it("pages through the quarantine", async () => {
    const digests: string[] = [];
    for (const content of ["one", "two", "three"]) digests.push(await pushBlob(place, content));
    for (const digest of digests) await unlink(fileOf(digest));
    await goldseal("fsck --repair");

    const first = await read("/api/v1/quarantine?limit=2");
    const second = await read(first.next);

    expect([...first.quarantine, ...second.quarantine].map(({ digest }) => digest)).toEqual(digests.sort());
    for (const content of ["one", "two", "three"]) await pushBlob(place, content);
  });

  it("shows its progress to people alone", async () => {
    const run = await goldseal("fsck --all", true);

    expect(run.status).toBe(0);
    expect(run.err.endsWith("\r\u001b[K")).toBe(true);
  });

  it.each(["fsck --all --sample 1%", "fsck --repair --dry-run", "scrub --rate fast", "scrub --every soon"])(
    "refuses goldseal %s",
    async (line) => {
      expect((await goldseal(line)).status).toBe(2);
    },
  );
});

describe("/api/v1/scrub", () => {
  it("shows and changes how fast the scrub is, on record, and only for whom it was so", async () => {
    const before = await app.ask("GET", "/api/v1/scrub", { as: "admin" });
    expect(JSON.parse(before.body.toString())).toMatchObject({ bytesPerSecond: 4_194_304, everyDays: 7, damaged: 0 });

    const changed = await goldseal("scrub --rate 512KiB --every 30");

    expect(changed).toMatchObject({ status: 0, err: "" });
    expect(changed.out).toMatch(
      /^512.0 KiB\/s, nothing within 30 days again\n0 objects read \(0 B\), 0 of them damaged\n/,
    );
    expect((await goldseal("scrub --rate off")).out).toMatch(/^off\n/);
    const body = JSON.stringify({ bytesPerSecond: 1, everyDays: 1 });
    const stale = await app.ask("PUT", "/api/v1/scrub", {
      ...{ as: "admin", body },
      headers: { "if-match": String(before.headers.etag) },
    });
    expect(stale.status).toBe(412);
    expect((await app.ask("PUT", "/api/v1/scrub", { as: "alice", body })).status).toBe(403);
    const wrong = JSON.stringify({ bytesPerSecond: -1, everyDays: 1 });
    expect((await app.ask("PUT", "/api/v1/scrub", { as: "admin", body: wrong })).status).toBe(400);
    const { entries } = await read("/api/v1/audit?action=scrub-put");
    expect(entries.map((entry: { outcome: string }) => entry.outcome)).toEqual(["refused", "done", "done"]);
    expect(await read("/api/v1/scrub")).toMatchObject({ bytesPerSecond: 0, everyDays: 30 });
  });
});
