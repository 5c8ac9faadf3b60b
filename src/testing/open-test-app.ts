import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, type AppSettings, openApp } from "../app.ts";
import { parseConfig } from "../config.ts";
import { type Listener, listen } from "../http/listener.ts";
import { createLog } from "../http/log.ts";
import type { Route } from "../http/route.ts";
import { newKeyLine } from "../keys/key-ring.ts";
import { ensureAdmin } from "../orgs/open-orgs.ts";
import type { Database } from "../storage/database.ts";
import { openTestDatabase } from "../storage/test-database.ts";
import { type Answer, type Ask, HttpClient } from "./http-client.ts";

/** Not where the test app listens: what it puts into a `Location` comes from here alone. */
export const PUBLIC_URL = "https://registry.test";

export const PASSWORD = "correct horse battery";
const TABLES = ["repositories", "blobs", "repository_blobs", "upload_sessions", "manifests", "tags"] as const;

export interface TestApp extends AsyncDisposable {
  readonly port: number;
  readonly routes: readonly Route[];
  readonly http: HttpClient;
  readonly database: Database;
  readonly blobsFolder: string;
  /** Everything logged so far, one parsed line each. */
  readonly log: readonly Record<string, unknown>[];
  ask(method: string, path: string, ask?: Ask): Promise<Answer>;
  /** An organization without members: admin may do everything in it. */
  addOrg(name: string): Promise<void>;
  /** How many rows and files there are: equal before and after means that nothing was stored. */
  stored(): Promise<Record<string, number>>;
  /** What was logged as an error: in a test without faults, a bug. */
  errors(): Record<string, unknown>[];
  /** One more process on the same database and the same bytes. */
  openAnother(env?: Readonly<Record<string, string>>): Promise<Node>;
}

export interface Node extends AsyncDisposable {
  readonly http: HttpClient;
  ask(method: string, path: string, ask?: Ask): Promise<Answer>;
}

/**
 * The whole system on the loopback, with the users admin (system administrator), alice and bob. `now` is the clock of
 * this process, where a test moves it.
 */
export async function openTestApp(env: Readonly<Record<string, string>> = {}, now?: () => Date): Promise<TestApp> {
  const { database, url, close } = await openTestDatabase();
  const folder = await mkdtemp(join(tmpdir(), "goldseal-app-"));
  const log: Record<string, unknown>[] = [];
  const logger = createLog({ write: (line) => log.push(JSON.parse(line)) });
  const masterKeys = newKeyLine(`test-${randomBytes(4).toString("hex")}`);
  const settings = (more: Readonly<Record<string, string>>): AppSettings => ({
    config: parseConfig({ GOLDSEAL_DATA: folder, ...env, ...more }),
    ...{ publicUrl: env.GOLDSEAL_PUBLIC_URL ?? PUBLIC_URL, databaseUrl: url, masterKeys },
  });
  // The test server syncs nothing, so prepareDatabase would rightly refuse it; its template is migrated already.
  await ensureAdmin(database, PASSWORD);
  const openNode = async (more: Readonly<Record<string, string>> = {}): Promise<RootNode> => {
    const app = await openApp(settings(more), { log: logger, ...(now === undefined ? {} : { now }) });
    return toNode(app, await listen(app.handler, { host: "127.0.0.1", port: 0 }));
  };
  const node = await openNode();
  for (const name of ["alice", "bob"]) {
    const body = JSON.stringify({ password: PASSWORD });
    const { status } = await node.ask("PUT", `/api/v1/users/${name}`, { as: "admin", body });
    if (status !== 201) throw new Error(`user ${name} was not made: ${status}`);
  }
  const blobsFolder = join(folder, "blobs");
  return {
    ...{ port: node.port, routes: node.routes, http: node.http, database, blobsFolder, log },
    ask: node.ask,
    addOrg: async (name) => {
      const { status } = await node.ask("PUT", `/api/v1/orgs/${name}`, { as: "admin", body: "{}" });
      if (status !== 201) throw new Error(`organization ${name} was not made: ${status}`);
    },
    stored: () => countStored(database, blobsFolder),
    errors: () => log.filter(({ level }) => level === "error"),
    openAnother: openNode,
    [Symbol.asyncDispose]: async () => {
      await node[Symbol.asyncDispose]();
      await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function basic(user: string, password = PASSWORD): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

type RootNode = Node & { readonly port: number; readonly routes: readonly Route[] };

function toNode(app: App, listener: Listener): RootNode {
  const http = new HttpClient(listener.port, (user) => basic(user));
  return {
    port: listener.port,
    routes: app.routes,
    http,
    ask: (method, path, ask) => http.ask(method, path, ask),
    [Symbol.asyncDispose]: async () => {
      http.close();
      await listener.drain(1_000);
      await app.close();
    },
  };
}

async function countStored(database: Database, blobsFolder: string): Promise<Record<string, number>> {
  const counts = TABLES.map((table) => `(select count(*)::int from ${table}) as ${table}`);
  const [rows] = await database.query<Record<string, number>>("", `select ${counts.join(", ")}`);
  // All at once: there are 512 folders, and every case asks twice.
  const files = readdirSync(blobsFolder, { recursive: true, withFileTypes: true });
  return { ...rows, files: files.filter((entry) => entry.isFile()).length };
}
