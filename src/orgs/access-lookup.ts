import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Database, Row } from "../storage/database.ts";
import type { RobotGrant, TeamGrant } from "./permissions.ts";
import { toUser, type User, userColumns } from "./users-store.ts";

export interface AccessKey {
  /** A user's name; empty for anonymous. */
  readonly user: string;
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
  readonly robot: Robot | undefined;
  /** Undefined when there is no such repository. */
  readonly repositoryId: number | undefined;
  readonly visibility: "public" | "private" | undefined;
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
  repositoryId: undefined,
  visibility: undefined,
  namespaceExists: false,
  orgRole: undefined,
  grants: [],
  robotGrants: [],
};

/** Every join and the one subquery is a probe of an index, whatever the number of rows. */
const ACCESS = `
  select ${userColumns}, r.id as repository_id, r.visibility, n.kind as namespace_kind, m.role,
    case when m.role is not null then (
      select jsonb_agg(jsonb_build_object('team', t.name, 'level', g.level, 'extra', g.extra,
        'scope', case when g.repository_id is null then '*' else r.name end) order by t.name)
      from team_members tm join grants g on g.team_id = tm.team_id join teams t on t.id = tm.team_id
      where tm.user_id = u.id and tm.org = n.name and (g.repository_id is null or g.repository_id = r.id)
    ) end as grants
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k (user_name, repository, namespace, position)
  left join users u on u.name = k.user_name
  left join repositories r on r.name = k.repository
  left join namespaces n on n.name = k.namespace
  left join org_members m on m.org = n.name and m.user_id = u.id
  order by k.position`;

/**
 * Reads whoever asks and what it is about together; look-ups waiting at the same moment share one query. (owners of the
 * rows: the stores of this room and storage/repository-store.ts; this only reads.)
 */
export function openAccessLookup(database: Database): FindAccess {
  const lookup = new BatchedLookup<AccessKey, AccessFacts>(async (keys) => {
    const rows = await database.query("access", ACCESS, [
      keys.map(({ user }) => user),
      keys.map(({ repository }) => repository),
      keys.map(({ repository, namespace }) => namespace ?? repository.slice(0, Math.max(0, repository.indexOf("/")))),
    ]);
    return rows.map(toFacts);
  });
  return async (key) => (await lookup.find(key)) ?? NOTHING;
}

function toFacts(row: Row): AccessFacts {
  return {
    user: row.id === null ? undefined : toUser(row),
    robot: undefined,
    repositoryId: row.repository_id === null ? undefined : Number(row.repository_id),
    visibility: row.visibility ?? undefined,
    namespaceExists: row.namespace_kind !== null,
    orgRole: row.role ?? undefined,
    grants: row.grants ?? [],
    robotGrants: [],
  };
}
