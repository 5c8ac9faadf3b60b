import { describe, expect, it } from "vitest";
import { composeTakeOver } from "../notary/testing/take-over.ts";
import { spkiOf } from "../notary/tuf/key.ts";
import { ecdsaKey, signBytes } from "../notary/tuf/testing/test-key.ts";
import { digestOf, pushParts, putManifest } from "../testing/images.ts";
import { PASSWORD, PUBLIC_URL } from "../testing/open-test-app.ts";
import { signEnvelope } from "../trust/dsse.ts";
import { POLICY_TYPE } from "../trust/policy.ts";
import { signerOf } from "../trust/testing/signers.ts";
import { recorded, useAuditedApp } from "./test-audit.ts";

const { app, mustBeOne } = useAuditedApp();
const place = () => ({ app: app(), as: "admin", repository: "lab/app" });

interface Change {
  readonly route: string;
  readonly method: string;
  readonly path: string;
  /** A function reads what the body answers to. */
  readonly body?: unknown;
  /** Default: admin. */
  readonly as?: string;
}

const pair = ecdsaKey();
const KEY = "users/{user}/keys/{key}";
const REPOSITORY = "orgs/{org}/repositories/{repo}";
const RULE = "orgs/{org}/repositories/{repo}/auto-sign/{rule}";

/** Asking for a challenge is a change as well: the last one counts. */
async function proof(): Promise<unknown> {
  const [row] = await app().database.query<{ challenge: string }>(
    "",
    "select encode(challenge, 'hex') as challenge from user_key_challenges",
  );
  const message = `goldseal proof of possession of a key, v1
server: ${PUBLIC_URL}\nuser: carol\nkey-sha256: ${NAMES.key}\nchallenge: ${row?.challenge}\n`;
  return {
    method: "ecdsa",
    signature: signBytes(pair.privateKey, "ecdsa", Buffer.from(message)).toString("base64"),
  };
}

async function wish(): Promise<unknown> {
  const moved = { ...place(), repository: "lab/moved" };
  const { manifest } = await pushParts(moved);
  await putManifest(moved, "v1", manifest);
  return { source: "lab/moved:v1", destination: "lab/moved:v2" };
}

/** Whoever set the policy has agreed to it; they agree once more. */
async function agreement(): Promise<unknown> {
  const [row] = await app().database.query<{ id: string; version: string }>(
    "",
    "select id, xmin::text as version from promotion_policies",
  );
  NAMES.offer = row?.id ?? "";
  return { version: row?.version };
}

/** The server founds trust data at the first push under the rule. */
async function foundAndTakeOver(): Promise<unknown> {
  const place = { app: app(), as: "admin", repository: "acme/app" };
  expect((await putManifest(place, "v1", (await pushParts(place)).manifest)).status).toBe(201);
  return composeTakeOver(app(), "admin", "acme/app");
}

/** The very same again is no change, but on record like any other. */
function signedPolicy(): unknown {
  const policy = { version: 1, expires: "2999-01-01T00:00:00Z", environments: {}, teams: {} };
  const spki = pair.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  const payload = JSON.stringify({ ...policy, keys: { [pair.key.id]: { spki, user: "carol" } } });
  return JSON.parse(signEnvelope(POLICY_TYPE, Buffer.from(payload), [signerOf(pair)]).toString());
}

/** An image that was pushed for a promotion runs. */
async function deployed(): Promise<unknown> {
  const [row] = await app().database.query<{ digest: string }>(
    "",
    `select m.digest from manifests m join repositories r on r.id = m.repository_id where r.name = 'lab/moved'`,
  );
  const entry = { environment: "prod", service: "web", repository: "lab/moved", state: "running" };
  return { deployed: [{ ...entry, digest: row?.digest }] };
}

