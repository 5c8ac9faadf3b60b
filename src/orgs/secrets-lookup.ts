import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Database } from "../storage/database.ts";
import { hashOfSecret } from "./secrets.ts";

/** Whose secret it is; whether it is still good is judged with the rest of its owner's rows. */
export interface SecretOwner {
  /** A user's name, or a robot's: `org+name`. */
  readonly name: string;
  /** Row id of the personal token or of the robot's secret. */
  readonly credential: number;
}

export type FindSecret = (secret: string) => Promise<SecretOwner | undefined>;

interface Found extends SecretOwner {
  readonly kind: "personal" | "robot";
  readonly stale: boolean;
}

const LOOKUP = `
  select case when p.id is null then 'robot' else 'personal' end as kind, coalesce(u.name, b.full_name) as name,
    coalesce(p.id, s.id) as credential,
    coalesce(coalesce(p.last_used_at, s.last_used_at) < now() - interval '1 minute', true) as stale
  from unnest($1::bytea[]) with ordinality as k (hash, position)
  left join personal_tokens p on p.token_hash = k.hash
  left join users u on u.id = p.user_id
  left join robot_secrets s on s.secret_hash = k.hash
  left join robots b on b.id = s.robot_id
  order by k.position`;

const TOUCH = {
  personal: "update personal_tokens set last_used_at = now() where id = $1",
  robot: "update robot_secrets set last_used_at = now() where id = $1",
} as const;

/**
 * Finds the owner of a personal token or a robot's secret by its hash, and notes once a minute that it was used.
 * (owners of the rows: personal-tokens-store.ts, robots-store.ts.)
 */
export function openSecretsLookup(database: Database): FindSecret {
  const lookup = new BatchedLookup<Buffer, Found>(async (hashes) => {
    const rows = await database.query("secrets", LOOKUP, [hashes]);
    return rows.map((row) =>
      row.name === null
        ? undefined
        : { kind: row.kind, name: row.name, credential: Number(row.credential), stale: row.stale },
    );
  });
  return async (secret) => {
    const found = await lookup.find(hashOfSecret(secret));
    if (found?.stale === true) await database.query(`secret-used-${found.kind}`, TOUCH[found.kind], [found.credential]);
    return found;
  };
}
