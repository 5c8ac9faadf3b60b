/** 100,000 GUNs on either server: a few that clients publish to, and copies of one of them, which are read. */
import { Collection, type Place, toBody } from "../../notary/collection.ts";
import { canonical, type Loose, type Signer, signatureOf, toFile, withSignatures } from "../../notary/tuf-files.ts";
import { withDatabase } from "../access/database.ts";
import { basic, Client } from "../client.ts";
import type { LaneName } from "../lanes.ts";
import type { Server } from "../servers.ts";
import { type NotaryPeer, withClient } from "./peer.ts";

export const ORG = "bench";
/** As many as publish at once, at most. */
export const LIVE = 32;
/** Twenty tags in each file of targets. */
const TARGETS = Object.fromEntries(
  Array.from({ length: 20 }, (_, at) => {
    const hashes = { sha256: Buffer.alloc(32, at + 1).toString("base64") };
    return [`v1.${at}`, { hashes, length: 1234 + at }];
  }),
);
/** The hash of the tag that moves. */
const CHANGING = Buffer.alloc(32, 20).toString("base64");
/** GUNs that reads go around. */
const READ = 256;

export interface Sizes {
  readonly guns: number;
}

/** What a lane reads and publishes. */
export interface Trust {
  readonly lane: LaneName;
  readonly server: Server;
  readonly live: readonly LiveGun[];
  /** Copies, from all over the table. */
  readonly guns: readonly string[];
  /** The `Authorization` for one GUN; empty for none. */
  authorize(gun: string): Promise<string>;
}

/** One that is published to, by one client at a time. */
export class LiveGun {
  readonly gun: string;
  readonly #signer: Signer;
  readonly #pieces: readonly string[];
  #version = 1;

  /** What stays is written once: the client must cost little. In canonical JSON the version comes last. */
  constructor({ gun, targets }: Collection, signed: Loose) {
    this.gun = gun;
    this.#signer = targets;
    this.#pieces = canonical(signed).replace(/1}$/, "").split(CHANGING);
  }

