import type { Digest } from "../oci/digest.ts";
import type { Reference } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Database } from "./database.ts";
import { RIGHTS, type Seen, toSeen } from "./rights-row.ts";
import { toWatch, WATCH, WATCH_JOIN } from "./watch-column.ts";

export interface ManifestRow {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
}

/** A manifest, as a request names it. */
export interface ManifestKey {
  readonly repository: RepositoryName;
  readonly reference: Reference;
}

/** A manifest that is there. */
export interface FoundManifest extends ManifestRow {
  readonly repositoryId: number;
  /** Its bytes are damaged: it counts as absent until somebody pushes it again. */
  readonly quarantined: boolean;
  /** Something is in quarantine, which it may need: see `ManifestStore.isWhole`. */
  readonly doubtful: boolean;
  /** See watch-column.ts; undefined where no policy concerns the repository. */
  readonly watch: string | undefined;
}

const FIND_ROWS = `
  select k.at, r.id, m.size, m.digest, m.media_type, case when m.quarantined_at is not null then 2
    when (select true from blobs where quarantined_at is not null limit 1) then 1
    when (select true from manifests where quarantined_at is not null limit 1) then 1 else 0 end,
    ${WATCH}, ${RIGHTS}
  from unnest($1::text[], $2::text[], $3::text[]) with ordinality as k (repository, tag, digest, at)
  left join repositories r on r.name = k.repository ${WATCH_JOIN}
  left join manifests m on m.repository_id = r.id and m.digest = coalesce(k.digest,
    (select t.manifest_digest from tags t where t.repository_id = r.id and t.name = k.tag))`;

/** One statement, whatever number of requests wait for it; in the order of the keys. */
export async function findRows(database: Database, keys: readonly ManifestKey[]): Promise<Seen<FoundManifest>[]> {
  const rows = await database.lookUp({
    name: "manifest-rows",
    text: FIND_ROWS,
    keys: [
      keys.map(({ repository }) => repository),
      keys.map(({ reference }) => (reference.kind === "tag" ? reference.tag : null)),
      keys.map(({ reference }) => (reference.kind === "digest" ? reference.digest : null)),
    ],
  });
  return toSeen(rows, ([, id, size, digest, mediaType, quarantined, watch, people]) => {
    if (digest === null) return undefined;
    return {
      ...{ repositoryId: Number(id), digest: digest as Digest, mediaType: mediaType ?? "", size: Number(size) },
      ...{ quarantined: quarantined === "2", doubtful: quarantined === "1", watch: toWatch(watch, people) },
    };
  });
}
