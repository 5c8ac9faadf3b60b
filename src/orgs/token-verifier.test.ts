import { createHash, createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { basic, bearer, openTestServer, publicUrl, service, type TestServer } from "./test-server.ts";
import { TokenKeysStore } from "./token-keys-store.ts";

const alice = basic("alice", "alice's password");
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });

let server: TestServer;
let good: { header: Record<string, unknown>; claims: Record<string, unknown>; key: KeyObject };

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("alice", "alice's password");
  const { body } = await server.send("GET", "/token?scope=repository:alice/app:pull", { headers: alice });
  const [header = "", claims = ""] = body.token.split(".").map((part) => Buffer.from(part, "base64url").toString());
  const signing = await new TokenKeysStore(server.database, server.ring).findSigning();
  const key = createPrivateKey({ key: { ...signing?.privateJwk }, format: "jwk" });
  good = { header: JSON.parse(header), claims: JSON.parse(claims), key };
});

afterAll(() => server.close());

function encode(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

function forge(header: object, claims: unknown, key: KeyObject = good.key): string {
  const signed = `${encode({ ...good.header, ...header })}.${encode(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

function kidOf(token: string): string {
  return JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()).kid;
}

async function pull(token: string) {
  return server.send("GET", "/v2/alice/app/tags/list", { headers: bearer(token) });
}

async function refusal(token: string) {
  const { status, headers } = await pull(token);
  return { status, challenge: headers["www-authenticate"] };
}

const REFUSED = {
  status: 401,
  challenge: `Bearer realm="${publicUrl}/token",service="${service}",scope="repository:alice/app:pull",error="invalid_token"`,
};

function without(name: string) {
  const { [name]: _, ...rest } = good.claims;
  return rest;
}

const seconds = () => Math.floor(server.clock.now.getTime() / 1000);

describe("an access token", () => {
  it("is taken when it is put together here as the service does it", async () => {
    expect((await pull(forge({}, good.claims))).status).toBe(200);
  });

  it("names issuer, audience, user, times, its id and what it grants, and nothing secret", () => {
    const now = seconds();
    const access = [{ type: "repository", name: "alice/app", actions: ["pull"] }];

    expect(good.claims).toMatchObject({
      iss: publicUrl,
      aud: service,
      sub: "alice",
      iat: now,
      nbf: now,
      exp: now + 300,
      access,
    });
    expect(Object.keys(good.claims).sort()).toEqual([
      "access",
      "aud",
      "epoch",
      "exp",
      "iat",
      "iss",
      "jti",
      "nbf",
      "sub",
      "uid",
    ]);
    expect(good.header).toEqual({ alg: "ES256", typ: "at+jwt", kid: expect.stringMatching(/^[\w-]{43}$/) });
  });

  it.each(["sub", "aud", "iss", "iat", "nbf", "exp", "jti", "uid", "epoch", "access"])(
    "without %s is refused",
    async (name) => {
      expect(await refusal(forge({}, without(name)))).toEqual(REFUSED);
    },
  );

  it.each([
    ["the audience of another service", { aud: "staging.test" }],
    ["several audiences", { aud: ["registry.test:5443", "other"] }],
    ["an array of the one audience", { aud: ["registry.test:5443"] }],
    ["an empty audience", { aud: "" }],
    ["another issuer", { iss: "https://staging.test" }],
    ["an empty subject", { sub: "" }],
    ["a number for a subject", { sub: 1 }],
    ["another user's name", { sub: "bob" }],
    ["another user's row", { uid: 4711 }],
    ["a negative row", { uid: -1 }],
    ["an epoch to come", { epoch: 1 }],
    ["an empty id", { jti: "" }],
    ["text for a time", { exp: "2100-01-01" }],
    ["access that is no list", { access: { type: "repository", name: "alice/app", actions: ["pull"] } }],
  ])("with %s is refused", async (_, claims) => {
    expect(await refusal(forge({}, { ...good.claims, ...claims }))).toEqual(REFUSED);
  });

  it.each([
    ["ended a minute ago", -400, -60],
    ["begins in over a minute", 61, 200],
    ["lives longer than tokens do", 0, 301],
    ["was issued too long ago, though it ends later", -320, 100],
  ])("that %s is refused", async (_, from, to) => {
    const times = { iat: seconds() + from, nbf: seconds() + from, exp: seconds() + to };

    expect(await refusal(forge({}, { ...good.claims, ...times }))).toEqual(REFUSED);
  });

  it.each([
    ["alg none, unsigned", () => `${encode({ ...good.header, alg: "none" })}.${encode(good.claims)}.`],
    ["another alg", () => forge({ alg: "ES384" }, good.claims)],
    ["alg in lower case", () => forge({ alg: "es256" }, good.claims)],
    ["typ of another kind", () => forge({ typ: "JWT" }, good.claims)],
    ["no typ", () => forge({ typ: undefined }, good.claims)],
    ["an unknown kid", () => forge({ kid: createHash("sha256").update("x").digest("base64url") }, good.claims)],
    ["no kid", () => forge({ kid: undefined }, good.claims)],
    ["a path for a kid", () => forge({ kid: "../../etc/passwd" }, good.claims)],
    ["SQL for a kid", () => forge({ kid: "' or '1'='1" }, good.claims)],
    ["a list for a kid", () => forge({ kid: ["x"] }, good.claims)],
    ["crit", () => forge({ crit: ["exp"] }, good.claims)],
    ["b64 false", () => forge({ crit: ["b64"], b64: false }, good.claims)],
    ["zip", () => forge({ zip: "DEF" }, good.claims)],
    ["x5u, though the key is ours", () => forge({ x5u: "http://127.0.0.1:1/x" }, good.claims)],
    ["jku, though the key is ours", () => forge({ jku: "http://127.0.0.1:1/x" }, good.claims)],
    ["a stranger's signature", () => forge({}, good.claims, stranger.privateKey)],
    [
      "a stranger's key in jwk",
      () => forge({ jwk: stranger.publicKey.export({ format: "jwk" }) }, good.claims, stranger.privateKey),
    ],
    ["x5c", () => forge({ x5c: ["AAAA"] }, good.claims, stranger.privateKey)],
    ["claims that are no object", () => forge({}, "just text")],
    ["claims of 10 levels", () => forge({}, { ...good.claims, access: [[[[[[[[[[]]]]]]]]]] })],
  ])("with %s is refused", async (_, make) => {
    expect(await refusal(make())).toEqual(REFUSED);
  });

  it("signed by HMAC with the public key as the secret is refused", async () => {
    const { body } = await server.send("GET", "/token/jwks.json");
    const signed = `${encode({ ...good.header, alg: "HS256" })}.${encode(good.claims)}`;
    const mac = createHmac("sha256", JSON.stringify(body.keys[0])).update(signed).digest("base64url");

    expect(await refusal(`${signed}.${mac}`)).toEqual(REFUSED);
  });

  it("cut, padded, doubled or with loose bits is refused", async () => {
    const token = forge({}, good.claims);
    const last = token.at(-1) ?? "";
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 64 bytes leave four bits of the last character unused: this is the same signature, written differently.
    const loose = token.slice(0, -1) + alphabet[alphabet.indexOf(last) + 1];

    for (const text of [
      token.slice(0, -4),
      `${token}==`,
      `${token}.${token}`,
      loose,
      token.split(".").slice(0, 2).join("."),
    ]) {
      expect(await refusal(text)).toEqual(REFUSED);
    }
  });

  it("in the query is not looked at", async () => {
    const token = forge({}, good.claims);

    const { status } = await server.send("GET", `/v2/alice/app/tags/list?token=${token}&access_token=${token}`);

    expect(status).toBe(401);
  });

  it("ends for real, also one that was taken a moment before", async () => {
    const token = forge({}, good.claims);
    const start = server.clock.now;
    const before = await pull(token);

    server.clock.now = new Date(start.getTime() + 311_000);
    const after = await refusal(token);

    server.clock.now = start;
    expect(before.status).toBe(200);
    expect(after).toEqual(REFUSED);
  });

  it("opens nothing of REST", async () => {
    const { body } = await server.send("GET", "/token?scope=registry:catalog:*", { headers: alice });

    const answers = await Promise.all([
      server.send("GET", "/api/v1/users/alice", { headers: bearer(body.token) }),
      server.send("POST", "/api/v1/token-keys/rotate", { headers: bearer(body.token) }),
      server.send("GET", "/token", { headers: bearer(body.token) }),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
  });
});

describe("the keys of the token service", () => {
  it("are published without their private half, and named by their RFC 7638 thumbprint", async () => {
    const { status, body } = await server.send("GET", "/token/jwks.json");

    expect(status).toBe(200);
    expect(body.keys).toHaveLength(1);
    const [{ crv, kty, x, y, ...rest }] = body.keys;
    const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
    expect(rest).toEqual({ kid: thumbprint, alg: "ES256", use: "sig" });
  });

  it("lie sealed in the database", async () => {
    const signing = await new TokenKeysStore(server.database, server.ring).findSigning();
    const secret = String(signing?.privateJwk.d);

    const rows = await server.database.query(
      "",
      "select to_jsonb(t) as row, encode(sealed, 'escape') as sealed from token_keys t",
    );

    expect(secret.length).toBe(43);
    expect(JSON.stringify(rows)).not.toContain(secret);
  });

  it("rotate: another process takes the new key's tokens at once, and the old key's until they are over", async () => {
    const rotating = await openTestServer();
    await rotating.addUser("root", "root's password", { systemAdmin: true });
    const root = { headers: basic("root", "root's password") };
    const other = await rotating.openWorker();
    const ask = async () => (await rotating.send("GET", "/token?scope=repository:a1/b:pull", root)).body.token;
    const use = async (token: string) =>
      (await other.send("GET", "/v2/a1/b/tags/list", { headers: bearer(token) })).status;
    const published = async () => (await other.send("GET", "/token/jwks.json")).body.keys.length;
    const old = await ask();
    const before = await use(old);

    const { status, body } = await rotating.send("POST", "/api/v1/token-keys/rotate", root);
    const recent = await ask();

    expect([before, status]).toEqual([200, 201]);
    expect(kidOf(recent)).toBe(body.kid);
    expect(kidOf(old)).not.toBe(body.kid);
    expect([await use(recent), await use(old), await published()]).toEqual([200, 200, 2]);
    rotating.clock.now = new Date(rotating.clock.now.getTime() + 361_000);
    expect([await use(old), await published()]).toEqual([401, 1]);
    await other.close();
    await rotating.close();
  });

  it("that retired are forgotten by a process that used them, once no token of theirs can be good", async () => {
    const rotating = await openTestServer({ tokenTtlSeconds: 60 });
    await rotating.addUser("root", "root's password", { systemAdmin: true });
    const root = { headers: basic("root", "root's password") };
    const other = await rotating.openWorker();
    const signing = await new TokenKeysStore(rotating.database, rotating.ring).findSigning();
    const key = createPrivateKey({ key: { ...signing?.privateJwk }, format: "jwk" });
    const { body } = await other.send("GET", "/token?scope=repository:a1/b:pull", root);
    await other.send("GET", "/v2/a1/b/tags/list", { headers: bearer(body.token) });
    await rotating.send("POST", "/api/v1/token-keys/rotate", root);
    rotating.clock.now = new Date(rotating.clock.now.getTime() + 121_000);
    const now = Math.floor(rotating.clock.now.getTime() / 1000);
    const claims = JSON.parse(Buffer.from(body.token.split(".")[1] ?? "", "base64url").toString());

    const late = forge({ kid: signing?.kid }, { ...claims, iat: now, nbf: now, exp: now + 60 }, key);

    expect((await other.send("GET", "/v2/a1/b/tags/list", { headers: bearer(late) })).status).toBe(401);
    await other.close();
    await rotating.close();
  });

  it("are one when many processes start at once", async () => {
    const crowded = await openTestServer();
    await crowded.database.query("", "delete from token_keys");

    const workers = await Promise.all(Array.from({ length: 6 }, () => crowded.openWorker()));

    const rows = await crowded.database.query("", "select kid from token_keys");
    expect(rows).toHaveLength(1);
    await Promise.all(workers.map((worker) => worker.close()));
    await crowded.close();
  });
});
