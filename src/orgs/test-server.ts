import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import type { z } from "zod";
import { openDoor } from "../http/door.ts";
import { listen } from "../http/listener.ts";
import { createLog } from "../http/log.ts";
import { Metrics } from "../http/metrics.ts";
import { json } from "../http/reply.ts";
import { type Access, type Handler, type Method, type Protocol, route } from "../http/route.ts";
import { newKeyLine, parseKeyRing } from "../keys/key-ring.ts";
import type { RepositoryAction } from "../oci/access.ts";
import { type OciCode, OciError } from "../oci/error.ts";
import { RepositoryStore } from "../storage/repository-store.ts";
import { openTestDatabase } from "../storage/test-database.ts";
import type { AuditEntry } from "./audit-store.ts";
import { type Orgs, type OrgsSettings, openOrgs } from "./open-orgs.ts";
import { Passwords } from "./passwords.ts";
import { UsersStore } from "./users-store.ts";

export const publicUrl = "https://registry.test:5443";
export const service = "registry.test:5443";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Undefined for what is no JSON; then reading a field of it fails the test. */
  readonly body: AnswerBody;
}

type Some<T> = readonly [T, ...T[]];

type EntryWire = AuditEntry & { readonly decision: string; readonly detail: { readonly teams: Some<unknown> } };

/** Of openapi.json: what stands under one path. */
export interface OperationWire {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string }[];
  readonly requestBody: ContentWire;
  readonly responses: Readonly<Record<"200" | "default", ContentWire>>;
}
interface ContentWire {
  readonly content: Readonly<Record<"application/json" | "application/problem+json", { readonly schema: JSONSchema }>>;
}
type PathWire = Readonly<Record<"get" | "put", OperationWire>>;
type JSONSchema = Parameters<typeof z.fromJSONSchema>[0];

/** What answers hold, all of them in one: a test reads the fields that it expects to be there. */
export interface AnswerBody {
  readonly [field: string]: unknown;
  readonly code: string;
  readonly detail: string;
  readonly errors: Some<{ readonly code: string; readonly message: string }>;
  readonly next: string;
  readonly token: string;
  readonly access_token: string;
  readonly refresh_token: string;
  readonly secret: string;
  readonly decision: string;
  readonly requestId: string;
  readonly directories: Some<{ readonly name: string; readonly lastSync: unknown }>;
  readonly entries: Some<EntryWire>;
  readonly grants: readonly { readonly scope: string }[];
  readonly keys: Some<{ readonly kid: string; readonly [name: string]: string }>;
  readonly members: readonly { readonly user: string; readonly role: string }[];
  readonly repositories: readonly string[] & readonly { readonly name: string; readonly visibility: string }[];
  readonly robots: Some<{ readonly name: string; readonly grants: readonly { readonly scope: string }[] }>;
  readonly tokens: Some<{ readonly name: string }>;
  readonly users: readonly { readonly name: string; readonly roles: string[] }[];
  readonly paths: Readonly<Record<string, PathWire>>;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** Where the request comes from: an address of the loopback network. */
  readonly from?: string;
}

export type TestServer = Awaited<ReturnType<typeof openTestServer>>;

/**
 * The real gate, token service and REST routes behind the real door, over HTTP, with a database of their own. In place
 * of the registry stand routes under `/v2/` that answer 200 to whoever the gate lets through.
 */
export async function openTestServer(settings: Partial<OrgsSettings> = {}) {
  const { database, close } = await openTestDatabase();
  const clock = { now: new Date("2026-11-22T12:00:00.700Z") };
  const ring = parseKeyRing(newKeyLine("k1"));
  const log = createLog({ level: "off" });
  const repositories = new RepositoryStore(database);
  const whole = { publicUrl, authChallenge: "bearer", tokenTtlSeconds: 300, anonymous: true, ...settings } as const;
  const openWorker = async () => {
    const parts = { database, ring, repositories, settings: whole, log, now: () => clock.now };
    const orgs = await openOrgs({ ...parts, releaseTrust: async () => true, operations: [], reseal: async () => 0 });
    const protocols = [...orgs.protocols, probeProtocol(orgs)];
    const door = openDoor({
      protocols,
      gate: orgs.gate,
      witness: orgs.witness,
      log,
      metrics: new Metrics(() => database.pool),
    });
    const listener = await listen(door, { host: "127.0.0.1", port: 0 });
    return {
      port: listener.port,
      send: (method: string, path: string, ask: Ask = {}) => send(listener.port, method, path, ask),
      close: async () => {
        await listener.drain(1000);
        await orgs.close();
      },
    };
  };
  const worker = await openWorker();
  const users = new UsersStore(database);
  return {
    database,
    clock,
    ring,
    repositories,
    /** Another process, as far as it knows: nothing is shared with the first but the database. */
    openWorker,
    port: worker.port,
    send: worker.send,
    addUser: async (name: string, password: string, { systemAdmin = false } = {}) =>
      users.create({ name, passwordHash: await new Passwords().hash(password), systemAdmin }),
    close: async () => {
      await worker.close();
      await close();
    },
  };
}

export function basic(name: string, password: string) {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
}

export function bearer(token: string) {
  return { authorization: `Bearer ${token}` };
}

async function send(port: number, method: string, path: string, ask: Ask): Promise<Answer> {
  const { headers = {}, body, from = "127.0.0.1" } = ask;
  const outgoing = request({ host: "127.0.0.1", port, method, path, agent: false, localAddress: from });
  for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value);
  // Once the answer is there, the connection may break over what is still being sent.
  outgoing.on("error", () => undefined).end(body);
  const [incoming] = await once(outgoing, "response");
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = /[/+]json/.test(incoming.headers["content-type"] ?? "");
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  };
}

const handled: Handler = async ({ actor }) => json(200, { actor: actor.name, kind: actor.kind });

function probe(method: Method, path: string, action: RepositoryAction) {
  const access: Access = { kind: "repository", action };
  return route(`probe-${action}`, method, path, access, handled);
}

const STATUS: Partial<Record<OciCode, number>> = {
  DENIED: 403,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  TOOMANYREQUESTS: 429,
  UNAUTHORIZED: 401,
  UNAVAILABLE: 503,
  UNSUPPORTED_REQUEST: 400,
};

const probeProtocol = ({ catalog }: Pick<Orgs, "catalog">): Protocol => ({
  prefix: "/v2/",
  routes: [
    route("ping", "GET", "/v2/", { kind: "ping" }, handled),
    route("catalog", "GET", "/v2/_catalog", { kind: "catalog" }, async ({ actor }) =>
      json(200, { repositories: await catalog(actor, "", 1000) }),
    ),
    probe("GET", "/v2/<name>/tags/list", "list"),
    probe("PUT", "/v2/<name>/tags/list", "push"),
    probe("DELETE", "/v2/<name>/tags/list", "untag"),
    probe("DELETE", "/v2/<name>/blobs/x", "delete"),
    probe("POST", "/v2/<name>/admin", "admin"),
    probe("GET", "/v2/<name>/manifests/x", "pull"),
    probe("POST", "/v2/<name>/sign", "sign"),
    probe("POST", "/v2/<name>/promote", "promote"),
  ],
  errorReply: (error) => {
    if (!(error instanceof OciError)) return undefined;
    return json(STATUS[error.code] ?? 500, { errors: [{ code: error.code, message: error.message }] }, error.headers);
  },
  notFound: () => new OciError("NOT_FOUND"),
  methodNotAllowed: () => new OciError("UNSUPPORTED"),
  badRequest: (message) => new OciError("UNSUPPORTED_REQUEST", { message }),
});
