import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pushBlob, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp } from "../testing/open-test-app.ts";
import { AuditLog } from "./audit-log.ts";
import { type AuditEntry, AuditStore } from "./audit-store.ts";
import { basic, openTestServer, type TestServer } from "./test-server.ts";

const root = basic("root", "root's password");
const alice = basic("alice", "alice's password");
const bob = basic("bob", "bob's password");

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["alice", "bob"]) await server.addUser(name, `${name}'s password`);
});

beforeEach(() => server.database.query("", "delete from sign_in_failures"));

afterAll(() => server.close());

async function search(query: string, headers: Record<string, string> = root) {
  const answer = await server.send("GET", `/api/v1/audit?${query}`, { headers });
  expect(answer.status).toBe(200);
  return answer.body.entries;
}

const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  at: server.clock.now,
  ...{ actor: "alice", actorId: 1, action: "push", target: "alice/app", namespace: "alice", outcome: "done" },
  ...{ source: "192.0.2.1", requestId: "r", decisionId: undefined, detail: {} },
  ...more,
});

describe("the audit", () => {
  it("has a change before it is answered: who, what, where from; and no secret", async () => {
    const body = JSON.stringify({ password: "carol's password" });
    const { headers } = await server.send("PUT", "/api/v1/users/carol", { headers: root, body, from: "127.0.0.9" });

    const rows = await server.database.query(
      "",
      "select * from audit_log where target = 'users/carol' and outcome = 'done'",
    );

    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      ...{ actor: "root", action: "user-put", namespace: "carol", outcome: "done", source: "127.0.0.9" },
      ...{ request_id: headers["x-request-id"], decision_id: null, at: server.clock.now },
      detail: { method: "PUT", asked: { password: "(secret)" } },
    });
    expect(JSON.stringify(rows)).not.toContain("carol's password");
  });

  it("has a refusal, by the id that the client was told", async () => {
    const { body } = await server.send("PUT", "/v2/alice/app/tags/list", { headers: bob });
    const id = body.errors[0].message.match(/\(decision ([a-z2-9]{16})\)$/)?.[1];

    const [found] = await search("outcome=refused&actor=bob");

    expect(found).toMatchObject({
      ...{ actor: "bob", action: "push", target: "alice/app", outcome: "refused", decision: id, source: "127.0.0.1" },
      detail: { code: "DENIED", why: "hidden" },
    });
  });

  it("has sign-ins, the good ones and the bad ones by the name that was typed", async () => {
    await server.send("GET", "/token", { headers: basic("alice", "alice's password") });
    await server.send("GET", "/v2/", { headers: basic("alice", "guess"), from: "127.0.0.8" });
    await server.send("GET", "/token", { headers: basic("nob\0dy", "guess"), from: "127.0.0.8" });
    const form = "grant_type=password&username=bob&password=guess";
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    await server.send("POST", "/token", { headers, body: form, from: "127.0.0.8" });

    const good = await search("action=sign-in&outcome=done&actor=alice");
    const bad = await search("action=sign-in&outcome=refused");

    expect(good[0]).toMatchObject({ detail: { route: "token-get", by: "token" } });
    expect(bad.map(({ actor }: AuditEntry) => actor)).toEqual(["bob", "nob\u2400dy", "alice"]);
    expect(bad[0].decision).toMatch(/^[a-z2-9]{16}$/);
  });

  it("does not take the challenge to a client without credentials for a refusal", async () => {
    const before = (await search("limit=1000")).length;

    const { status } = await server.send("GET", "/v2/");

    expect(status).toBe(401);
    expect(await search("limit=1000")).toHaveLength(before);
  });

  it("has what a system administrator reads by that right alone, and not what owners read", async () => {
    await server.send("GET", "/v2/alice/private/tags/list", { headers: alice });
    await server.send("GET", "/v2/alice/private/tags/list", { headers: root });

    const found = await search("target=alice/private");

    expect(found.map(({ actor, action }: AuditEntry) => [actor, action])).toEqual([["root", "list"]]);
  });

  it("has what a push stores, with its digest, and not the steps on the way", async () => {
    await using app = await openTestApp();
    const place = { app, as: "alice", repository: "alice/app" };
    const { manifest } = await pushParts(place);
    await putManifest(place, "v1", manifest);
    await pushBlob(place, "one more");
    await app.ask("DELETE", "/v2/alice/app/manifests/v1", { as: "alice" });

    const rows = await app.database.query(
      "",
      "select action, detail from audit_log where target = 'alice/app' order by at, id",
    );

    expect(rows.map(({ action, detail }) => [action, detail.reference ?? "blob"])).toEqual([
      ["push", "blob"],
      ["push", "blob"],
      ["push", "v1"],
      ["push", "blob"],
      ["untag", "v1"],
    ]);
    expect(rows[2]?.detail.digest).toMatch(/^sha256:/);
  });

  it("only grows: rows and tables of months are closed to change", async () => {
    await search("limit=1");
    for (const statement of [
      "update audit_log set actor = 'mallory'",
      "delete from audit_log",
      "delete from audit_log_2026_11",
      "truncate audit_log",
      "truncate audit_log_2026_11",
    ]) {
      await expect(server.database.query("", statement), statement).rejects.toThrow("audit_log only grows");
    }
  });

  it("has the tables of the months to come before they begin", async () => {
    const rows = await server.database.query<{ name: string }>(
      "",
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_log'::regclass order by 1",
    );

    expect(rows.map(({ name }) => name)).toEqual([
      "audit_log_2026_11",
      "audit_log_2026_12",
      "audit_log_2027_01",
      "audit_log_2027_02",
    ]);
  });

  it("makes the table of a month once, whoever else makes it at the same time", async () => {
    const at = new Date("2031-05-31T23:59:59.999Z");
    const stores = Array.from({ length: 8 }, () => new AuditStore(server.database));

    await Promise.all(stores.map((store) => store.insert([entry({ at, target: "may" })])));

    const rows = await server.database.query("", "select count(*)::int as n from audit_log_2031_05");
    expect(rows).toEqual([{ n: 8 }]);
  });
});

