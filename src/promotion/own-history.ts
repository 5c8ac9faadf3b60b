import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { listImageEvents } from "../storage/image-history.ts";
import type { HistoryEntry, HistorySource } from "./deps.ts";

/** Pushes, promotions and what people said to them. */
export function openOwnHistory(sql: Sql): HistorySource {
  return async (asked) => {
    const events = await listImageEvents(sql, asked);
    const origins = await findOrigins(
      sql,
      events.flatMap(({ detail }) => (typeof detail.promotion === "number" ? [detail.promotion] : [])),
    );
    return events.map(
      ({ at, kind, repository, tag, by, detail }): HistoryEntry => ({
        ...{ at, kind, repository, tag, by: [by.name], teams: [], detail },
        from: typeof detail.promotion === "number" ? origins.get(detail.promotion) : undefined,
      }),
    );
  };
}

interface Origin {
  readonly repository: RepositoryName;
  readonly tag: Tag | undefined;
}

/** By what the source is called now: one that is gone is nobody's. */
async function findOrigins(sql: Sql, ids: readonly number[]): Promise<ReadonlyMap<number, Origin>> {
  if (ids.length === 0) return new Map();
  const rows = await sql.query<{ id: string; name: RepositoryName; tag: Tag | null }>(
    "promotion-origins",
    `select p.id, r.name, p.source_tag as tag from promotions p join repositories r on r.id = p.source_id
     where p.id = any($1::bigint[])`,
    [ids],
  );
  return new Map(rows.map(({ id, name, tag }) => [Number(id), { repository: name, tag: tag ?? undefined }]));
}
