import type { Digest } from "../oci/digest.ts";
import type { Sql } from "../storage/database.ts";

/** An image that became a service's, on the bridge's word. */
export interface Deployment {
  readonly environment: string;
  readonly service: string;
  readonly digest: Digest;
  readonly since: Date;
}

/** Of an image that is kept for something else already the bridge tells in its next list: that may come after the order's end. */
const EARLIEST_SECONDS = 60;
/** The bridge tells of an image before it touches the cluster; a stack of many services takes its time. */
const LATEST_HOURS = 6;

/**
 * Who ordered it: the user whose order through this server had just this as its outcome; undefined where none had. By place in
 * `list`. (owner of the rows: audit-store.ts; this only reads)
 */
export async function findDeployers(sql: Sql, list: readonly Deployment[]): Promise<(string | undefined)[]> {
  if (list.length === 0) return [];
  const rows = await sql.query<{ actor: string | null }>(
    "deployers",
    `select (
       select a.actor from audit_log a
       where a.target = any(array(select jsonb_array_elements_text(k.targets)))
         and a.at between k.since - make_interval(secs => $2) and k.since + make_interval(hours => $3)
         and a.outcome = 'done' and split_part(case
           when a.action = 'service.deploy' and a.target = k.targets->>0 then a.detail->'outcome'->>'pinned'
           when a.action = 'stack.deploy' then a.detail->'outcome'->'services'->k.service->>'pinned' end, '@', 2) = k.digest
       order by a.at, a.id limit 1) as actor
     from jsonb_to_recordset($1::jsonb) as k (place int, service text, digest text, since timestamptz, targets jsonb)
     order by k.place`,
    [
      JSON.stringify(list.map((one, place) => ({ ...one, place, targets: targetsOf(one) }))),
      EARLIEST_SECONDS,
      LATEST_HOURS,
    ],
  );
  return rows.map(({ actor }) => actor ?? undefined);
}

/** As the record may call it: the service itself, or the stack that it is of, whose name it begins with. */
function targetsOf({ environment, service }: Deployment): string[] {
  const ends = [...service.matchAll(/_/g)].map(({ index }) => index);
  return [service.length, ...ends].map((end) => `${environment}/${service.slice(0, end)}`);
}