/** In an order in which each finds what it needs. */
const REST: readonly Change[] = [
  { route: "user-put", method: "PUT", path: "users/{user}", body: { password: PASSWORD } },
  {
    ...{ route: "user-key-add", method: "POST", path: "users/{user}/keys", as: "carol" },
    body: { name: "laptop", publicKey: pair.publicKey.export({ format: "pem", type: "spki" }) },
  },
  { route: "user-key-challenge", method: "POST", path: `${KEY}/challenge`, as: "carol" },
  { route: "user-key-prove", method: "PUT", path: `${KEY}/proof`, body: proof, as: "carol" },
  { route: "user-key-delete", method: "DELETE", path: KEY },
  { route: "org-put", method: "PUT", path: "orgs/{org}", body: {} },
  { route: "org-member-put", method: "PUT", path: "orgs/{org}/members/{user}", body: { role: "member" } },
  { route: "team-put", method: "PUT", path: "orgs/{org}/teams/{team}", body: {} },
  { route: "team-member-put", method: "PUT", path: "orgs/{org}/teams/{team}/members/{user}", body: {} },
  { route: "repository-put", method: "PUT", path: "orgs/{org}/repositories/{repo}", body: { visibility: "public" } },
  {
    ...{ route: "immutable-tags-put", method: "PUT", body: { patterns: ["gold*"] } },
    path: `${REPOSITORY}/immutable-tags`,
  },
  {
    ...{ route: "promotion-policy-put", method: "PUT", path: `${REPOSITORY}/promotion-policies/{policy}` },
    body: { targetRepository: "acme/app", tagTemplate: "%n-next", enabled: false },
  },
  {
    ...{ route: "promotion-offer-accept", method: "PUT", path: `${REPOSITORY}/promotion-offers/{offer}/acceptance` },
    body: agreement,
  },
  {
    ...{ route: "promotion-offer-refuse", method: "DELETE" },
    path: `${REPOSITORY}/promotion-offers/{offer}/acceptance`,
  },
  { route: "promotion-policy-delete", method: "DELETE", path: `${REPOSITORY}/promotion-policies/{policy}` },
  { route: "promotion-ask", method: "POST", path: "promotions", body: wish },
  { route: "grant-put", method: "PUT", path: "orgs/{org}/teams/{team}/grants/{repo}", body: { level: "admin" } },
  {
    route: "robot-put",
    method: "PUT",
    path: "orgs/{org}/robots/{robot}",
    body: { grants: [{ scope: "*", actions: ["pull"] }] },
  },
  {
    route: "policy-put",
    method: "PUT",
    path: "orgs/{org}/policies/{policy}",
    body: { repositories: ["none"], mode: "enforce", require: [{ k: 1 }] },
  },
  { route: "robot-rotate", method: "POST", path: "orgs/{org}/robots/{robot}/rotate", body: {} },
  { route: "token-create", method: "POST", path: "tokens", body: { name: "laptop" } },
  { route: "token-keys-rotate", method: "POST", path: "token-keys/rotate" },
  { route: "trust-keys-rotate", method: "POST", path: "orgs/{org}/repositories/{repo}/trust-keys/rotate" },
  { route: "auto-sign-put", method: "PUT", path: RULE, body: { tags: ["*"] } },
  { route: "trust-root-put", method: "PUT", path: "orgs/{org}/repositories/{repo}/trust/root", body: foundAndTakeOver },
  { route: "auto-sign-delete", method: "DELETE", path: RULE },
  { route: "trust-keys-rotate-all", method: "POST", path: "trust-keys/rotate" },
  { route: "keyring-reseal", method: "POST", path: "keyring/reseal" },
  { route: "scrub-put", method: "PUT", path: "scrub", body: { bytesPerSecond: 1_048_576, everyDays: 30 } },
  { route: "bridge-policy-put", method: "PUT", path: "policies/bridge", body: signedPolicy },
  {
    ...{ route: "cluster-credential-issue", method: "POST", path: "cluster-agent/credentials" },
    body: { environment: "prod", service: "web", repositories: ["acme/app"] },
  },
  {
    route: "cluster-credential-revoke",
    method: "DELETE",
    path: "cluster-agent/credentials/{environment}/{service}",
  },
  { route: "cluster-digests-put", method: "PUT", path: "cluster-agent/digests", body: deployed },
  { route: "token-delete", method: "DELETE", path: "tokens/{token}" },
  { route: "policy-delete", method: "DELETE", path: "orgs/{org}/policies/{policy}" },
  { route: "robot-delete", method: "DELETE", path: "orgs/{org}/robots/{robot}" },
  { route: "grant-delete", method: "DELETE", path: "orgs/{org}/teams/{team}/grants/{repo}" },
  { route: "team-member-delete", method: "DELETE", path: "orgs/{org}/teams/{team}/members/{user}" },
  { route: "team-delete", method: "DELETE", path: "orgs/{org}/teams/{team}" },
  { route: "org-member-delete", method: "DELETE", path: "orgs/{org}/members/{user}" },
  {
    route: "repository-rename",
    method: "POST",
    path: "orgs/{org}/repositories/{repo}/rename",
    body: { name: "acme/renamed", dropTrust: true },
  },
  { route: "repository-delete", method: "DELETE", path: "orgs/{org}/repositories/renamed" },
  { route: "org-delete", method: "DELETE", path: "orgs/{org}" },
  { route: "user-delete", method: "DELETE", path: "users/{user}" },
];

