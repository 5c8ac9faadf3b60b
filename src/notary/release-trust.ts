import { gunOfRepository } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import type { NotaryDeps } from "./deps.ts";
import { deleteFiles, hasFiles } from "./metadata-store.ts";
import type { Gun } from "./tuf/names.ts";

/** Called under the lock of the repository: false where it has trust data that may not be dropped, else there is none left. */
export type ReleaseTrust = (sql: Sql, repository: RepositoryName, mayDrop: boolean) => Promise<boolean>;

/** A repository's name is signed into all its trust data, so whoever deletes or renames it has to give that up. */
export function createReleaseTrust({ authority, now }: Pick<NotaryDeps, "authority" | "now">): ReleaseTrust {
  return async (sql, repository, mayDrop) => {
    // One that is too long to be a GUN has no row.
    const gun = gunOfRepository(repository, authority) as Gun;
    if (!(await hasFiles(sql, gun))) return true;
    if (mayDrop) await deleteFiles(sql, gun, now());
    return mayDrop;
  };
}
