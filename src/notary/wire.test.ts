import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { AUTHORITY, openSigner, Signer } from "./testing/signer.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openTestApp();
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const at = (repository: string, file: string) => `/v2/${AUTHORITY}/${repository}/_trust/${file}`;

async function tokenOf(as: string | undefined, scope: string): Promise<string> {
  const { status, body } = await app.ask(
    "GET",
    `/token?scope=${encodeURIComponent(scope)}`,
    as === undefined ? {} : { as },
  );
  expect(status).toBe(200);
  return JSON.parse(body.toString()).token;
}

const withToken = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const publicRepository = (name: string) =>
  app.ask("PUT", `/api/v1/orgs/alice/repositories/${name}`, { as: "alice", body: '{"visibility":"public"}' });

describe("the gate of trust data", () => {
  it("answers the same 401, to the byte, for what is hidden and what is missing, with the scope that is needed", async () => {
    await openSigner(app, "alice/hidden");
    const ask = async (repository: string) => {
      const answer = await app.ask("GET", at(repository, "tuf/root.json"));
      const challenge = answer.headers["www-authenticate"];
      return `${answer.status} ${challenge} ${answer.body}`.replaceAll(repository, "<name>");
    };

    const [hidden, missing] = [await ask("alice/hidden"), await ask("alice/missing")];

    expect(hidden).toBe(missing);
    expect(hidden).toContain('401 Bearer realm="https://registry.test/token",service="registry.test"');
    expect(hidden).toContain(`scope="repository:${AUTHORITY}/<name>:pull"`);
    expect(hidden).toContain(
      `"detail":[{"Type":"repository","Class":"","Name":"${AUTHORITY}/<name>","Action":"pull"}]`,
    );
  });

  it.each([
    ["GET", "tuf/root.json"],
    ["GET", "tuf/timestamp.key"],
    ["POST", "tuf/timestamp.key"],
    ["POST", "tuf/"],
    ["DELETE", "tuf/"],
    ["GET", "changefeed?records=1"],
  ])("refuses whoever has no right with 401, never 403: %s %s", async (method, file) => {
    await openSigner(app, "alice/mine").catch(() => undefined);

    const { status, code, body } = await app.ask(method, at("alice/mine", file), { as: "bob" });

    expect([status, code, body.length <= 1024]).toEqual([401, "UNAUTHORIZED", true]);
  });

  it("is not opened by a token for the repository, nor the repository by one for the GUN", async () => {
    await openSigner(app, "alice/confused");
    const registry = await tokenOf("alice", "repository:alice/confused:pull,push");
    const trust = await tokenOf("alice", `repository:${AUTHORITY}/alice/confused:pull,push`);

    const statuses = await Promise.all([
      app.ask("GET", at("alice/confused", "tuf/root.json"), withToken(registry)),
      app.ask("GET", at("alice/confused", "tuf/root.json"), withToken(trust)),
      app.ask("GET", "/v2/alice/confused/tags/list", withToken(trust)),
      app.ask("GET", "/v2/alice/confused/tags/list", withToken(registry)),
    ]);

    expect(statuses.map(({ status }) => status)).toEqual([401, 200, 401, 200]);
  });

  it("takes a token for * for everything, one for push for signing, and one for pull for reading alone", async () => {
    await openSigner(app, "alice/scopes");
    const ask = async (actions: string): Promise<number[]> => {
      const token = withToken(await tokenOf("alice", `repository:${AUTHORITY}/alice/scopes:${actions}`));
      const asked = [
        ["GET", "tuf/root.json"],
        ["GET", "tuf/timestamp.key"],
        ["POST", "tuf/timestamp.key"],
      ] as const;
      return Promise.all(
        asked.map(async ([method, file]) => (await app.ask(method, at("alice/scopes", file), token)).status),
      );
    };

    expect([await ask("*"), await ask("push,pull"), await ask("pull")]).toEqual([
      [200, 200, 200],
      [200, 200, 401],
      [200, 401, 401],
    ]);
  });

  it("asks for Basic alone where that is what the server offers", async () => {
    await using other = await app.openAnother({ GOLDSEAL_AUTH_CHALLENGE: "basic" });

    const { status, headers } = await other.ask("GET", at("alice/any", "tuf/root.json"));

    expect([status, headers["www-authenticate"]]).toEqual([401, 'Basic realm="goldseal"']);
  });
});

describe("GET of a file", () => {
  it.each([
    ["public", "public, max-age=300, s-maxage=300, must-revalidate", "public, max-age=2592000, s-maxage=2592000"],
    ["private", "private, max-age=300, must-revalidate", "private, max-age=2592000"],
  ])("may be kept by caches as the %s repository allows", async (visibility, current, immutable) => {
    const signer = await openSigner(app, `alice/cache-${visibility}`);
    if (visibility === "public") await publicRepository(`cache-${visibility}`);

    const answers = [await signer.ask("GET", "root.json"), await signer.ask("GET", "1.root.json")];

    expect(answers.map(({ headers }) => headers["cache-control"])).toEqual([current, immutable]);
    expect(Date.parse(answers[0]?.headers["last-modified"] ?? "")).toBeGreaterThan(Date.now() - 60_000);
  });

  it("is open to whoever does not sign in where the repository is public, and keys are not", async () => {
    const signer = await openSigner(app, "alice/open");
    await publicRepository("open");

    const statuses = await Promise.all(
      ["timestamp.json", "timestamp.key"].map((file) => app.ask("GET", at("alice/open", `tuf/${file}`))),
    );

    expect(statuses.map(({ status }) => status)).toEqual([200, 401]);
    expect(signer.gun).toBe(`${AUTHORITY}/alice/open`);
  });
});