describe("GET /api/v1/audit", () => {
  beforeAll(async () => {
    const at = (n: number) => new Date(Date.UTC(2026, 10, 1, 0, 0, n));
    const many = Array.from({ length: 2500 }, (_, n) => entry({ at: at(n >> 1), actor: "page", target: `lab/r${n}` }));
    await new AuditStore(server.database).insert(many);
  });

  it("pages newest first, each entry once, by the link it gives", async () => {
    const targets: string[] = [];
    for (let path: string | undefined = "/api/v1/audit?actor=page&limit=1000"; path !== undefined; ) {
      const { body, headers } = await server.send("GET", path, { headers: root });
      targets.push(...body.entries.map(({ target }: AuditEntry) => target));
      path = /^<([^>]+)>; rel="next"$/.exec(String(headers.link ?? ""))?.[1];
    }

    expect(targets).toHaveLength(2500);
    expect(new Set(targets).size).toBe(2500);
    expect(targets[0]).toBe("lab/r2499");
  });

  it("narrows by every filter", async () => {
    const count = async (query: string) => (await search(`actor=page&limit=1000&${query}`)).length;

    expect(await count("target=lab/r7")).toBe(1);
    expect(await count("target=lab/r249*")).toBe(11);
    expect(await count("since=2026-11-01T00:00:10Z&until=2026-11-01T00:00:20Z")).toBe(20);
    expect(await count("until=2026-11-01")).toBe(0);
    expect(await count("outcome=refused")).toBe(0);
    expect(await count("action=pull")).toBe(0);
  });

  it("streams everything as one JSON object a line when asked for NDJSON", async () => {
    const headers = { ...root, accept: "application/x-ndjson" };
    const answer = await server.send("GET", "/api/v1/audit?actor=page", { headers });

    const lines = answer.text.trimEnd().split("\n");
    expect(answer.headers["content-type"]).toBe("application/x-ndjson");
    expect(answer.headers["transfer-encoding"]).toBe("chunked");
    expect(lines).toHaveLength(2500);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ actor: "page", target: "lab/r2499" });
    const few = await server.send("GET", "/api/v1/audit?actor=page&limit=3", { headers });
    expect(few.text.trimEnd().split("\n")).toHaveLength(3);
  });

  it("shows to a user only what concerns the own names, and everything to auditors", async () => {
    await server.addUser("audrey", "audrey's password");
    await server.database.query("", "update users set auditor = true where name = 'audrey'");
    await server.send("PUT", "/v2/alice/app/tags/list", { headers: alice });
    await server.send("PUT", "/v2/bob/app/tags/list", { headers: bob });

    const ofAlice = await search("limit=1000", alice);
    const ofAuditor = await search("limit=1000", basic("audrey", "audrey's password"));

    expect(new Set(ofAlice.map(({ namespace }: AuditEntry) => namespace))).toEqual(new Set(["alice"]));
    expect(new Set(ofAuditor.map(({ namespace }: AuditEntry) => namespace)).size).toBeGreaterThan(2);
    expect((await server.send("GET", "/api/v1/audit")).status).toBe(401);
  });

  it.each(["limit=0", "limit=x", "after=1", "since=yesterday", "outcome=maybe", "actor=a&actor=b"])(
    "answers 400 to %s",
    async (query) => {
      const { status, body } = await server.send("GET", `/api/v1/audit?${query}`, { headers: root });

      expect([status, body.code]).toEqual([400, "invalid-request"]);
    },
  );
});

