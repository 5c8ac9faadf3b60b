/**
 * The installation of access/seed.ts filled: 1 M blobs, each a row of one or two of 100,000 repositories, 310,000 manifests
 * and 1 M tags, 100,000 of them in one repository; or a tenth of that. One blob in ten is garbage. Rows go in as the schema has them, every
 * constraint and trigger included. Objects of these blobs are not made: pages and marking look at rows alone.
 */
import type pg from "pg";
import { withDatabase } from "../access/database.ts";
import { seedInstallation } from "../access/seed.ts";
import type { Server } from "../servers.ts";

export interface Sizes {
  readonly blobs: number;
  /** Of the one repository with very many; the others have nine each. */
  readonly manyTags: number;
}

export const FULL: Sizes = { blobs: 1_000_000, manyTags: 100_000 };
export const QUICK: Sizes = { blobs: 100_000, manyTags: 10_000 };

const PER_REPOSITORY = 10;
const MANIFESTS = 3;
const MANY_MANIFESTS = 10_000;
const TYPE = "application/vnd.oci.image.manifest.v1+json";

const helpers = ({ blobs }: Sizes): string[] => [
  `create function pg_temp.digest_of(content bytea) returns text language sql immutable
   return 'sha256:' || encode(sha256(content), 'hex')`,
  `create function pg_temp.blob(n bigint) returns text language sql immutable
   return pg_temp.digest_of(convert_to('blob ' || n, 'UTF8'))`,
  // A config and two layers: the blobs 3 k to 3 k + 2 of repository r. The tenth blob is nobody's.
  `create function pg_temp.manifest(r bigint, k bigint, label text) returns bytea language sql immutable
   return convert_to(format('{"schemaVersion":2,"mediaType":"${TYPE}","config":{"digest":"%s"},"layers":[{"digest":"%s"},{"digest":"%s"}],"annotations":{"label":"%s"}}',
     pg_temp.blob(r * ${PER_REPOSITORY} + k * 3), pg_temp.blob(r * ${PER_REPOSITORY} + k * 3 + 1),
     pg_temp.blob(r * ${PER_REPOSITORY} + k * 3 + 2), label), 'UTF8')`,
  `create temp table numbered as select row_number() over (order by id = $1 desc, id) - 1 as r, id
   from repositories where name like 'org%' limit ${blobs / PER_REPOSITORY}`,
];

const statements = ({ blobs, manyTags }: Sizes): string[] => [
  `insert into blobs (digest, size) select pg_temp.blob(n), 1000 + n * 7919 % 50000000 from generate_series(0::bigint, ${blobs - 1}) n`,
  `insert into repository_blobs (repository_id, digest)
   select id, pg_temp.blob(r * ${PER_REPOSITORY} + b) from numbered cross join generate_series(0, ${PER_REPOSITORY - 1}) b`,
  // The first blob, a base layer, is in the next repository too.
  `insert into repository_blobs (repository_id, digest)
   select id, pg_temp.blob((r - 1) * ${PER_REPOSITORY}) from numbered where r > 0`,
  `create temp table made as
   select id, r, k, pg_temp.manifest(r, k, '') as content from numbered cross join generate_series(0, ${MANIFESTS - 1}) k
   union all
   select id, r, k % ${MANIFESTS}, pg_temp.manifest(r, k % ${MANIFESTS}, 'build ' || k)
   from numbered cross join generate_series(0, ${MANY_MANIFESTS - 1}) k where id = $1`,
  `insert into manifests (repository_id, digest, media_type, content, size)
   select id, pg_temp.digest_of(content), '${TYPE}', content, length(content) from made`,
  `insert into manifest_blobs (repository_id, manifest_digest, blob_digest)
   select id, pg_temp.digest_of(content), pg_temp.blob(r * ${PER_REPOSITORY} + k * 3 + b) from made cross join generate_series(0, 2) b`,
  `insert into tags (repository_id, name, manifest_digest)
   select id, 'v' || k || '.' || t, pg_temp.digest_of(content)
   from made cross join generate_series(0, 2) t where content = pg_temp.manifest(r, k, '')`,
  `insert into tags (repository_id, name, manifest_digest)
   select id, 'build-' || lpad(n::text, 6, '0'), pg_temp.digest_of(pg_temp.manifest(r, n % ${MANY_MANIFESTS} % ${MANIFESTS}, 'build ' || n % ${MANY_MANIFESTS}))
   from numbered cross join generate_series(0, ${manyTags - 1}) n where id = $1`,
];

export interface Seeded {
  /** An ordinary one, who may pull it by a grant of a team. */
  readonly user: string;
  /** The repository with very many tags, a private one. */
  readonly manyTags: string;
}

export async function seedScale(server: Server, sizes: Sizes): Promise<Seeded> {
  await seedInstallation(server);
  return withDatabase(server, async (client) => {
    const many = await findPrivate(client);
    for (const statement of [...helpers(sizes), ...statements(sizes)])
      await client.query(statement, statement.includes("$1") ? [many.id] : []);
    // As autovacuum leaves them a minute later.
    await client.query("vacuum analyze");
    await client.query("checkpoint");
    return { manyTags: many.name, user: many.user };
  });
}

async function findPrivate(client: pg.Client): Promise<{ id: string; name: string; user: string }> {
  const { rows } = await client.query<{ id: string; name: string; user: string }>(
    `select r.id, r.name, u.name as user from repositories r join grants g on g.repository_id = r.id
     join team_members m using (team_id) join users u on u.id = m.user_id
     where r.visibility = 'private' order by u.name desc, r.name limit 1`,
  );
  if (rows[0] === undefined) throw new Error("nobody may pull a private repository");
  return rows[0];
}

/** Takes all tags away: nothing is needed by anything any more. */
export async function dropTags(server: Server): Promise<void> {
  await withDatabase(server, async (client) => {
    await client.query("delete from tags where repository_id in (select id from repositories where name like 'org%')");
    await client.query("vacuum analyze tags");
  });
}
