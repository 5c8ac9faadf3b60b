import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { AUTHORITY, multipart, openSigner, Signer } from "./testing/signer.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openTestApp();
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const hex = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const errorOf = (body: Buffer) => JSON.parse(body.toString()).errors;

/** Versions of all that is current. */
async function versions(signer: Signer): Promise<Record<string, number>> {
  const entries = ["root", "targets", "snapshot", "timestamp"].map(async (role) => {
    const { status, body } = await signer.ask("GET", `${role}.json`);
    expect(status).toBe(200);
    return [role, JSON.parse(body.toString()).signed.version];
  });
  return Object.fromEntries(await Promise.all(entries));
}

describe("POST _trust/tuf/", () => {
  it("makes the repository, and serves what was sent byte for byte, by name, hash and version", async () => {
    const signer = await new Signer(app, "alice", "alice/first").begin();
    const parts = signer.first();

    const answer = await signer.publish(parts);

    expect([answer.status, answer.body.length]).toEqual([200, 0]);
    expect((await app.ask("GET", "/v2/alice/first/tags/list", { as: "alice" })).status).toBe(200);
    const [root, targets] = parts.map(({ bytes }) => Buffer.from(bytes));
    for (const file of ["targets.json", "2.targets.json", "02.targets.json", `targets.${hex(targets as Buffer)}.json`])
      expect((await signer.ask("GET", file)).body).toEqual(targets);
    expect((await signer.ask("GET", "1.root.json")).body).toEqual(root);
    expect(await versions(signer)).toEqual({ root: 1, targets: 2, snapshot: 1, timestamp: 1 });
  });

  it("makes a new snapshot and timestamp of no part at all", async () => {
    const signer = await openSigner(app, "alice/none");

    const { status } = await signer.publish([]);

    expect(status).toBe(200);
    expect(await versions(signer)).toEqual({ root: 1, targets: 2, snapshot: 2, timestamp: 2 });
  });

  it("keeps every version readable", async () => {
    const signer = await openSigner(app, "alice/history");
    const before = signer.repository.stored.get("targets" as never) as Buffer;
    await signer.publish([signer.tag("v1")]);

    const found = await Promise.all(
      ["2.targets.json", `targets.${hex(before)}.json`].map((at) => signer.ask("GET", at)),
    );

    expect(found.map(({ body }) => body)).toEqual([before, before]);
    expect((await signer.ask("GET", "3.targets.json")).status).toBe(200);
    expect((await signer.ask("GET", "4.targets.json")).status).toBe(404);
  });

  it("answers VERSION with an empty detail for what is older than what there is, and stores nothing", async () => {
    const signer = await openSigner(app, "alice/version");
    const old = signer.tag("old");
    await signer.publish([signer.tag("new")]);
    const before = await versions(signer);

    const { status, body } = await signer.post(multipart([old]));

    expect(status).toBe(400);
    expect(body.toString()).toBe(
      '{"errors":[{"code":"VERSION","message":"A newer version of metadata is already available.","detail":{}}]}\n',
    );
    expect(await versions(signer)).toEqual(before);
  });

  it("has one winner for each version of 32 who publish at once; the others are told VERSION", async () => {
    const signer = await openSigner(app, "alice/race");
    await using other = await app.openAnother();
    const bodies = Array.from({ length: 32 }, (_, index) => multipart([signer.tag(`tag-${index}`)]));

    const answers = await Promise.all(
      bodies.map((body, index) => {
        const headers = { "content-type": "multipart/form-data; boundary=boundary-of-a-test" };
        return (index % 2 ? app : other).ask("POST", `/v2/${signer.gun}/_trust/tuf/`, { as: "alice", headers, body });
      }),
    );

    const won = answers.filter(({ status }) => status === 200);
    const lost = answers.filter(({ status, code }) => status === 400 && code === "VERSION");
    expect([won.length, lost.length]).toEqual([1, 31]);
    expect(await versions(signer)).toEqual({ root: 1, targets: 3, snapshot: 2, timestamp: 2 });
  });

  it("shows a reader sets that belong together, whatever is published between its requests", async () => {
    const signer = await openSigner(app, "alice/consistent");
    const read = async (): Promise<number> => {
      const timestamp = JSON.parse((await signer.ask("GET", "timestamp.json")).body.toString()).signed;
      const snapshotHash = Buffer.from(timestamp.meta.snapshot.hashes.sha256, "base64").toString("hex");
      const { status, body } = await signer.ask("GET", `snapshot.${snapshotHash}.json`);
      expect(status).toBe(200);
      const targetsHash = JSON.parse(body.toString()).signed.meta.targets.hashes.sha256;
      const file = `targets.${Buffer.from(targetsHash, "base64").toString("hex")}.json`;
      const targets = await signer.ask("GET", file);
      expect(targets.status).toBe(200);
      return JSON.parse(targets.body.toString()).signed.version;
    };
    let publishing = true;
    const seen: number[] = [];
    const reader = (async () => {
      while (publishing) seen.push(await read());
    })();

    for (let tag = 0; tag < 20; tag++) expect((await signer.publish([signer.tag(`t${tag}`)])).status).toBe(200);
    publishing = false;
    await reader;

    expect(seen).toEqual(seen.toSorted((one, two) => one - two));
    expect(await read()).toBe(22);
  });

  it.each([
    ["no content type", undefined],
    ["another type", "application/json"],
    ["no boundary", "multipart/form-data"],
    ["another multipart", "multipart/mixed; boundary=boundary-of-a-test"],
  ])("answers MALFORMED_UPLOAD to %s", async (_, contentType) => {
    const signer = new Signer(app, "alice", "alice/malformed");

    const { status, code } = await signer.post(multipart([]), "alice", contentType ?? "");

    expect([status, code]).toEqual([400, "MALFORMED_UPLOAD"]);
  });

  it.each([
    ["a body that breaks off", (body: Buffer) => body.subarray(0, -20)],
    ["a body above 8 MiB", (body: Buffer) => Buffer.concat([Buffer.alloc(8 * 1024 * 1024 + 1, " "), body])],
    [
      "17 parts",
      () => multipart(Array.from({ length: 17 }, (_, i) => ({ filename: `targets/r${i}`, bytes: Buffer.from("{}") }))),
    ],
  ])("answers MALFORMED_UPLOAD to %s", async (_, change) => {
    const signer = await new Signer(app, "alice", "alice/malformed").begin();

    const { status, code } = await signer.post(change(multipart(signer.first())));

    expect([status, code]).toEqual([400, "MALFORMED_UPLOAD"]);
  });

  it("says in one error of at most 1,024 bytes what is wrong", async () => {
    const signer = await openSigner(app, "alice/wrong");
    const part = signer.part("targets", (signed) => {
      signed.version = 0;
    });

    const { status, body } = await signer.post(multipart([part]));

    expect([status, body.length < 1024]).toEqual([400, true]);
    expect(errorOf(body)).toEqual([
      {
        code: "INVALID_UPDATE",
        message: "Update sent by the client is invalid.",
        detail: {
          Name: "ErrBadTargets",
          Error: { Msg: "targets type metadata invalid: version cannot be less than one" },
        },
      },
    ]);
  });

  it("refuses the timestamp key of another GUN in a root", async () => {
    const [one, two] = await Promise.all(
      ["alice/one", "alice/two"].map((name) => new Signer(app, "alice", name).begin()),
    );
    if (one === undefined || two === undefined) throw new Error("two were opened");
    two.repository.keys.timestamp = one.repository.keys.timestamp;

    const { status, body } = await two.publish(two.first());

    expect(status).toBe(400);
    expect(errorOf(body)[0].detail.Error.Msg).toBe("no  timestamp keys exist on the server");
  });

  it.each(["other.test/alice/app", `${AUTHORITY}/UPPER/case`, `${AUTHORITY}/alice`, "alice/app"])(
    "answers INVALID_GUN to a publish for %s, and 404 to a read",
    async (gun) => {
      const headers = { "content-type": "multipart/form-data; boundary=boundary-of-a-test" };

      const post = await app.ask("POST", `/v2/${gun}/_trust/tuf/`, { as: "alice", headers, body: multipart([]) });
      const get = await app.ask("GET", `/v2/${gun}/_trust/tuf/root.json`, { as: "alice" });

      expect([post.status, post.code]).toEqual([400, "INVALID_GUN"]);
      expect(get.body.toString()).toContain('"code":"METADATA_NOT_FOUND"');
      expect(get.status).toBe(404);
    },
  );
});

describe("DELETE _trust/tuf/", () => {
  it("removes every file and no key; the next publish begins at version 1", async () => {
    const signer = await openSigner(app, "alice/deleted");
    const key = (await signer.ask("GET", "timestamp.key")).body;

    const answer = await signer.ask("DELETE", "");

    expect([answer.status, answer.body.length]).toEqual([200, 0]);
    for (const file of ["root.json", "1.root.json", "timestamp.json", "snapshot.json"])
      expect((await signer.ask("GET", file)).status).toBe(404);
    signer.repository.stored.clear();
    expect((await signer.publish(signer.first())).status).toBe(200);
    expect(await versions(signer)).toEqual({ root: 1, targets: 2, snapshot: 1, timestamp: 1 });
    expect((await signer.ask("GET", "timestamp.key")).body).toEqual(key);
  });

  it("answers 200 where nothing was", async () => {
    const { status } = await app.ask("DELETE", `/v2/${AUTHORITY}/alice/never/_trust/tuf/`, { as: "alice" });

    expect(status).toBe(200);
  });
});
