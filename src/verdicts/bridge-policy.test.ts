import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { spkiOf } from "../notary/tuf/key.ts";
import type { Loose } from "../notary/tuf/testing/loose.ts";
import { ecdsaKey, type TestKey } from "../notary/tuf/testing/test-key.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { signEnvelope } from "../trust/dsse.ts";
import { POLICY_TYPE } from "../trust/policy.ts";
import { plain } from "../trust/testing/policy-text.ts";
import { alice, bob, carol, mallory, signerOf } from "../trust/testing/signers.ts";

const POLICY = "/api/v1/policies/bridge";
const START = new Date("2026-06-01T00:00:00Z");
let app: TestApp;
let now = START;

beforeAll(async () => {
  app = await openTestApp({}, () => now);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});
beforeEach(async () => {
  now = START;
  await app.database.query("", "truncate bridge_policies");
  await app.database.query("", "truncate user_keys, key_owners, user_key_challenges");
});

const wire = (more: Loose = {}) => Buffer.from(JSON.stringify({ ...plain(), ...more }));
const signed = (signers: readonly TestKey[], more: Loose = {}) =>
  signEnvelope(POLICY_TYPE, wire(more), signers.map(signerOf));

const put = (body: Buffer, headers: Record<string, string> = {}) =>
  app.ask("PUT", POLICY, { as: "admin", body, headers });
const get = (as: string, path = POLICY) => app.ask("GET", path, { as });

async function refusal(body: Buffer, headers?: Record<string, string>): Promise<readonly [number, string, string]> {
  const { status, body: text } = await put(body, headers);
  const { code, detail }: { code: string; detail: string } = JSON.parse(text.toString());
  return [status, code, detail];
}

/** As if the user had proved it. */
async function own(user: string, { key }: TestKey): Promise<void> {
  const spki = Buffer.from(spkiOf(key) ?? "", "hex");
  const [row] = await app.database.query("", "select id from users where name = $1", [user]);
  await app.database.query("", "insert into key_owners values ($1, $2, now())", [spki, row?.id]);
  await app.database.query(
    "",
    `insert into user_keys (user_id, spki_sha256, name, algorithm, public_key, key_ids, added_at, proved_at)
     values ($1, $2, 'laptop', $3, $4, $5, now(), now())`,
    [row?.id, spki, key.type, key.publicBytes, [key.id]],
  );
}

