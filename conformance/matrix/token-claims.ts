/** Tokens that the token service never made, and other secrets in their place: eight operations each, every one refused. */
import { createHmac, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import type { Report } from "../harness/report.ts";
import { encode, type Forger } from "./token-key.ts";
import { Probe } from "./token-probe.ts";
import { type Ask, basic, bearer } from "./wire.ts";
import { PASSWORD, scopeOf, type World } from "./world.ts";

type Claims = Readonly<Record<string, unknown>>;

const partOf = (token: string, index: number): Claims =>
  JSON.parse(Buffer.from(token.split(".")[index] ?? "", "base64url").toString());

export async function runClaimCells(report: Report, world: World, forger: Forger): Promise<void> {
  const probe = await new Probe(world, "una").prepare();
  const honest = await probe.token(scopeOf(probe.name));
  const claims = partOf(honest, 1);
  const good = forger.forge({}, claims);
  await report.quietly("a token with nothing wrong, forged as all that follow, opens all eight", () =>
    probe.mustOpen(["pull", "push", "delete"], { authorization: bearer(good) }),
  );
  const refused = (title: string, ask: Ask, challenge?: string) =>
    report.quietly(`token ${title}`, () => probe.mustOpenNothing(ask, challenge));
  for (const [title, change] of Object.entries(changedClaims(claims)))
    await refused(title, { authorization: bearer(forger.forge({}, change)) });
  for (const [title, header] of Object.entries(HEADERS))
    await refused(title, { authorization: bearer(forger.forge(header, claims)) });
  for (const [title, token] of Object.entries(otherSignatures(forger, honest, claims)))
    await refused(title, { authorization: bearer(token) });
  for (const [title, secret] of Object.entries(await otherSecrets(world, probe)))
    await refused(`that is ${title}`, { authorization: bearer(secret) });
  await refused("sent twice", { headers: { authorization: [bearer(good), bearer(good)] } }, "");
  await refused("beside a password", { headers: { authorization: [probe.authorization, bearer(good)] } }, "");
  await refused("in the query", { headers: { "x-query": `token=${good}&access_token=${good}` } }, "");
  await report.quietly("token with the scheme in lower case is one all the same", () =>
    probe.mustOpen(["pull", "push", "delete"], { authorization: `bearer ${good}` }),
  );
  await runAudiences(report, world, probe, good);
}

function changedClaims(claims: Claims): Record<string, Claims> {
  const now = Math.floor(Date.now() / 1000);
  const without = (name: string): Claims => Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
  const missing = ["aud", "iss", "iat", "exp", "sub", "jti", "nbf", "uid", "epoch", "access"];
  return {
    ...Object.fromEntries(missing.map((name) => [`without ${name}`, without(name)])),
    "for another service": { ...claims, aud: "staging.test" },
    "for two services": { ...claims, aud: [claims.aud, "staging.test"] },
    "for a list of one service": { ...claims, aud: [claims.aud] },
    "of another issuer": { ...claims, iss: "https://staging.test" },
    "of production's staging": { ...claims, iss: "https://staging.test", aud: "staging.test" },
    "that ended": { ...claims, iat: now - 200, nbf: now - 200, exp: now - 61 },
    "that begins in over a minute": { ...claims, iat: now, nbf: now + 61, exp: now + 200 },
    "that lives too long": { ...claims, iat: now, nbf: now, exp: now + 3600 },
    "issued too long ago": { ...claims, iat: now - 400, nbf: now - 400, exp: now + 60 },
    "of before a change of password": { ...claims, epoch: Number(claims.epoch) + 1 },
    "of another user's row": { ...claims, uid: Number(claims.uid) + 1 },
    "of another user's name": { ...claims, sub: "ann" },
    "of a credential that is not the user's": { ...claims, cid: 1 },
  };
}

const HEADERS: Readonly<Record<string, object>> = {
  "of typ JWT": { typ: "JWT" },
  "of typ refresh": { typ: "refresh+jwt" },
  "of typ id": { typ: "id_token" },
  "of typ session": { typ: "session" },
  "of typ upload state": { typ: "upload-state" },
  "without typ": { typ: undefined },
  "of alg ES384": { alg: "ES384" },
  "of alg none, signed": { alg: "none" },
  "without kid": { kid: undefined },
  "with a key of its own": { jwk: { kty: "EC" } },
  "with crit": { crit: ["exp"] },
};

function otherSignatures({ forge, publicKey }: Forger, honest: string, claims: Claims): Record<string, string> {
  const [header = "", body = "", signature = ""] = honest.split(".");
  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const larger = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
  const hs256 = encode({ ...partOf(honest, 0), alg: "HS256" });
  const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
  const hmac = createHmac("sha256", pem).update(`${hs256}.${body}`).digest("base64url");
  const es384 = encode({ ...partOf(honest, 0), alg: "ES384" });
  const text = Buffer.from(`${es384}.${body}`);
  const signature384 = sign("sha384", text, { key: larger, dsaEncoding: "ieee-p1363" }).toString("base64url");
  return {
    "signed with another service's key": forge({}, claims, stranger),
    "of alg none, unsigned": `${encode({ ...partOf(honest, 0), alg: "none" })}.${body}.`,
    "of alg HS256 with the public key as secret": `${hs256}.${body}.${hmac}`,
    "of alg ES384 and its signature": `${es384}.${body}.${signature384}`,
    "with other claims under the server's signature": `${header}.${encode({ ...claims, sub: "admin", uid: 1 })}.${signature}`,
    "cut short": honest.slice(0, -4),
    "without its signature": `${header}.${body}`,
    "with padding": `${honest}==`,
    "twice in a row": `${honest}.${honest}`,
  };
}

/** What else the server gives out, each in the place of an access token. */
async function otherSecrets(world: World, probe: Probe): Promise<Record<string, string>> {
  const answer = await world.wire.must(200, "GET", "/token?offline_token=true", { authorization: probe.authorization });
  const upload = await world.beginUpload(probe.name);
  return {
    "a refresh token": JSON.parse(answer.body.toString()).refresh_token,
    "a personal token": world.secrets.get(probe.user) ?? "",
    "the id of an upload": upload.split("/").at(-1) ?? "",
    "a password": PASSWORD.replaceAll(" ", "-"),
    "an id that is none": randomUUID(),
  };
}

/** The reverse: an access token where something else is asked for, and the registry's tokens at REST. */
async function runAudiences(report: Report, world: World, probe: Probe, good: string): Promise<void> {
  const catalog = await probe.token("registry:catalog:*", scopeOf(probe.name, "*"));
  for (const [title, token] of [["a registry token", catalog] as const, ["a forged one", good] as const]) {
    await report.quietly(`${title} opens nothing of REST`, () =>
      probe.mustOpenNothingOfRest({ authorization: bearer(token) }),
    );
  }
  await report.quietly(
    "an access token is no refresh token, no password and no credentials at the token service",
    async () => {
      const form = (fields: Record<string, string>) =>
        world.wire.ask("POST", "/token", {
          body: new URLSearchParams(fields).toString(),
          type: "application/x-www-form-urlencoded",
          from: "127.0.8.1",
        });
      const answers = [
        await form({ grant_type: "refresh_token", refresh_token: good }),
        await form({ grant_type: "password", username: probe.user, password: good }),
        await world.wire.ask("GET", "/token", { authorization: bearer(good) }),
        await world.wire.ask("GET", "/v2/", { authorization: basic(probe.user, good), from: "127.0.8.1" }),
        await world.wire.ask("POST", "/api/v1/token-keys/rotate", { authorization: bearer(good) }),
      ];
      const got = answers.map(({ status }) => status).join();
      if (got !== "401,401,401,401,401") throw new Error(got);
    },
  );
}