describe("keys that the server holds", () => {
  it("are pending until they sign, and the same for whoever asks at once", async () => {
    const signer = new Signer(app, "alice", "alice/pending");
    const asked = await Promise.all(Array.from({ length: 8 }, () => signer.ask("GET", "timestamp.key")));
    expect(new Set(asked.map(({ body }) => body.toString())).size).toBe(1);

    await signer.begin();
    await signer.publish(signer.first());
    const [used, next, again] = [
      (await signer.ask("GET", "timestamp.key")).body.toString(),
      (await signer.ask("POST", "timestamp.key")).body.toString(),
      (await signer.ask("POST", "timestamp.key")).body.toString(),
    ];

    expect(used).toBe(asked[0]?.body.toString());
    expect(next).not.toBe(used);
    expect(again).toBe(next);
  });

  it("are changed by a root that names the next one", async () => {
    const signer = await openSigner(app, "alice/rotated");
    const id = await signer.useKey("timestamp", "POST");
    const root = signer.part("root", (signed) => {
      const { key } = signer.repository.keys.timestamp;
      const json = { keytype: key.type, keyval: { private: null, public: key.publicBytes.toString("base64") } };
      (signed.keys as Record<string, unknown>)[id] = json;
      (signed.roles as Record<string, unknown>).timestamp = { keyids: [id], threshold: 1 };
    });

    const { status } = await signer.publish([root]);

    expect(status).toBe(200);
    const timestamp = JSON.parse((await signer.ask("GET", "timestamp.json")).body.toString());
    expect(timestamp.signatures[0].keyid).toBe(id);
  });

  it("do not open in the row of another", async () => {
    await openSigner(app, "alice/row-one");
    const two = await openSigner(app, "alice/row-two");
    await app.database.query(
      "",
      `update trust_keys t set sealed = o.sealed from trust_keys o
       where t.gun = $1 and o.gun = $2 and t.role = o.role`,
      [two.gun, `${AUTHORITY}/alice/row-one`],
    );

    const { status } = await two.publish([two.tag("v1")]);

    expect(status).toBe(500);
    // It is the one fault that this file makes on purpose.
    (app.log as unknown[]).splice(0);
  });
});

describe("the changefeed", () => {
  it("has a record for each timestamp and each deletion, after an id and before one", async () => {
    const signer = await openSigner(app, "alice/feed");
    await signer.publish([signer.tag("v1")]);
    await signer.ask("DELETE", "");
    const feed = async (query: string) =>
      JSON.parse((await app.ask("GET", at("alice/feed", `changefeed?${query}`), { as: "alice" })).body.toString());

    const all = await feed("records=10");
    const [first, second] = all.records;

    expect(all.count).toBe(3);
    expect(all.records.map((one: Record<string, unknown>) => [one.GUN, one.Version, one.Category])).toEqual([
      [signer.gun, 1, "update"],
      [signer.gun, 2, "update"],
      [signer.gun, 0, "deletion"],
    ]);
    expect((await feed(`records=1&change_id=${first.ID}`)).records).toEqual([second]);
    expect((await feed(`records=-1&change_id=${second.ID}`)).records).toEqual([first]);
    expect((await feed("records=2&change_id=-1")).records).toEqual(all.records.slice(1));
  });

  it("shows of all GUNs those that one may list, and fills the page", async () => {
    await openSigner(app, "alice/shown");
    await publicRepository("shown");
    await openSigner(app, "alice/not-shown");
    const guns = async (ask: object) => {
      const { status, body } = await app.ask("GET", "/v2/_trust/changefeed?records=1000", ask);
      expect(status).toBe(200);
      return JSON.parse(body.toString()).records.map((one: { GUN: string }) => one.GUN);
    };

    const [bob, alice] = [await guns({ as: "bob" }), await guns({ as: "alice" })];

    expect(bob).toContain(`${AUTHORITY}/alice/shown`);
    expect(bob).not.toContain(`${AUTHORITY}/alice/not-shown`);
    expect(alice).toContain(`${AUTHORITY}/alice/not-shown`);
  });
});

describe("the audit", () => {
  it("has who published what, who was refused, and whose publish was", async () => {
    const signer = await openSigner(app, "alice/audited");
    await signer.publish([signer.part("targets", (signed) => Object.assign(signed, { version: 0 }))]);
    await signer.ask("DELETE", "", "bob");
    const read = async () => {
      const { body } = await app.ask("GET", "/api/v1/audit?target=alice/audited", { as: "admin" });
      return JSON.parse(body.toString()).entries as Record<string, unknown>[];
    };

    await expect
      .poll(async () => (await read()).map(({ actor, action, outcome }) => `${actor} ${action} ${outcome}`).toSorted())
      .toEqual(["alice trust-sign done", "alice trust-sign refused", "bob trust-admin refused"]);
  });
});
