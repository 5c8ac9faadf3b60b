import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Digest, digestOf } from "../../oci/digest.ts";
import type { RegistryDeps } from "../../registry/deps.ts";
import type { StoredBlob } from "../../storage/blob-inventory.ts";
import { BlobRows, type SeeBytes } from "../../storage/blob-rows.ts";
import type { BlobStore } from "../../storage/blob-store.ts";
import { Database } from "../../storage/database.ts";
import type { Failpoint } from "../../storage/failpoint.ts";
import { FsBlobInventory } from "../../storage/fs-blob-inventory.ts";
import { FsBlobStore } from "../../storage/fs-blob-store.ts";
import { Collector, type GcEvent } from "../../storage/gc/collector.ts";
import { ManifestStore } from "../../storage/manifest-store.ts";
import { RepositoryStore } from "../../storage/repository-store.ts";
import { startTestPostgres, templateName, testDatabaseUrl } from "../../storage/test-postgres.ts";
import { UploadStore } from "../../storage/upload-store.ts";

export const PUSHERS = ["one", "two"] as const;
export type ActorName = (typeof PUSHERS)[number] | "collector";

/** What one process would hold: its own connections, its own view of the same rows and files. */
export interface Parts {
  readonly deps: RegistryDeps;
  readonly collector: Collector;
}

/** One PostgreSQL, one blob folder, and for each actor the real code on both. */
export class World {
  readonly control: Database;
  readonly folder: string;
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
    this.folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "goldseal-explore-"));
    this.control = new Database({ url: this.#url("goldseal"), maxConnections: 2 });
  }

  static async open(): Promise<World> {
    const { sockets, stop } = await startTestPostgres();
    const server = new Database({ url: testDatabaseUrl(sockets, "postgres"), maxConnections: 1 });
    await server.query("", `create database explore template ${templateName}`);
    // Roles tell whose connection is whose.
    for (const role of [...PUSHERS, "collector"]) await server.query("", `create role ${role} superuser login`);
    await server.close();
    const world = new World(sockets, stop);
    for (const name of PUSHERS)
      await world.control.query("", "insert into namespaces (name, kind) values ($1, 'org')", [name]);
    for (const name of [...PUSHERS, "collector"] as const) await world.#open(name);
    return world;
  }

  async close(): Promise<void> {
    await this.#stop();
    rmSync(this.folder, { recursive: true, force: true });
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
    await this.#open(actor, this.partsOf(actor).deps.blobs);
  }

  /** What a process of its own would open. Files have no connection that could die. */
  async #open(actor: ActorName, opened?: BlobStore): Promise<void> {
    const failpoint: Failpoint = (point) => this.failpoints.get(actor)?.(point);
    const database = new Database({ url: this.#url(actor), maxConnections: 3, lockMs: 5_000 });
    const blobs = opened ?? (await FsBlobStore.open(this.folder, failpoint));
    const seeBytes: SeeBytes = async (digest, size) => (await blobs.findSize(digest)) === size;
    const inventory = new UniverseInventory(this.folder, blobs, this.universe);
    const deps = {
      authorize: async () => ({ allowed: true }) as const,
      catalog: async () => [],
      blobs,
      blobRows: new BlobRows(database, seeBytes),
      uploads: new UploadStore(database),
      manifests: new ManifestStore(database, { seeBytes, failpoint }),
      repositories: new RepositoryStore(database),
      publicUrl: "https://explore.test",
      confirm: () => async () => undefined,
      deletion: true,
      redirects: () => false,
      failpoint,
    };
    const observe = (event: GcEvent): void => {
      if (event.kind === "error") this.complaints.push(event.error);
      if (event.kind === "damaged") this.complaints.push(new Error(`${event.blob.digest} is needed, and has no bytes`));
    };
    const options = { database, inventory, seeBytes, failpoint, observe, graceSeconds: 0, untaggedSeconds: 0 };
    this.#parts.set(actor, { deps, collector: new Collector(options) });
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
    for (const digest of this.universe.keys()) {
      const found = await new FsBlobInventory(this.folder).withdraw(digest);
      await found?.discard();
    }
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

/** Lists what a schedule may have stored without looking through 512 folders each time; all else is the real one's. */
class UniverseInventory extends FsBlobInventory {
  readonly #blobs: BlobStore;
  readonly #universe: ReadonlyMap<Digest, Buffer>;

  constructor(root: string, blobs: BlobStore, universe: ReadonlyMap<Digest, Buffer>) {
    super(root);
    this.#blobs = blobs;
    this.#universe = universe;
  }

  override async *list(): AsyncGenerator<StoredBlob> {
    for (const digest of this.#universe.keys()) {
      const size = await this.#blobs.findSize(digest);
      if (size !== undefined) yield { digest, size };
    }
  }
}
