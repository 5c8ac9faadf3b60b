/** The routes of REST that concern an organization, an account or the installation: who may, and what they then get. */
import { createHash, generateKeyPairSync } from "node:crypto";
import { memberKey } from "./member-key.ts";
import type { ActorId } from "./oracle.ts";
import { RELAY_ROWS } from "./relay-rows.ts";
import { NAMES, ORG, PASSWORD, USERS, type World } from "./world.ts";

/**
 * Who may. `members`: of the organization, whoever oversees all of them too. `owners`: of it, and system administrators;
 * `overseers`: they, and auditors. `agents`: the account of the cluster's bridge, which is A1, and system administrators.
 * `accounts`: people, for what is their own; robots have no account.
 */
type Who =
  | ("anyone" | "signed-in" | "accounts" | "members" | "owners")
  | ("overseers" | "auditors" | "administrators" | "agents");

export interface Row {
  readonly who: Who;
  readonly method: string;
  /** `fresh` is a name that nothing has yet, or that was made by {@link make}. */
  path(fresh: string, actor: ActorId): string;
  /** A function makes one for each cell. */
  readonly body?: unknown;
  readonly ok: number;
  /** What goes with `ok` where that is a refusal other than a miss. */
  readonly code?: string;
  /** What a personal token gets where only a password will do. */
  readonly tokens?: readonly [status: number, code: string];
  /** What an account that may not gets where it is not the usual. */
  readonly robots?: readonly [status: number, code: string];
  /** The administrator makes what is to be changed. */
  readonly make?: (fresh: string) => readonly (readonly [path: string, body: unknown])[];
  /** What would answer otherwise has to be over. */
  readonly ready?: (world: World) => Promise<void>;
}

const org = (rest = "") => `/api/v1/orgs/${ORG}${rest}`;
const user = (name: string) => `/api/v1/users/${name}`;
const owner = { org: (fresh: string) => `/api/v1/orgs/${fresh}`, password: { password: PASSWORD } };
const member = (fresh: string) =>
  [
    [user(fresh), owner.password],
    [org(`/members/${fresh}`), { role: "member" }],
  ] as const;
const inTeam = (fresh: string) => [...member(fresh), [org(`/teams/${fresh}`), {}]] as const;
const self = (actor: ActorId) => (actor in USERS ? USERS[actor as keyof typeof USERS] : "nobody");
const NO_ACCOUNT = [403, "forbidden"] as const;
/** Other people do not exist for a robot. */
const NOBODY = [404, "not-found"] as const;
const ownKeys = (_: string, actor: ActorId) => `${user(self(actor))}/keys`;
const noKey = (fresh: string) => createHash("sha256").update(fresh).digest("hex");
const newKey = (name: string) => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { name, publicKey: publicKey.export({ format: "pem", type: "spki" }) };
};
/** Of no repository that other cells pull from. */
const policy = { repositories: ["nothing"], mode: "off", require: [{ k: 1 }] };
const GC = "/api/v1/gc";
const FSCK = "/api/v1/fsck";
const AGENT = "/api/v1/cluster-agent";
const BRIDGE_POLICY = "/api/v1/policies/bridge";

/** One collection at a time: the server's own, or that of the cell before. */
async function untilNothingIsCollected(world: World): Promise<void> {
  const { runs = [] }: { runs?: { state: string }[] } = world.json(await world.must(200, "GET", GC));
  if (runs.some(({ state }) => state === "running")) return untilNothingIsCollected(world);
}

