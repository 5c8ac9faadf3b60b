import type { S3Kind } from "../../../conformance/harness/s3-servers.ts";
import { type Digest, digestOf } from "../../oci/digest.ts";
import type { RegistryDeps } from "../../registry/deps.ts";
import { BlobRows, type SeeBytes } from "../../storage/blob-rows.ts";
import { Database } from "../../storage/database.ts";
import type { Failpoint } from "../../storage/failpoint.ts";
import { Collector, type GcEvent } from "../../storage/gc/collector.ts";
import { ManifestStore } from "../../storage/manifest-store.ts";
import { RepositoryStore } from "../../storage/repository-store.ts";
import { startTestPostgres, templateName, testDatabaseUrl } from "../../storage/test-postgres.ts";
import { UploadStore } from "../../storage/upload-store.ts";
import { ExploredBucket } from "./bucket.ts";
import { ExploredFiles, type ExploredStorage, type ProcessStorage } from "./storage.ts";

export const PUSHERS = ["one", "two"] as const;
export type ActorName = (typeof PUSHERS)[number] | "collector";

/** Nothing damages bytes here: whoever cannot read them has met a fault of ours. */
const NO_DAMAGE: RegistryDeps["doubts"] = {
  isThere: () => undefined,
  suspect: () => undefined,
  settle: ({ digest }) => Promise.reject(new Error(`${digest} cannot be read`)),
  settleManifest: ({ digest }) => Promise.reject(new Error(`${digest} cannot be read`)),
};

/** What one process would hold: its own connections, its own view of the same rows and files. */
export interface Parts {
  readonly deps: RegistryDeps;
  readonly collector: Collector;
  readonly storage: ProcessStorage;
}

/** One PostgreSQL, one blob folder or bucket, and for each actor the real code on both. */
export class World {
  readonly control: Database;
  /** Set once, by {@link World.open}. */
  storage: ExploredStorage;
  readonly #sockets: string;
  readonly #stop: () => Promise<void>;
  /** Where each actor stops; set by whoever leads a schedule. */
  readonly failpoints = new Map<ActorName, Failpoint>();
  /** What the collector could not do. */
  readonly complaints: unknown[] = [];
  readonly #parts = new Map<ActorName, Parts>();
  /** What there may be in a schedule, by digest. */
  readonly universe = new Map<Digest, Buffer>();

  private constructor(sockets: string, stop: () => Promise<void>) {
    this.#sockets = sockets;
    this.#stop = stop;
    this.control = new Database({ url: this.#url("goldseal"), maxConnections: 2 });
    this.storage = new ExploredFiles(this.universe);
  }

  /** `s3`: on which server; undefined: on files. */
  static async open(s3: S3Kind | undefined): Promise<World> {
    const { sockets, stop } = await startTestPostgres();
    const server = new Database({ url: testDatabaseUrl(sockets, "postgres"), maxConnections: 1 });
    await server.query("", `create database explore template ${templateName}`);
    // Roles tell whose connection is whose.
    for (const role of [...PUSHERS, "collector"]) await server.query("", `create role ${role} superuser login`);
    await server.close();
    const world = new World(sockets, stop);
    if (s3 !== undefined) world.storage = await ExploredBucket.start(s3, world.control);
    for (const name of PUSHERS)
      await world.control.query("", "insert into namespaces (name, kind) values ($1, 'org')", [name]);
    for (const name of [...PUSHERS, "collector"] as const) await world.#open(name);
    return world;
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.storage.close();
  }

  partsOf(actor: ActorName): Parts {
    const parts = this.#parts.get(actor);
    if (parts === undefined) throw new Error(`${actor} is not open`);
    return parts;
  }

  /** The process is gone: PostgreSQL rolls back and releases what it held. Another one takes its place. */
  async replace(actor: ActorName): Promise<void> {
    await this.control.query("", "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [actor]);
    while ((await this.#backends(actor, "true")) > 0);
    await this.#open(actor, this.partsOf(actor).storage);
  }

  /** What a process of its own would open. */
  async #open(actor: ActorName, opened?: ProcessStorage): Promise<void> {
    const failpoint: Failpoint = (point) => this.failpoints.get(actor)?.(point);
    const database = new Database({ url: this.#url(actor), maxConnections: 3, lockMs: 60_000 });
    const storage = await this.storage.open({ database, failpoint }, opened);
    const { blobs, inventory } = storage;
    const seeBytes: SeeBytes = async (digest, size) => (await blobs.findSize(digest)) === size;
    const deps = {
      authorize: async () => ({ allowed: true }) as const,
      catalog: async () => [],
      checkPull: () => undefined,
      blobs,
      blobRows: new BlobRows(database, seeBytes),
      uploads: new UploadStore(database),
      manifests: new ManifestStore(database, { seeBytes, failpoint }),
      repositories: new RepositoryStore(database),
      publicUrl: "https://explore.test",
      confirm: () => async () => undefined,
      deletion: true,
      redirects: () => false,
      doubts: NO_DAMAGE,
      failpoint,
    };
    const observe = (event: GcEvent): void => {
      if (event.kind === "error") this.complaints.push(event.error);
      if (event.kind === "damaged") this.complaints.push(new Error(`${event.blob.digest} is needed, and has no bytes`));
    };
    const options = { database, inventory, seeBytes, failpoint, observe, graceSeconds: 0, untaggedSeconds: 0 };
    this.#parts.set(actor, { deps, collector: new Collector(options), storage });
  }

  /** Whether a statement of the actor waits for a row or lock of another. */
  async isBlocked(actor: ActorName): Promise<boolean> {
    return (await this.#backends(actor, "wait_event_type = 'Lock'")) > 0;
  }

  async #backends(actor: ActorName, where: "true" | "wait_event_type = 'Lock'"): Promise<number> {
    const text = `select 1 from pg_stat_activity where usename = $1 and ${where}`;
    return (await this.control.query(`explore-${where}`, text, [actor])).length;
  }

  async reset(): Promise<void> {
    for (const table of ["manifest_children", "manifests", "repository_blobs", "blobs", "repositories", "gc_runs"])
      await this.control.query("", `delete from ${table}`);
    await this.storage.reset();
    this.universe.clear();
    this.complaints.length = 0;
  }

  add(text: string): Digest {
    const content = Buffer.from(text);
    const digest = digestOf(content);
    this.universe.set(digest, content);
    return digest;
  }

  #url(role: string): string {
    return testDatabaseUrl(this.#sockets, "explore").replace("goldseal@", `${role}@`);
  }
}