const NAMES: Record<string, string> = {
  user: "carol",
  org: "acme",
  team: "dev",
  repo: "app",
  rule: "all",
  robot: "ci",
  policy: "gold",
  token: "laptop",
  environment: "prod",
  service: "web",
  key: spkiOf(pair.key) ?? "",
};
const restPath = (path: string) => `/api/v1/${path.replace(/\{(\w+)\}/g, (_, name: string) => NAMES[name] ?? "")}`;

/** Runs have no transaction of their own, each of their steps has: what is on record of them is that they were asked for. */
const NOT_A_CHANGE = [
  "/api/v1/directories/{directory}/sync",
  "/api/v1/gc",
  "/api/v1/fsck",
  "/policies/{policy}/simulate",
];
/** The bridge makes these, and keeps a journal of its own: src/relay. */
const NOT_OURS = ["/api/v1/deployments", "/api/v1/cluster/orders"];
/** These need several people: src/promotion/decisions.test.ts. */
const ELSEWHERE = ["approvals", "rejection", "reversal"].map((what) => `/api/v1/promotions/{promotion}/${what}`);

describe("a change of REST", () => {
  it("and its record are there together or not at all, by every route", async () => {
    for (const { route, method, path, body: given, as = "admin" } of REST) {
      const body = typeof given === "function" ? await given() : given;
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      await mustBeOne(route, () => app().ask(method, restPath(path), { as, ...sent }));
    }
  });

  it("is tried above whatever its path", async () => {
    const { body } = await app().ask("GET", "/api/v1/openapi.json");
    const { paths }: { paths: Record<string, Record<string, unknown>> } = JSON.parse(body.toString());
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).flatMap((method) =>
        method === "get" || method === "parameters" ? [] : [`${method} ${path}`],
      ),
    );
    const tried = REST.map(
      ({ method, path }) => `${method.toLowerCase()} /api/v1/${path.replace("/renamed", "/{repo}")}`,
    );

    expect(
      all.filter((one) => ![...NOT_A_CHANGE, ...NOT_OURS, ...ELSEWHERE].some((path) => one.endsWith(path))).sort(),
    ).toEqual(tried.sort());
  });

  it("that is refused leaves no record of having been made", async () => {
    const before = await recorded(app().database);

    const answers = [
      await app().ask("PUT", "/api/v1/orgs/lab", { as: "admin", body: "{}", headers: { "if-match": '"1"' } }),
      await app().ask("PUT", "/api/v1/orgs/alice", { as: "admin", body: "{}" }),
      await app().ask("DELETE", "/api/v1/tokens/none", { as: "admin" }),
      await app().ask("POST", "/api/v1/orgs/lab/repositories/none/rename", {
        as: "admin",
        body: '{"name":"lab/other"}',
      }),
      await app().ask("DELETE", `/v2/lab/app/blobs/${digestOf("none")}`, { as: "admin" }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([412, 409, 404, 404, 404]);
    expect(await recorded(app().database)).toEqual(before);
  });
});