export const REST_ROWS: Readonly<Record<string, Row>> = {
  "users-list": { who: "auditors", method: "GET", path: () => "/api/v1/users", ok: 200 },
  "user-get": {
    ...{ who: "accounts", method: "GET", ok: 200, robots: [404, "not-found"] },
    path: (_, actor) => user(self(actor)),
  },
  "user-put": { who: "administrators", method: "PUT", path: user, body: owner.password, ok: 201 },
  "user-delete": {
    ...{ who: "administrators", method: "DELETE", path: user, ok: 204 },
    make: (fresh) => [[user(fresh), owner.password]],
  },
  "user-keys-list": { who: "accounts", method: "GET", path: ownKeys, ok: 200, robots: NOBODY },
  "user-key-get": {
    ...{ who: "accounts", method: "GET", ok: 404, robots: NOBODY },
    path: (fresh, actor) => `${ownKeys(fresh, actor)}/${noKey(fresh)}`,
  },
  "user-key-add": {
    ...{ who: "accounts", method: "POST", path: ownKeys, body: newKey, ok: 201, robots: NOBODY },
    tokens: [403, "forbidden"],
  },
  "user-key-challenge": {
    ...{ who: "accounts", method: "POST", ok: 404, robots: NOBODY, tokens: [403, "forbidden"] },
    path: (fresh, actor) => `${ownKeys(fresh, actor)}/${noKey(fresh)}/challenge`,
  },
  "user-key-prove": {
    ...{ who: "accounts", method: "PUT", ok: 404, robots: NOBODY, tokens: [403, "forbidden"] },
    path: (fresh, actor) => `${ownKeys(fresh, actor)}/${noKey(fresh)}/proof`,
    body: { method: "ecdsa", signature: "AAAA" },
  },
  "user-key-delete": {
    ...{ who: "accounts", method: "DELETE", ok: 404, robots: NOBODY },
    path: (fresh, actor) => `${ownKeys(fresh, actor)}/${noKey(fresh)}`,
  },
  "org-key-get": { who: "members", method: "GET", path: () => org(`/keys/${memberKey.id}`), ok: 200 },
  "orgs-list": { who: "accounts", method: "GET", path: () => "/api/v1/orgs", ok: 200, robots: NO_ACCOUNT },
  "org-get": { who: "members", method: "GET", path: () => org(), ok: 200 },
  "org-put": { who: "owners", method: "PUT", path: () => org(), body: {}, ok: 200 },
  "org-delete": {
    ...{ who: "administrators", method: "DELETE", path: owner.org, ok: 204 },
    make: (fresh) => [[owner.org(fresh), {}]],
  },
  "org-members-list": { who: "members", method: "GET", path: () => org("/members"), ok: 200 },
  "org-member-get": { who: "members", method: "GET", path: () => org(`/members/${USERS.A5}`), ok: 200 },
  "org-member-put": {
    ...{ who: "owners", method: "PUT", body: { role: "member" }, ok: 201 },
    path: (fresh) => org(`/members/${fresh}`),
    make: (fresh) => [[user(fresh), owner.password]],
  },
  "org-member-delete": {
    ...{ who: "owners", method: "DELETE", ok: 204, make: member },
    path: (fresh) => org(`/members/${fresh}`),
  },
  "teams-list": { who: "members", method: "GET", path: () => org("/teams"), ok: 200 },
  "team-get": { who: "members", method: "GET", path: () => org("/teams/readers"), ok: 200 },
  "team-put": { who: "owners", method: "PUT", path: (fresh) => org(`/teams/${fresh}`), body: {}, ok: 201 },
  "team-delete": {
    ...{ who: "owners", method: "DELETE", path: (fresh) => org(`/teams/${fresh}`), ok: 204 },
    make: (fresh) => [[org(`/teams/${fresh}`), {}]],
  },
  "team-members-list": { who: "members", method: "GET", path: () => org("/teams/readers/members"), ok: 200 },
  "team-member-get": {
    ...{ who: "members", method: "GET", ok: 200 },
    path: () => org(`/teams/readers/members/${USERS.A2}`),
  },
  "team-member-put": {
    ...{ who: "owners", method: "PUT", body: {}, ok: 201, make: inTeam },
    path: (fresh) => org(`/teams/${fresh}/members/${fresh}`),
  },
  "team-member-delete": {
    ...{ who: "owners", method: "DELETE", ok: 204 },
    path: (fresh) => org(`/teams/${fresh}/members/${fresh}`),
    make: (fresh) => [...inTeam(fresh), [org(`/teams/${fresh}/members/${fresh}`), {}]],
  },
  "grants-list": { who: "members", method: "GET", path: () => org("/teams/readers/grants"), ok: 200 },
  "grant-get": { who: "members", method: "GET", path: () => org("/teams/all-readers/grants/*"), ok: 200 },
  "robots-list": { who: "members", method: "GET", path: () => org("/robots"), ok: 200 },
  "robot-get": { who: "members", method: "GET", path: () => org("/robots/puller"), ok: 200 },
  "tokens-list": { who: "accounts", method: "GET", path: () => "/api/v1/tokens", ok: 200, robots: NO_ACCOUNT },
  "token-delete": {
    ...{ who: "accounts", method: "DELETE", ok: 404, robots: NO_ACCOUNT },
    path: (fresh) => `/api/v1/tokens/${fresh}`,
  },
  "audit-search": { who: "signed-in", method: "GET", path: () => "/api/v1/audit?limit=1", ok: 200 },
  explain: {
    ...{ who: "signed-in", method: "GET", ok: 200 },
    path: () => `/api/v1/explain?action=pull&repository=${ORG}/two`,
  },
  "explain-decision": { who: "signed-in", method: "GET", path: (fresh) => `/api/v1/explain/${fresh}`, ok: 404 },
  "directories-list": { who: "administrators", method: "GET", path: () => "/api/v1/directories", ok: 200 },
  "directory-sync": {
    ...{ who: "administrators", method: "POST", ok: 404 },
    path: (fresh) => `/api/v1/directories/${fresh}/sync`,
  },
  "token-keys-rotate": { who: "administrators", method: "POST", path: () => "/api/v1/token-keys/rotate", ok: 201 },
  "gc-start": {
    ...{ who: "administrators", method: "POST", body: { dryRun: true }, ok: 202, ready: untilNothingIsCollected },
    path: () => GC,
  },
  "gc-list": { who: "administrators", method: "GET", path: () => GC, ok: 200 },
  "gc-get": { who: "administrators", method: "GET", path: (fresh) => `${GC}/${fresh}`, ok: 404 },
  "gc-items": { who: "administrators", method: "GET", path: (fresh) => `${GC}/${fresh}/items`, ok: 404 },
  "fsck-start": { who: "administrators", method: "POST", path: () => FSCK, body: {}, ok: 202 },
  "fsck-list": { who: "administrators", method: "GET", path: () => FSCK, ok: 200 },
  "fsck-get": { who: "administrators", method: "GET", path: (fresh) => `${FSCK}/${fresh}`, ok: 404 },
  "fsck-findings": { who: "administrators", method: "GET", path: (fresh) => `${FSCK}/${fresh}/findings`, ok: 404 },
  "quarantine-list": { who: "administrators", method: "GET", path: () => "/api/v1/quarantine", ok: 200 },
  "scrub-get": { who: "administrators", method: "GET", path: () => "/api/v1/scrub", ok: 200 },
  "scrub-put": {
    ...{ who: "administrators", method: "PUT", path: () => "/api/v1/scrub", ok: 200 },
    body: { bytesPerSecond: 4_194_304, everyDays: 7 },
  },
  "keyring-reseal": { who: "administrators", method: "POST", path: () => "/api/v1/keyring/reseal", ok: 200 },
  "trust-keys-list": { who: "administrators", method: "GET", path: () => "/api/v1/trust-keys", ok: 200 },
  "trust-keys-rotate-all": {
    ...{ who: "administrators", method: "POST", ok: 200 },
    path: () => "/api/v1/trust-keys/rotate",
  },
  "promotions-list": { who: "signed-in", method: "GET", path: () => "/api/v1/promotions?limit=1", ok: 200 },
  "promotion-get": { who: "signed-in", method: "GET", path: (fresh) => `/api/v1/promotions/${fresh}`, ok: 404 },
  "promotion-approve": {
    ...{ who: "signed-in", method: "POST", ok: 404 },
    path: (fresh) => `/api/v1/promotions/${fresh}/approvals`,
    body: { payload: "e30=", payloadType: "text/plain", signatures: [{ sig: "AAAA" }] },
  },
  "promotion-reject": {
    ...{ who: "signed-in", method: "POST", body: {}, ok: 404 },
    path: (fresh) => `/api/v1/promotions/${fresh}/rejection`,
  },
  "promotion-reverse": {
    ...{ who: "signed-in", method: "POST", body: {}, ok: 404 },
    path: (fresh) => `/api/v1/promotions/${fresh}/reversal`,
  },
  "image-history": {
    ...{ who: "signed-in", method: "GET", ok: 200 },
    path: () => `/api/v1/history?digest=sha256:${"0".repeat(64)}`,
  },
  "cluster-credential-issue": {
    ...{ who: "agents", method: "POST", path: () => `${AGENT}/credentials`, ok: 201 },
    body: (fresh: string) => ({ environment: "prod", service: fresh, repositories: [NAMES.R1] }),
  },
  "cluster-credential-revoke": {
    ...{ who: "agents", method: "DELETE", ok: 404 },
    path: (fresh) => `${AGENT}/credentials/prod/${fresh}`,
  },
  "cluster-digests-put": {
    ...{ who: "agents", method: "PUT", path: () => `${AGENT}/digests`, body: { deployed: [] }, ok: 200 },
  },
  "org-signers": { who: "members", method: "GET", path: () => org("/signers"), ok: 200 },
  "policies-list": { who: "overseers", method: "GET", path: () => org("/policies"), ok: 200 },
  "policy-get": { who: "overseers", method: "GET", path: (fresh) => org(`/policies/${fresh}`), ok: 404 },
  "policy-put": {
    ...{ who: "owners", method: "PUT", path: (fresh) => org(`/policies/${fresh}`), body: policy, ok: 201 },
  },
  "policy-simulate": {
    ...{ who: "owners", method: "POST", path: (fresh) => org(`/policies/${fresh}/simulate`), body: policy, ok: 200 },
  },
  "policy-delete": {
    ...{ who: "owners", method: "DELETE", path: (fresh) => org(`/policies/${fresh}`), ok: 204 },
    make: (fresh) => [[org(`/policies/${fresh}`), policy]],
  },
  "bridge-policy-get": { who: "signed-in", method: "GET", path: () => BRIDGE_POLICY, ok: 404 },
  "bridge-policy-put": {
    ...{ who: "administrators", method: "PUT", ok: 400, code: "policy-malformed" },
    ...{ path: () => BRIDGE_POLICY, body: {} },
  },
  "bridge-policy-versions": { who: "auditors", method: "GET", path: () => `${BRIDGE_POLICY}/versions`, ok: 200 },
  "bridge-policy-version": {
    ...{ who: "auditors", method: "GET", ok: 404 },
    path: (fresh) => `${BRIDGE_POLICY}/versions/${fresh}`,
  },
  ...RELAY_ROWS,
  openapi: { who: "anyone", method: "GET", path: () => "/api/v1/openapi.json", ok: 200 },
  "token-jwks": { who: "anyone", method: "GET", path: () => "/token/jwks.json", ok: 200 },
  healthz: { who: "anyone", method: "GET", path: () => "/healthz", ok: 200 },
  readyz: { who: "anyone", method: "GET", path: () => "/readyz", ok: 200 },
  metrics: { who: "anyone", method: "GET", path: () => "/metrics", ok: 200 },
  "trust-health": { who: "anyone", method: "GET", path: () => "/_notary_server/health", ok: 200 },
};
