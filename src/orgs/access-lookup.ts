import { LRUCache } from "lru-cache";
import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Database, Row, Sql } from "../storage/database.ts";
import { type RightsVersion, readRights } from "../storage/rights-row.ts";
import type { RobotGrant, TeamGrant } from "./permissions.ts";
import { toUser, type User, userColumns } from "./users-store.ts";

export interface AccessKey {
  /** A user's name, or a robot's (`org+name`); empty for anonymous. */
  readonly user: string;
  /** Row id of a personal token or robot's secret, where it is to be good still. */
  readonly credential?: number | undefined;
  /** A repository's name; empty where none is concerned. */
  readonly repository: string;
  /** A user or organization; default: that of the repository. */
  readonly namespace?: string;
}

export type OrgRole = "owner" | "member";

export interface Robot {
  readonly id: number;
  readonly org: string;
}

/** Everything that a permission depends on, as the database has it now. */
export interface AccessFacts {
  readonly user: User | undefined;
  /** Undefined for one that is past its time too. */
  readonly robot: Robot | undefined;
  /** Whether the credential that was asked for is theirs, and good now. */
  readonly credentialGood: boolean;
  /** Undefined when there is no such repository. */
  readonly repositoryId: number | undefined;
  readonly visibility: "public" | "private" | undefined;
  /** How many repositories gave up the name, or came to it by a move. */
  readonly nameEpoch: number;
  readonly namespaceExists: boolean;
  /** The user's role in the namespace, where that is an organization. */
  readonly orgRole: OrgRole | undefined;
  /** Of the user's teams in the namespace: for this repository, and for all. */
  readonly grants: readonly TeamGrant[];
  readonly robotGrants: readonly RobotGrant[];
}

/** A key that is asked for again and again, such as a token's: what was found for it is found by it. */
export class LastingKey implements AccessKey {
  readonly user: string;
  readonly credential: number | undefined;
  readonly repository: string;
  /** Of {@link openAccessLookup}. */
  entry: Entry | undefined;

  constructor({ user, credential, repository }: AccessKey) {
    this.user = user;
    this.credential = credential;
    this.repository = repository;
  }
}

/** A look at the database that was asked for by the same request, and reads the version of the rights. */
export type Looked = Promise<{ readonly rights: string } | undefined>;

/** Without `looked` it looks itself. */
export type FindAccess = (key: AccessKey, looked?: Looked) => Promise<AccessFacts>;

const NOTHING: AccessFacts = {
  user: undefined,
  robot: undefined,
  credentialGood: false,
  repositoryId: undefined,
  visibility: undefined,
  nameEpoch: 0,
  namespaceExists: false,
  orgRole: undefined,
  grants: [],
  robotGrants: [],
};

/**
 * Every join and the one subquery is a probe of an index, whatever the number of rows. Not `now()`, which is when the
 * transaction began: one that waited for a rotation to end would find the old secret good still.
 */
const ACCESS = `
  select ${userColumns}, r.id as repository_id, r.visibility, e.epoch as name_epoch, n.kind as namespace_kind, m.role,
    case when m.role is not null then (
      select jsonb_agg(jsonb_build_object('team', t.name, 'level', g.level, 'extra', g.extra,
        'scope', case when g.repository_id is null then '*' else r.name end))
      from team_members tm join grants g on g.team_id = tm.team_id and g.scope_id in (0, r.id)
      join teams t on t.id = tm.team_id
      where tm.user_id = u.id and tm.org = n.name
    ) end as grants,
    (select version from rights_version) as version, least(p.expires_at, s.expires_at, b.expires_at) as good_until,
    b.id as robot_id, b.org as robot_org, (p.id is not null or s.id is not null) as credential_good,
    case when b.org = n.name then (
      select jsonb_agg(jsonb_build_object('scope', coalesce(b.org || '/' || g.prefix || '*', r.name), 'actions', g.actions))
      from robot_grants g
      where g.robot_id = b.id and (g.repository_id = r.id or starts_with(k.repository, b.org || '/' || g.prefix))
    ) end as robot_grants
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) with ordinality
    as k (principal, repository, namespace, credential, position)
  left join users u on u.name = k.principal
  left join robots b on b.full_name = k.principal and (b.expires_at is null or b.expires_at > clock_timestamp())
  left join personal_tokens p on p.id = k.credential and p.user_id = u.id
    and (p.expires_at is null or p.expires_at > clock_timestamp())
  left join robot_secrets s on s.id = k.credential and s.robot_id = b.id
    and (s.expires_at is null or s.expires_at > clock_timestamp())
  left join repositories r on r.name = k.repository
  left join repository_names e on e.name = k.repository
  left join namespaces n on n.name = k.namespace
  left join org_members m on m.org = n.name and m.user_id = u.id
  order by k.position`;

