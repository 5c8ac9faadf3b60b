import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { canonicalKeyId, makeKey, spkiOf } from "../../notary/tuf/key.ts";
import {
  CONFIG,
  describe,
  digestOf,
  LAYER,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  pushBlob,
  putManifest,
} from "../../testing/images.ts";
import { openTestApp, PASSWORD, PUBLIC_URL, type TestApp } from "../../testing/open-test-app.ts";
import { APPROVAL_TYPE, type Approval, toApprovalPayload } from "../../trust/approval.ts";
import { signEnvelope } from "../../trust/dsse.ts";

type Wire = Record<string, unknown>;
export interface RestAnswer {
  readonly status: number;
  readonly body: Wire;
}

/** The organizations dev, qa and ops with somebody in each of their teams. */
export interface Lab extends AsyncDisposable {
  readonly app: TestApp;
  rest(method: string, path: string, ask?: { as?: string; body?: unknown }): Promise<RestAnswer>;
  /** @throws Error unless it answers with `status` */
  must(status: number, method: string, path: string, ask?: { as?: string; body?: unknown }): Promise<Wire>;
  addUser(name: string): Promise<void>;
  /** Into an organization's team, which may do what is given on one repository or `*`. */
  join(org: string, team: string, user: string, grant?: { on: string; level: string; extra?: string[] }): Promise<void>;
  /** An image under a tag; returns its digest. */
  push(repository: string, tag: string, content: string, as?: string): Promise<string>;
  tagDigest(repository: string, tag: string): Promise<string | undefined>;
}

export async function openLab(now?: () => Date): Promise<Lab> {
  const app = await openTestApp({}, now);
  for (const org of ["dev", "qa", "ops"]) await app.addOrg(org);
  const rest: Lab["rest"] = async (method, path, { as = "admin", body } = {}) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await app.ask(method, `/api/v1/${path}`, { as, ...sent });
    return { status: answer.status, body: answer.body.length === 0 ? {} : JSON.parse(answer.body.toString()) };
  };
  const must: Lab["must"] = async (status, method, path, ask) => {
    const answer = await rest(method, path, ask);
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const joined = new Set<string>();
  return {
    ...{ app, rest, must },
    addUser: async (name) => void (await must(201, "PUT", `users/${name}`, { body: { password: PASSWORD } })),
    join: async (org, team, user, grant) => {
      if (!joined.has(`${org} ${user}`))
        await must(201, "PUT", `orgs/${org}/members/${user}`, { body: { role: "member" } });
      joined.add(`${org} ${user}`);
      await rest("PUT", `orgs/${org}/teams/${team}`, { body: {} });
      await must(201, "PUT", `orgs/${org}/teams/${team}/members/${user}`, { body: {} });
      if (grant === undefined) return;
      const { on, ...rights } = grant;
      await must(201, "PUT", `orgs/${org}/teams/${team}/grants/${encodeURIComponent(on)}`, { body: rights });
    },
    push: (repository, tag, content, as = "admin") => pushImage({ app, as, repository }, tag, content),
    tagDigest: async (repository, tag) => {
      const answer = await app.ask("HEAD", `/v2/${repository}/manifests/${tag}`, { as: "admin" });
      return answer.headers["docker-content-digest"]?.toString();
    },
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

export async function pushImage(place: Place, tag: string, content: string, more: object = {}): Promise<string> {
  const manifest = await makeManifest(place, content, more);
  const answer = await putManifest(place, tag, manifest);
  if (answer.status !== 201) throw new Error(`not pushed: ${answer.status} ${answer.body}`);
  return digestOf(JSON.stringify(manifest));
}

async function makeManifest(place: Place, content: string, more: object): Promise<object> {
  const [config, layer] = [JSON.stringify({ config: content }), `layer of ${content}`];
  await pushBlob(place, config);
  await pushBlob(place, layer);
  return {
    ...{
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: describe(config, CONFIG),
      layers: [describe(layer, LAYER)],
    },
    ...more,
  };
}

/** With a child for each platform; returns its digest and theirs. */
export async function pushIndex(place: Place, tag: string, platforms: readonly string[]) {
  const children: { digest: string; size: number }[] = [];
  for (const platform of platforms) {
    const manifest = await makeManifest(place, `${tag} ${platform}`, {});
    const text = JSON.stringify(manifest);
    const answer = await putManifest(place, digestOf(text), text);
    if (answer.status !== 201) throw new Error(`not pushed: ${answer.status} ${answer.body}`);
    children.push({ digest: digestOf(text), size: Buffer.byteLength(text) });
  }
  const manifests = children.map((one) => ({ mediaType: OCI_MANIFEST, ...one }));
  const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  const answer = await putManifest(place, tag, index, { contentType: OCI_INDEX });
  if (answer.status !== 201) throw new Error(`not pushed: ${answer.status} ${answer.body}`);
  return { digest: digestOf(index), size: Buffer.byteLength(index), children: children.map(({ digest }) => digest) };
}

export interface Pen {
  readonly privateKey: KeyObject;
  readonly keyId: string;
  readonly spki: string;
  sign(approval: Approval, payloadType?: string): Wire;
}

/** A key that the user has proved to hold. */
export async function addPen({ app, must }: Lab, user: string): Promise<Pen> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = makeKey("ecdsa", publicKey.export({ format: "der", type: "spki" }));
  const spki = spkiOf(key) ?? "";
  const pem = publicKey.export({ format: "pem", type: "spki" });
  await must(201, "POST", `users/${user}/keys`, {
    as: user,
    body: { name: `pen-${spki.slice(0, 8)}`, publicKey: pem },
  });
  const { challenge } = await must(201, "POST", `users/${user}/keys/${spki}/challenge`, { as: user });
  const message = `goldseal proof of possession of a key, v1\nserver: ${PUBLIC_URL}\nuser: ${user}\nkey-sha256: ${spki}\nchallenge: ${challenge}\n`;
  const signature = sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" }).toString(
    "base64",
  );
  await must(200, "PUT", `users/${user}/keys/${spki}/proof`, { as: user, body: { method: "ecdsa", signature } });
  void app;
  return {
    ...{ privateKey, spki, keyId: canonicalKeyId(key) },
    sign: (approval, payloadType = APPROVAL_TYPE) => {
      const signer = { keyId: canonicalKeyId(key), sign: (bytes: Uint8Array) => sign("sha256", bytes, privateKey) };
      return JSON.parse(signEnvelope(payloadType, toApprovalPayload(approval), [signer]).toString());
    },
  };
}
