import { parseJson } from "../oci/json.ts";
import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Database } from "../storage/database.ts";
import type { LookupRow } from "../storage/lookup-query.ts";
import type { RobotGrant, TeamGrant } from "./permissions.ts";
import type { User } from "./users-store.ts";

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

/** Of a user's row what decides. */
export type Account = Omit<User, "createdAt" | "version">;

export type OrgRole = "owner" | "member";

export interface Robot {
  readonly id: number;
  readonly org: string;
}

/** Everything that a permission depends on, as the database has it now. */
export interface AccessFacts {
  readonly user: Account | undefined;
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

export type FindAccess = (key: AccessKey) => Promise<AccessFacts>;

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

const KEYS = `
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) with ordinality
    as k (principal, repository, namespace, credential, position)
  left join users u on u.name = k.principal
  left join repositories r on r.name = k.repository
  left join repository_names e on e.name = k.repository
  left join namespaces n on n.name = k.namespace
  left join org_members m on m.org = n.name and m.user_id = u.id`;

const COLUMNS = `
  select u.id, u.name, u.password_hash, u.system_admin, u.auditor, u.suspended, u.token_epoch,
    r.id, r.visibility, e.epoch, n.name, m.role,
    case when m.role is not null then (
      select jsonb_agg(jsonb_build_object('team', t.name, 'level', g.level, 'extra', g.extra,
        'scope', case when g.repository_id is null then '*' else r.name end))
      from team_members tm join grants g on g.team_id = tm.team_id and g.scope_id in (0, r.id)
      join teams t on t.id = tm.team_id
      where tm.user_id = u.id and tm.org = n.name
    ) end`;

/** Of people with a password, or a token they got for one: most requests. */
const PEOPLE = `${COLUMNS} ${KEYS} order by k.position`;

/** Where some are robots, or came with a credential that must be good still. */
const ALL = `${COLUMNS}, b.id, b.org,
    case when b.org = n.name then (
      select jsonb_agg(jsonb_build_object('scope', coalesce(b.org || '/' || g.prefix || '*', r.name), 'actions', g.actions))
      from robot_grants g
      where g.robot_id = b.id and (g.repository_id = r.id or starts_with(k.repository, b.org || '/' || g.prefix))
    ) end,
    p.id is not null or s.id is not null
  ${KEYS}
  left join robots b on b.full_name = k.principal and (b.expires_at is null or b.expires_at > now())
  left join personal_tokens p on p.id = k.credential and p.user_id = u.id
    and (p.expires_at is null or p.expires_at > now())
  left join robot_secrets s on s.id = k.credential and s.robot_id = b.id
    and (s.expires_at is null or s.expires_at > now())
  order by k.position`;

/**
 * Reads whoever asks and what it is about together; look-ups waiting at the same moment share one query. (owners of the
 * rows: the stores of this room and storage/repository-store.ts; this only reads.)
 */
export function openAccessLookup(database: Database): FindAccess {
  const lookup = new BatchedLookup<AccessKey, AccessFacts>((keys) => load(database, keys), {
    // As JSON, because a user's name is whatever somebody sent: no two keys have the same text.
    nameOf: ({ user, credential, repository, namespace }) =>
      JSON.stringify([user, credential ?? null, repository, namespace ?? null]),
  });
  return async (key) => (await lookup.find(key)) ?? NOTHING;
}

/** Every table that a statement names costs time, found something there or not: those of robots are left out where none is. */
async function load(database: Database, keys: readonly AccessKey[]): Promise<AccessFacts[]> {
  const isPeople = keys.every(({ user, credential }) => credential === undefined && !user.includes("+"));
  const rows = await database.lookUp({
    ...(isPeople ? { name: "access-people", text: PEOPLE } : { name: "access", text: ALL }),
    keys: [
      keys.map(({ user }) => user),
      keys.map(({ repository }) => repository),
      keys.map(({ repository, namespace }) => namespace ?? repository.slice(0, Math.max(0, repository.indexOf("/")))),
      keys.map(({ credential }) => credential ?? null),
    ],
  });
  return rows.map(toFacts);
}

function toFacts(row: LookupRow): AccessFacts {
  const [repositoryId, visibility, epoch, namespace, role, grants] = row.slice(7);
  const [robotId, robotOrg, robotGrants, credentialGood] = row.slice(13);
  return {
    user: toAccount(row),
    robot: robotId == null ? undefined : { id: Number(robotId), org: robotOrg ?? "" },
    credentialGood: credentialGood === "t",
    repositoryId: repositoryId == null ? undefined : Number(repositoryId),
    visibility: (visibility as AccessFacts["visibility"]) ?? undefined,
    nameEpoch: Number(epoch),
    namespaceExists: namespace != null,
    orgRole: (role as OrgRole | null) ?? undefined,
    grants: toGrants<TeamGrant>(grants),
    robotGrants: toGrants<RobotGrant>(robotGrants),
  };
}

/** The statement makes the JSON of the fields that a grant has. */
function toGrants<G extends TeamGrant | RobotGrant>(text: string | null | undefined): readonly G[] {
  return text == null ? [] : (parseJson(Buffer.from(text)) as unknown as readonly G[]);
}

function toAccount([id, name, passwordHash, systemAdmin, auditor, suspended, tokenEpoch]: LookupRow):
  | Account
  | undefined {
  if (id == null) return undefined;
  return {
    id: Number(id),
    name: name ?? "",
    passwordHash: passwordHash ?? "",
    systemAdmin: systemAdmin === "t",
    auditor: auditor === "t",
    suspended: suspended === "t",
    tokenEpoch: Number(tokenEpoch),
  };
}
