import type { Change, Database, Row, Sql } from "../storage/database.ts";
import { type HandedPolicy, mustFollow, type PolicySigner, peopleIn } from "./bridge-policy.ts";

/** One policy document as it was handed in. */
export interface BridgePolicy {
  readonly version: number;
  readonly expiresAt: Date;
  /** The envelope, byte for byte. */
  readonly bytes: Buffer;
  /** Over the envelope. */
  readonly envelopeSha256: Buffer;
  readonly payloadSha256: Buffer;
  readonly signers: readonly PolicySigner[];
  readonly putBy: string;
  readonly putAt: Date;
}

export interface Handing {
  readonly by: string;
  readonly at: Date;
}

const LATEST = "select * from bridge_policies order by id desc limit 1";

/** The table `bridge_policies`: nothing in it is ever changed. */
export class BridgePolicyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(): Promise<BridgePolicy | undefined> {
    return findLatest(this.#database);
  }

  /** As {@link find}, where the document names the user. */
  async findNaming(user: string): Promise<BridgePolicy | undefined> {
    const text = `select * from (${LATEST}) latest where $1 = any(people)`;
    const [row] = await this.#database.query("bridge-policy-naming", text, [user]);
    return row === undefined ? undefined : toPolicy(row);
  }

  /** The one with the most signatures. */
  async findVersion(version: number): Promise<BridgePolicy | undefined> {
    const text = "select * from bridge_policies where version = $1 order by id desc limit 1";
    const [row] = await this.#database.query("bridge-policy-version", text, [version]);
    return row === undefined ? undefined : toPolicy(row);
  }

  /** Newest first: those before version `before`, without their bytes. */
  async page(before: number, limit: number): Promise<Omit<BridgePolicy, "bytes">[]> {
    const text = `select distinct on (version) version, expires_at, envelope_sha256, payload_sha256, signers, put_by, put_at
      from bridge_policies where version < $1 order by version desc, id desc limit $2`;
    return (await this.#database.query("bridge-policies", text, [before, limit])).map(toPolicy);
  }

  /**
   * Whether it is new. The very same bytes again change nothing.
   * @throws ProblemError policy-version
   */
  async put(
    handed: HandedPolicy,
    signers: readonly PolicySigner[],
    { by, at }: Handing,
    change: Change,
  ): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await change.confirm(sql);
      await sql.query("bridge-policy-lock", "lock table bridge_policies in share row exclusive mode");
      const before = await findLatest(sql);
      change.check(before?.envelopeSha256.toString("hex"));
      if (before?.envelopeSha256.equals(handed.envelopeSha256) === true) return false;
      mustFollow(handed, signers, before);
      const { document, bytes, envelopeSha256, payloadSha256 } = handed;
      await sql.query(
        "bridge-policy-put",
        `insert into bridge_policies
           (version, expires_at, envelope, envelope_sha256, payload_sha256, signers, people, put_by, put_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        [
          ...[document.version, document.expiresAt, bytes, envelopeSha256, payloadSha256],
          ...[JSON.stringify(signers), peopleIn(handed), by, at],
        ],
      );
      return true;
    });
  }
}

async function findLatest(sql: Sql): Promise<BridgePolicy | undefined> {
  const [row] = await sql.query("bridge-policy", LATEST);
  return row === undefined ? undefined : toPolicy(row);
}

function toPolicy(row: Row): BridgePolicy {
  return {
    version: Number(row.version),
    expiresAt: row.expires_at,
    bytes: row.envelope,
    envelopeSha256: row.envelope_sha256,
    payloadSha256: row.payload_sha256,
    signers: row.signers,
    putBy: row.put_by,
    putAt: row.put_at,
  };
}