/** What was found, and for how long it is true. */
interface Reading {
  readonly facts: AccessFacts;
  readonly version: string;
  /** When the first of the credentials that were found ends, in ms of the database's clock. */
  readonly goodUntil: number;
}

/** The last reading of one key, whoever has the key. */
interface Entry {
  reading: Reading | undefined;
}

const maxRemembered = 10_000;

/**
 * Reads whoever asks and what it is about together; look-ups waiting at the same moment share one query. What was found
 * is remembered with the version that the rights had then: it is true for as long as they have it, and whether they still
 * do is read in every call: along with what the request reads anyhow (storage/rights-row.ts), or, with the time where
 * something ends by itself, by one small query for all that wait. (owners of the rows: the stores of this room and storage/repository-store.ts; this only reads.
 * 0013_rights_version.sql says what raises the version.)
 */
export function openAccessLookup(database: Database): FindAccess {
  const lookup = new BatchedLookup<AccessKey, Reading>((keys) => load(database, keys), { nameOf });
  const versions = new BatchedLookup<"rights", RightsVersion>(async () => [await readRights(database)], {
    nameOf: (name) => name,
  });
  const entries = new LRUCache<string, Entry>({ max: maxRemembered });
  const entryOf = (key: AccessKey): Entry => {
    const lasting = key instanceof LastingKey ? key : undefined;
    if (lasting?.entry !== undefined) return lasting.entry;
    const name = nameOf(key);
    const entry = entries.get(name) ?? { reading: undefined };
    entries.set(name, entry);
    if (lasting !== undefined) lasting.entry = entry;
    return entry;
  };
  return async (key, looked) => {
    const entry = entryOf(key);
    const known = entry.reading;
    if (known !== undefined && looked !== undefined && known.goodUntil === Number.POSITIVE_INFINITY) {
      if ((await looked)?.rights === known.version) return known.facts;
    } else if (known !== undefined) {
      const rights = await versions.find("rights");
      if (rights?.version === known.version && rights.now < known.goodUntil) return known.facts;
    }
    const found = await lookup.find(key);
    if (found === undefined) return NOTHING;
    entry.reading = found;
    return found.facts;
  };
}

/** As JSON, because a user's name is whatever somebody sent: no two keys have the same text. */
function nameOf({ user, credential, repository, namespace }: AccessKey): string {
  return JSON.stringify([user, credential ?? null, repository, namespace ?? null]);
}

/** As a transaction sees it. */
export async function readAccess(sql: Sql, key: AccessKey): Promise<AccessFacts> {
  return (await load(sql, [key]))[0]?.facts ?? NOTHING;
}

async function load(sql: Sql, keys: readonly AccessKey[]): Promise<Reading[]> {
  const rows = await sql.query("access", ACCESS, [
    keys.map(({ user }) => user),
    keys.map(({ repository }) => repository),
    keys.map(({ repository, namespace }) => namespace ?? repository.slice(0, Math.max(0, repository.indexOf("/")))),
    keys.map(({ credential }) => credential ?? null),
  ]);
  return rows.map((row) => ({
    facts: toFacts(row),
    version: row.version,
    goodUntil: row.good_until?.getTime() ?? Number.POSITIVE_INFINITY,
  }));
}

function toFacts(row: Row): AccessFacts {
  return {
    user: row.id === null ? undefined : toUser(row),
    robot: row.robot_id === null ? undefined : { id: Number(row.robot_id), org: row.robot_org },
    credentialGood: row.credential_good,
    repositoryId: row.repository_id === null ? undefined : Number(row.repository_id),
    visibility: row.visibility ?? undefined,
    nameEpoch: row.name_epoch ?? 0,
    namespaceExists: row.namespace_kind !== null,
    orgRole: row.role ?? undefined,
    grants: row.grants ?? [],
    robotGrants: row.robot_grants ?? [],
  };
}
