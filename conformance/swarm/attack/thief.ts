/** Who owns the registry: the superuser of its database and its key ring. Signs what the server signs, and rewrites rows. */
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import nacl from "tweetnacl";
import { embeddedDatabase } from "../../crash/database.ts";
import { type Loose, metaOf, type Signer, toFile } from "../../notary/tuf-files.ts";

/** What a query brought: a case reads the columns that it expects. */
// biome-ignore lint/suspicious/noExplicitAny: columns have as many types as there are tables
type Row = Record<string, any>;

/** By role. */
export type Files = Readonly<Record<string, Buffer>>;

export class Thief {
  readonly #client: Client;
  readonly #ring: ReadonlyMap<string, Buffer>;
  readonly #blobs: string;

  private constructor(client: Client, ring: ReadonlyMap<string, Buffer>, blobs: string) {
    [this.#client, this.#ring, this.#blobs] = [client, ring, blobs];
  }

  static async open(data: string): Promise<Thief> {
    const client = new Client(embeddedDatabase(data));
    await client.connect();
    const lines = readFileSync(join(data, "master.key"), "utf8").split("\n");
    const keys = lines.map((line) => line.trim().split(/\s+/)).filter(([id, key]) => id && key && !id.startsWith("#"));
    return new Thief(
      client,
      new Map(keys.map(([id = "", key = ""]) => [id, Buffer.from(key, "base64")])),
      join(data, "blobs"),
    );
  }

  close(): Promise<void> {
    return this.#client.end();
  }

  async query(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#client.query(text, [...values])).rows;
  }

  /** Everything as it is served now. */
  async read(gun: string): Promise<Files> {
    const text = `select u.role, f.content from trust_collections c join trust_current u on u.collection_id = c.id
      join trust_files f using (collection_id, role, version) where c.gun = $1`;
    const rows = await this.query(text, [gun]);
    return Object.fromEntries(rows.map(({ role, content }) => [role, Buffer.from(content)]));
  }

  /** From now on these are served, whatever was. */
  async write(gun: string, files: Files): Promise<void> {
    const [collection] = await this.query("select id from trust_collections where gun = $1", [gun]);
    for (const [role, bytes] of Object.entries(files)) {
      const hash = createHash("sha256").update(bytes).digest();
      const row = [collection?.id, role, versionOf(bytes)];
      await this.query(
        `insert into trust_files values ($1, $2, $3, $4, $5, now() + interval '1 day', now())
         on conflict (collection_id, role, version) do update set sha256 = $4, content = $5`,
        [...row, hash, bytes],
      );
      await this.query(
        `insert into trust_current values ($1, $2, $3, now(), now() + interval '1 day', now() + interval '1 day')
         on conflict (collection_id, role) do update set version = $3`,
        row,
      );
    }
  }

  /** One of the roots that led to the current one. What stood there. */
  async writeRoot(gun: string, version: number, content: Buffer): Promise<Buffer> {
    const [row] = await this.query(`select content from trust_files where ${ROOT}`, [gun, version]);
    await this.query(`update trust_files set content = $3 where ${ROOT}`, [gun, version, content]);
    return Buffer.from(row?.content ?? "");
  }

  async renumberRoot(gun: string, version: number, other: number): Promise<void> {
    await this.query(`update trust_files set version = $3 where ${ROOT}`, [gun, version, other]);
  }

  /** Puts the files in, and has snapshot and timestamp speak of them, signed with the server's own keys. */
  async forge(gun: string, files: Files, change: { snapshot?: Change; timestamp?: Change } = {}): Promise<void> {
    const now = await this.read(gun);
    const snapshot = await this.sign(gun, "snapshot", now.snapshot, (signed) => {
      const meta = signed.meta as Loose;
      for (const [role, bytes] of Object.entries(files)) meta[role] = metaOf(bytes);
      change.snapshot?.(signed);
    });
    await this.write(gun, { ...files, snapshot, timestamp: await this.timestamp(gun, snapshot, change.timestamp) });
  }

  /** The next timestamp, of this snapshot. */
  async timestamp(gun: string, snapshot: Buffer, change: Change = () => undefined): Promise<Buffer> {
    const { timestamp } = await this.read(gun);
    return this.sign(gun, "timestamp", timestamp, (signed) => {
      (signed.meta as Loose).snapshot = metaOf(snapshot);
      signed.expires = new Date(Date.now() + 14 * 86_400_000).toISOString();
      change(signed);
    });
  }

  /** The next version of a file that the server signs. */
  async sign(gun: string, role: "snapshot" | "timestamp", last: Buffer | undefined, change: Change): Promise<Buffer> {
    const signed = signedOf(last);
    signed.version = Number(signed.version) + 1;
    change(signed);
    return toFile(signed, [await this.serverKey(gun, role)]);
  }

  /** Other bytes in the blob store's folder, as many as there were. */
  spoilBlob(digest: string, change: (bytes: Buffer) => Uint8Array): void {
    const hex = digest.slice("sha256:".length);
    const found = readdirSync(this.#blobs, { recursive: true, encoding: "utf8" }).find((name) => name.endsWith(hex));
    if (found === undefined) throw new Error(`the blob store has no ${digest}`);
    const file = join(this.#blobs, found);
    chmodSync(file, 0o600);
    writeFileSync(file, change(readFileSync(file)));
  }

  async serverKey(gun: string, role: string): Promise<Signer> {
    const text = "select * from trust_keys where gun = $1 and role = $2 and first_used_at is not null";
    const [row] = await this.query(text, [gun, role]);
    if (row === undefined) throw new Error(`the server has no ${role} key of ${gun}`);
    const seed = this.#unseal(row.sealed_by, row.sealed);
    const privateKey = createPrivateKey({ key: Buffer.concat([ED25519, seed]), format: "der", type: "pkcs8" });
    const publicBytes = Buffer.from(row.public_key);
    return { type: "ed25519", method: "eddsa", publicBytes, privateKey, publicKey: createPublicKey(privateKey) };
  }

  #unseal(by: string, sealed: Uint8Array): Buffer {
    const [bytes, secret] = [new Uint8Array(sealed), new Uint8Array(this.#ring.get(by) ?? [])];
    const opened = nacl.secretbox.open(bytes.subarray(24), bytes.subarray(0, 24), secret);
    if (opened === null) throw new Error("the key ring does not open it");
    return Buffer.from(opened).subarray(opened.indexOf(0) + 1);
  }
}

const ROOT = "collection_id = (select id from trust_collections where gun = $1) and role = 'root' and version = $2";

export type Change = (signed: Loose) => void;

const ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");

export function signedOf(bytes: Buffer | undefined): Loose {
  return JSON.parse(String(bytes)).signed;
}

export function versionOf(bytes: Buffer): number {
  return Number(signedOf(bytes).version);
}