describe("PUT /api/v1/policies/bridge", () => {
  it("keeps the bytes as they came, with who signed, and shows them to whom they name", async () => {
    const bytes = signed([alice]);

    const made = await put(bytes);

    expect(made.status).toBe(201);
    expect(JSON.parse(made.body.toString())).toEqual({
      version: 7,
      expires: "2027-01-01T00:00:00.000Z",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      signers: [{ keyId: expect.stringMatching(/^[0-9a-f]{64}$/), user: "alice" }],
      putBy: "admin",
      putAt: START.toISOString(),
    });
    const answer = await get("alice");
    expect([answer.status, answer.body]).toEqual([200, bytes]);
    expect(answer.headers.etag).toBe(made.headers.etag);
    const again = await app.ask("GET", POLICY, {
      as: "alice",
      headers: { "if-none-match": String(answer.headers.etag) },
    });
    expect(again.status).toBe(304);
  });

  it("answers 200 to the very same bytes, and stores nothing", async () => {
    await put(signed([alice]));
    const [before] = await app.database.query("", "select envelope from bridge_policies");

    expect((await put(before?.envelope)).status).toBe(200);
    expect(await app.database.query("", "select 1 from bridge_policies")).toHaveLength(1);
  });

  it("takes one document again when more people signed it, and no second one of its number", async () => {
    await put(signed([alice]));

    const more = await put(signed([bob, alice]));

    expect(more.status).toBe(201);
    const version = "policy-version";
    expect(await refusal(signed([alice]))).toMatchObject([409, version, expect.stringMatching(/no fewer signatures/)]);
    expect(await refusal(signed([bob, alice]))).toMatchObject([409, version, expect.any(String)]);
    expect(await refusal(signed([alice, bob], { expires: "2027-02-01T00:00:00Z" }))).toMatchObject([
      409,
      version,
      "version 7 after version 7; draft it anew",
    ]);
  });

  it("loses nobody's signature while it gets more of them", async () => {
    const [carols, daves] = [ecdsaKey(), ecdsaKey()];
    await own("bob", carols);
    await own("admin", daves);
    await put(signed([alice, bob]));

    const refused = await refusal(signed([alice, carols, daves]));

    expect(refused).toMatchObject([409, "policy-version", expect.stringMatching(/no fewer signatures/)]);
    expect((await put(signed([bob, carols, alice]))).status).toBe(201);
  });

  it("goes up only, and not so far that no number would be left", async () => {
    await put(signed([alice]));

    expect(await refusal(signed([alice], { version: 6 }))).toMatchObject([409, "policy-version", expect.any(String)]);
    expect(await refusal(signed([alice], { version: 1008 }))).toMatchObject([
      409,
      "policy-version",
      "version 1008 is more than 1000 ahead of 7",
    ]);
    expect((await put(signed([alice], { version: 1007 }))).status).toBe(201);
  });

  it("refuses what has ended, to the millisecond", async () => {
    now = new Date("2027-01-01T00:00:00Z");
    expect(await refusal(signed([alice]))).toMatchObject([409, "policy-expired", expect.stringMatching(/2027-01-01T/)]);
    now = new Date(now.getTime() - 1);
    expect((await put(signed([alice]))).status).toBe(201);
  });

  it.each<[string, Buffer, string, RegExp]>([
    ["no JSON", Buffer.from("hello"), "policy-malformed", /not good JSON/],
    ["a draft", wire(), "policy-malformed", /payload/],
    [
      "another kind of statement",
      signEnvelope("goldseal.approval/v1", wire(), [signerOf(alice)]),
      "policy-malformed",
      /holds goldseal.approval/,
    ],
    ["a document with a typing error", signed([alice], { tems: {} }), "policy-malformed", /tems/],
    [
      "a rule that nobody can meet",
      signed([alice], { teams: { "acme/qa": ["alice"], "acme/ops": [] } }),
      "policy-inconsistent",
      /./,
    ],
    ["a stranger's signature", signed([alice, mallory]), "policy-signature", /neither the document lists/],
    ["two signatures by one key", signed([alice, alice]), "policy-signature", /alice signed twice/],
  ])("refuses %s", async (_what, body, code, detail) => {
    expect(await refusal(body)).toEqual([400, code, expect.stringMatching(detail)]);
    expect((await get("admin")).status).toBe(404);
  });

  it("refuses a signature that is not the key's", async () => {
    const forged = signEnvelope(POLICY_TYPE, wire(), [{ ...signerOf(mallory), keyId: signerOf(alice).keyId }]);

    expect(await refusal(forged)).toEqual([400, "policy-signature", expect.stringMatching(/of alice is not good/)]);
  });

  it("takes the signature of a key that an account has proved, though the document does not list it", async () => {
    const key = ecdsaKey();
    await own("bob", key);

    const { status, body } = await put(signed([key]));

    expect([status, JSON.parse(body.toString()).signers]).toMatchObject([201, [{ user: "bob" }]]);
  });

  it.each([
    ["removed", "update user_keys set removed_at = now()"],
    ["of somebody suspended", "update users set suspended = true where name = 'bob'"],
  ])("takes none of a key that is %s", async (_what, change) => {
    const key = ecdsaKey();
    await own("bob", key);
    await app.database.query("", change);

    expect(await refusal(signed([key]))).toMatchObject([400, "policy-signature", expect.any(String)]);
    await app.database.query("", "update users set suspended = false");
  });

  it("gives nobody's key to somebody else, not even after it was removed", async () => {
    await own("bob", alice);
    await app.database.query("", "update user_keys set removed_at = now()");

    const answer = await refusal(signed([alice]));

    expect(answer).toEqual([400, "policy-inconsistent", expect.stringMatching(/it is bob's key, not alice's/)]);
  });

  it("heeds If-Match and If-None-Match", async () => {
    const first = await put(signed([alice]), { "if-none-match": "*" });
    const next = signed([alice], { version: 8 });

    expect(await refusal(next, { "if-none-match": "*" })).toMatchObject([
      412,
      "precondition-failed",
      expect.any(String),
    ]);
    expect(await refusal(next, { "if-match": '"0"' })).toMatchObject([412, "precondition-failed", expect.any(String)]);
    expect((await put(next, { "if-match": String(first.headers.etag) })).status).toBe(201);
  });

  it("is on record with its version and its signers", async () => {
    await put(signed([alice, bob]));

    const [row] = await app.database.query(
      "",
      "select actor, detail from audit_log where detail ->> 'route' = 'bridge-policy-put' order by id desc limit 1",
    );
    expect(row).toMatchObject({
      actor: "admin",
      detail: { route: "bridge-policy-put", asked: { version: 7, signers: [{ user: "alice" }, { user: "bob" }] } },
    });
  });

  it("is for system administrators, and not above 1 MiB", async () => {
    const bytes = signed([alice]);

    expect((await app.ask("PUT", POLICY, { as: "alice", body: bytes })).status).toBe(403);
    expect((await put(Buffer.alloc(1024 * 1024 + 1, " "))).status).toBe(413);
  });
});

describe("GET /api/v1/policies/bridge", () => {
  it("is missing for whom it does not name, as if there were none", async () => {
    const without = await get("alice");
    await put(signed([carol], { teams: {}, environments: {}, keys: keysOf("carol", carol) }));

    const hidden = await get("alice");

    expect([hidden.status, hidden.body]).toEqual([404, without.body]);
    expect((await get("admin")).status).toBe(200);
  });
});

describe("GET /api/v1/policies/bridge/versions", () => {
  it("lists all, newest first, a page at a time, and each with all its signatures", async () => {
    const [seven, full, eight] = [signed([alice]), signed([alice, bob]), signed([bob], { version: 8 })];
    for (const one of [seven, full, eight]) expect((await put(one)).status).toBe(201);

    const first = JSON.parse((await get("admin", `${POLICY}/versions?limit=1`)).body.toString());
    const second = JSON.parse((await get("admin", first.next)).body.toString());

    expect([first, second]).toMatchObject([
      { versions: [{ version: 8, signers: [{ user: "bob" }] }], next: `${POLICY}/versions?after=8&limit=1` },
      { versions: [{ version: 7, signers: [{ user: "alice" }, { user: "bob" }] }] },
    ]);
    expect(second.next).toBeUndefined();
    expect((await get("admin", `${POLICY}/versions/7`)).body).toEqual(full);
    expect((await get("admin", `${POLICY}/versions/9`)).status).toBe(404);
    expect((await get("alice", `${POLICY}/versions`)).status).toBe(403);
  });
});

function keysOf(user: string, pair: TestKey): Loose {
  const spki = pair.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  return { [signerOf(pair).keyId]: { spki, user } };
}
