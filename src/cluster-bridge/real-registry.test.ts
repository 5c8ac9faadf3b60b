// First: see testing/bridge-lab.ts.
import "node:https";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCli } from "../cli/main.ts";
import { pushImage, pushIndex } from "../cli/trust/testing/trust-lab.ts";
import { createLog } from "../http/log.ts";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import { keyOfSpki } from "../notary/tuf/public-key-file.ts";
import { ecdsaKey } from "../notary/tuf/testing/test-key.ts";
import { openTestApp, PASSWORD, type TestApp } from "../testing/open-test-app.ts";
import { signEnvelope } from "../trust/dsse.ts";
import { POLICY_TYPE } from "../trust/policy.ts";
import { signerOf, spkiText } from "../trust/testing/signers.ts";
import { BridgeClock } from "./bridge-clock.ts";
import { PolicyKeeper } from "./policy-keeper.ts";
import { RegistryClient } from "./registry-client.ts";
import { resolveSignedDigest } from "./signed-digest.ts";
import { knownInMemory } from "./testing/known-in-memory.ts";
import { startTlsFront, type TlsFront } from "./testing/tls-front.ts";
import { makePair } from "./testing/tls-pair.ts";
import { TrustReader } from "./trust-reader.ts";
import { TrustStore } from "./trust-store.ts";

const officer = ecdsaKey();
const pair = makePair("localhost");
let app: TestApp;
let front: TlsFront;
let home: string;
let authority: string;
let registry: RegistryClient;

beforeAll(async () => {
  front = await startTlsFront(pair);
  authority = `localhost:${front.port}`;
  const url = `https://${authority}`;
  [app, home] = await Promise.all([
    openTestApp({ GOLDSEAL_PUBLIC_URL: url }),
    mkdtemp(join(tmpdir(), "goldseal-real-bridge-")),
  ]);
  front.target = app.port;
  await writeFile(join(home, "ca.crt"), pair.cert);
  const account = { name: "admin", password: PASSWORD };
  registry = new RegistryClient({ origin: url, ca: pair.cert, timeoutMs: 10_000, account });
});
afterAll(async () => {
  registry.close();
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
  await front.close();
  await rm(home, { recursive: true });
});

async function goldseal(line: string): Promise<string> {
  const out: Buffer[] = [];
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  for (const stream of [io.stdout, io.stderr]) stream.on("data", (piece: Buffer) => out.push(piece));
  const where = ["--url", `https://${authority}`, "--ca", join(home, "ca.crt"), "--as", "alice"];
  const status = await runCli([...line.split(" "), ...where], { ...ENV, DOCKER_CONFIG: join(home, "docker") }, io);
  await new Promise(setImmediate);
  const text = Buffer.concat(out).toString();
  if (status !== 0) throw new Error(text);
  return text;
}

const ENV = {
  GOLDSEAL_DATA: "/nonexistent",
  GOLDSEAL_PASSWORD: PASSWORD,
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "rootpass123",
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123",
};

/** The bridge, as it would start now. */
async function resolve(name: string) {
  const store = join(home, "store");
  const json = JSON.parse(await goldseal(`trust inspect ${authority}/alice/app --json`));
  const pins = [{ pattern: "alice/*", rootKeys: json.keys.root, threshold: 1, epoch: 1 }];
  const keeper = await PolicyKeeper.open({ store, registry, keys: [officer.key], threshold: 1 });
  return resolveSignedDigest(
    {
      ...{ authority, registry, policy: keeper, clock: await BridgeClock.open(store, () => new Date()) },
      trust: new TrustReader({
        authority,
        pins,
        registry,
        store: new TrustStore(store),
        log: createLog({ level: "off" }),
      }),
      ...knownInMemory(),
    },
    `${authority}/${name}`,
    "prod",
  );
}

describe("at the real registry", () => {
  it("finds what alice signed with her own key, an image and an index, with a token for each scope", async () => {
    const place = { app, as: "alice", repository: "alice/app" };
    const [digest, index] = [await pushImage(place, "1"), await pushIndex(place, "multi")];
    const image = `${authority}/alice/app`;
    await goldseal(`trust init ${image}`);
    await goldseal(`trust sign ${image}:1`);
    expect(await resolve("alice/app:1")).toMatchObject({ kind: "refuse", code: "POLICY" });
    const handed = await app.ask("PUT", "/api/v1/policies/bridge", { as: "admin", body: await policyFor(image) });
    expect(handed.status).toBe(201);

    expect(await resolve("alice/app:1")).toMatchObject({ kind: "deploy", digest });
    expect(await resolve("alice/app:multi")).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
    await goldseal(`trust sign ${image}:multi`);
    expect(await resolve("alice/app:multi")).toMatchObject({ kind: "deploy", digest: index });
    const child = await pushImage(place, "multi-amd64", "multi-amd64");
    expect(await resolve(`alice/app:multi@${child}`)).toMatchObject({ kind: "deploy", digest: child });

    await pushImage(place, "1", "moved under the signed tag");
    expect(await resolve("alice/app:1")).toMatchObject({ kind: "deploy", digest });
    await goldseal(`trust revoke ${image}:1`);
    expect(await resolve("alice/app:1")).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
    expect(await resolve(`alice/app@${digest}`)).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
  });

  it("does not send a password that was not taken again and again: that would close the address for all who share it", async () => {
    const account = { name: "bridge", password: "not this one" };
    const wrong = new RegistryClient({ origin: `https://${authority}`, ca: pair.cert, timeoutMs: 10_000, account });
    const ask = { path: "/api/v1/users/admin", maxBytes: 1e6, scope: undefined };
    const closed = /localhost:\d+ did not take the password of bridge; it is tried again in (1\d|20) s$/;

    await expect(wrong.find(ask)).rejects.toThrow(/answered 401 \(signed in as bridge\)/);
    for (let tries = 0; tries < 12; tries++) await expect(wrong.find(ask)).rejects.toThrow(closed);
    await expect(wrong.find({ ...ask, scope: "repository:alice/app:pull" })).rejects.toThrow(closed);
    expect(await wrong.tryCall({ method: "DELETE", path: ask.path })).toEqual({
      refused: expect.stringMatching(closed),
      status: 401,
    });

    expect((await registry.find(ask))?.status).toBe(200);
    wrong.close();
  });
});

/** Asks for alice, whose key is the one in `targets/alice`. */
async function policyFor(image: string): Promise<Buffer> {
  const gun = `/v2/${image}/_trust/tuf/targets.json`;
  const found = await registry.find({ path: gun, maxBytes: 1e6, scope: `repository:${image}:pull` });
  const { keys, roles } = JSON.parse(found?.body.toString() ?? "").signed.delegations;
  const [id] = roles.find(({ name }: { name: string }) => name === "targets/alice").keyids;
  const der = Buffer.from(keys[id].keyval.public, "base64");
  const keyId = canonicalKeyId(keyOfSpki(der));
  const document = {
    ...{ version: 1, expires: new Date(Date.now() + 86_400_000).toISOString() },
    environments: {
      prod: { images: ["alice/*"], require: [{ team: "qa", k: 1 }], maxTimestampAge: "48h", operators: [], rights: {} },
    },
    teams: { qa: ["alice"] },
    keys: {
      [keyId]: { spki: der.toString("base64"), user: "alice" },
      [canonicalKeyId(officer.key)]: { spki: spkiText(officer), user: "olga" },
    },
  };
  return signEnvelope(POLICY_TYPE, Buffer.from(JSON.stringify(document)), [signerOf(officer)]);
}