  /** The next version, with one tag moved and signed: what docker sends where the server holds the snapshot key. */
  nextBody(): Buffer {
    const hash = Buffer.alloc(32);
    hash.writeUInt32BE(++this.#version);
    const message = `${this.#pieces.join(hash.toString("base64"))}${this.#version}}`;
    return toBody([{ filename: "targets", bytes: withSignatures(message, [signatureOf(this.#signer, message)]) }]);
  }
}

export async function seedPeer(peer: NotaryPeer, { guns }: Sizes): Promise<Trust> {
  const live = await publishLive(peer, `${peer.url.host}/${ORG}`, "");
  await withClient(peer.databaseUrl, async (client) => {
    const gun = live[0]?.gun;
    const name = "$1::text || '-' || lpad(n::text, 6, '0')";
    await client.query(
      `insert into tuf_files (created_at, updated_at, gun, role, version, data, sha256)
       select created_at, updated_at, ${name}, role, version, data, sha256
       from tuf_files cross join generate_series(1, $2::int) n where gun = $1`,
      [gun, guns],
    );
    await client.query(
      `insert into changefeed (created_at, gun, version, sha256, category)
       select created_at, ${name}, version, sha256, category
       from changefeed cross join generate_series(1, $2::int) n where gun = $1`,
      [gun, guns],
    );
    await client.query("analyze");
  });
  return { lane: "peer", server: peer, live, guns: copiesOf(live, guns), authorize: async () => "" };
}

/** The organization's repositories are public, so that both lanes read the same ones. */
export async function seedGoldseal(server: Server, { guns }: Sizes): Promise<Trust[]> {
  const client = new Client(server);
  const body = Buffer.from(JSON.stringify({ defaultVisibility: "public" }));
  await client.ask(`/api/v1/orgs/${ORG}`, { method: "PUT", headers: { authorization: basic }, body, expect: 201 });
  client.close();
  const live = await publishLive(server, `${server.url.host}/${ORG}`, basic);
  const gun = live[0]?.gun ?? "";
  await withDatabase(server, async (database) => {
    for (const statement of COPIES) await database.query(statement, [gun, guns]);
    await database.query("analyze");
  });
  const of = { server, live, guns: copiesOf(live, guns) };
  return [
    { ...of, lane: "anonymous", authorize: async () => "" },
    { ...of, lane: "token", authorize: (one) => tokenFor(server, one) },
  ];
}

const COPY = "$1::text || '-' || lpad(n::text, 6, '0')";
const COPIES = [
  `insert into repositories (name, namespace, visibility)
   select split_part(${COPY}, '/', 2) || '/' || split_part(${COPY}, '/', 3), '${ORG}', 'public'
   from generate_series(1, $2::int) n`,
  `insert into trust_collections (gun, created_at)
   select ${COPY}, c.created_at from trust_collections c cross join generate_series(1, $2::int) n where c.gun = $1`,
  `insert into trust_files (collection_id, role, version, sha256, content, expires_at, created_at)
   select t.id, f.role, f.version, f.sha256, f.content, f.expires_at, f.created_at
   from trust_collections c join trust_files f on f.collection_id = c.id
   cross join generate_series(1, $2::int) n join trust_collections t on t.gun = ${COPY} where c.gun = $1`,
  `insert into trust_current (collection_id, role, version, signed_at, expires_at, warn_at)
   select t.id, u.role, u.version, u.signed_at, u.expires_at, u.warn_at
   from trust_collections c join trust_current u on u.collection_id = c.id
   cross join generate_series(1, $2::int) n join trust_collections t on t.gun = ${COPY} where c.gun = $1`,
  `insert into trust_keys (gun, role, key_id, algorithm, public_key, sealed_by, sealed, created_at, first_used_at)
   select ${COPY}, role, key_id, algorithm, public_key, sealed_by, sealed, created_at, first_used_at
   from trust_keys cross join generate_series(1, $2::int) n where gun = $1`,
  `insert into trust_changes (created_at, gun, version, sha256, category)
   select created_at, ${COPY}, version, sha256, category
   from trust_changes cross join generate_series(1, $2::int) n where gun = $1`,
];

function copiesOf([first]: readonly LiveGun[], guns: number): string[] {
  return Array.from({ length: Math.min(READ, guns) }, (_, at) => {
    const n = 1 + Math.floor((at * guns) / READ);
    return `${first?.gun}-${String(n).padStart(6, "0")}`;
  });
}

async function publishLive(server: Server, prefix: string, authorization: string): Promise<LiveGun[]> {
  const client = new Client(server);
  const headers = authorization === "" ? {} : { authorization };
  const place: Place = {
    prefix,
    client: {
      ask: (path, ask = {}) => client.ask(path, { expect: 200, ...ask, headers: { ...headers, ...ask.headers } }),
    },
  };
  try {
    const live: LiveGun[] = [];
    for (let n = 0; n < LIVE; n++) live.push(await publishFirst(place, `live${n}`));
    return live;
  } finally {
    client.close();
  }
}

async function publishFirst(place: Place, name: string): Promise<LiveGun> {
  const collection = await Collection.open(place, name);
  const signed = { ...collection.targetsSigned(1), targets: TARGETS };
  await collection.push([collection.rootPart(), { filename: "targets", bytes: toFile(signed, [collection.targets]) }]);
  return new LiveGun(collection, signed);
}

async function tokenFor(server: Server, gun: string): Promise<string> {
  const client = new Client(server);
  try {
    const headers = { authorization: basic };
    const query = new URLSearchParams({ service: server.url.host, scope: `repository:${gun}:push,pull` });
    const { body } = await client.ask(`/token?${query}`, { headers, expect: 200 });
    return `Bearer ${JSON.parse(body.toString()).token}`;
  } finally {
    client.close();
  }
}