describe("AuditLog", () => {
  const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const away = Object.assign(new Error("away"), {});

  it("writes together what comes together, in order", async () => {
    const batches: string[][] = [];
    const insert = async (entries: readonly AuditEntry[]) => void batches.push(entries.map(({ target }) => target));
    const audit = new AuditLog({ insert, log: silent, now: () => server.clock.now });

    audit.note(entry({ target: "a" }));
    await Promise.all(["b", "c", "d"].map((target) => audit.record(entry({ target }))));

    expect(batches).toEqual([["a", "b", "c", "d"]]);
    await audit.close();
  });

  it("keeps no more notes than can wait, and says how many it let go", async () => {
    const written: AuditEntry[] = [];
    const insert = async (entries: readonly AuditEntry[]) => void written.push(...entries);
    const audit = new AuditLog({ insert, log: silent, now: () => server.clock.now });

    for (let n = 0; n < 10_007; n++) audit.note(entry());
    await audit.close();

    expect(written).toHaveLength(10_001);
    const said = written.filter(({ action }) => action === "audit-overflow");
    expect(said.map(({ detail }) => detail)).toEqual([{ notRecorded: 7 }]);
  });

  it("fails a change that it cannot write for good, and goes on with the next", async () => {
    let broken = true;
    const insert = async () => {
      if (broken) throw away;
    };
    const audit = new AuditLog({ insert, log: silent, now: () => server.clock.now });

    await expect(audit.record(entry())).rejects.toBe(away);
    broken = false;
    await audit.record(entry());
    await audit.close();
  });

  it("answers 503 to a change while the database is away, and has it on record when it is back", async () => {
    const { OciError } = await import("../oci/error.ts");
    const written: AuditEntry[] = [];
    let isAway = true;
    const insert = async (entries: readonly AuditEntry[]) => {
      if (isAway) throw new OciError("UNAVAILABLE");
      written.push(...entries);
    };
    const audit = new AuditLog({ insert, log: silent, now: () => server.clock.now });

    await expect(audit.record(entry())).rejects.toMatchObject({ code: "UNAVAILABLE" });
    isAway = false;
    await audit.close();

    expect(written).toHaveLength(1);
  });
});
