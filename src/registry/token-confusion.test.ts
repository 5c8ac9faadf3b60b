import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushParts } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

/** A token may not bring the key that it is to be verified with, nor say where to fetch it (CVE-2025-24976). */
let app: TestApp;
let listener: Server;
let connections = 0;
let url: string;
/** Header and claims of a token that the server made for alice. */
let honest: {
  readonly token: string;
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
};
const mine = generateKeyPairSync("ec", { namedCurve: "P-256" });

beforeAll(async () => {
  app = await openTestApp();
  await pushParts({ app, as: "alice", repository: "alice/app" });
  listener = createServer((_, response) => response.end("{}")).on("connection", () => connections++);
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/jwks.json`;
  const answer = await app.ask("GET", "/token?scope=repository:alice/app:pull", { as: "alice" });
  const { token } = JSON.parse(answer.body.toString());
  const [header, claims] = token
    .split(".")
    .slice(0, 2)
    .map((part: string) => JSON.parse(Buffer.from(part, "base64url").toString()));
  honest = { token, header, claims };
});
afterAll(async () => {
  expect(connections).toBe(0);
  expect(app.errors()).toEqual([]);
  listener.close();
  await app[Symbol.asyncDispose]();
});

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

function forge(header: object, key: KeyObject = mine.privateKey): string {
  const text = `${encode(header)}.${encode(honest.claims)}`;
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

const pull = (token: string) =>
  app.ask("GET", "/v2/alice/app/tags/list", { headers: { authorization: `Bearer ${token}` } });

describe("a bearer token whose header names or brings a key", () => {
  it("answers 200 to the server's own token with the same claims", async () => {
    expect((await pull(honest.token)).status).toBe(200);
  });

  it.each<[string, () => object]>([
    ["jwk beside the trusted kid", () => ({ jwk: mine.publicKey.export({ format: "jwk" }) })],
    ["jku", () => ({ jku: url })],
    ["x5u", () => ({ x5u: url })],
    ["x5c", () => ({ x5c: ["MIIBIjANBg=="] })],
    ["crit", () => ({ crit: ["exp"] })],
    ["crit of a name that we do not know", () => ({ crit: ["x"], x: 1 })],
    ["nothing but the trusted kid", () => ({})],
    ["a path as kid", () => ({ kid: "../../../../dev/null" })],
    ["SQL as kid", () => ({ kid: "' or 1=1 --" })],
    ["NUL in the kid", () => ({ kid: "a\0b" })],
    ["a kid that is a list", () => ({ kid: [honest.header.kid] })],
    ["an unknown kid", () => ({ kid: "unknown" })],
    ["no kid", () => ({ kid: undefined })],
    ["alg none", () => ({ alg: "none" })],
    ["alg HS256", () => ({ alg: "HS256" })],
    ["zip", () => ({ zip: "DEF" })],
    ["b64 false", () => ({ b64: false, crit: ["b64"] })],
  ])("answers 401 invalid_token to %s, signed by another key", async (_what, change) => {
    const answer = await pull(forge({ ...honest.header, alg: "ES256", ...change() }));

    expect([answer.status, answer.code]).toEqual([401, "UNAUTHORIZED"]);
    expect(answer.headers["www-authenticate"]).toContain('error="invalid_token"');
  });

  it("answers 401 to the server's own signature over another header or other claims, and to none", async () => {
    const [header = "", claims = "", signature = ""] = honest.token.split(".");
    const tokens = [
      `${header}.${claims}.`,
      `${header}.${claims}`,
      `${encode({ ...honest.header, jku: url })}.${claims}.${signature}`,
      `${header}.${encode({ ...honest.claims, sub: "admin" })}.${signature}`,
      `${header}.${claims}.${signature}.`,
      `${encode({ alg: "none" })}.${claims}.`,
    ];

    for (const token of tokens) expect((await pull(token)).status).toBe(401);
  });
});
