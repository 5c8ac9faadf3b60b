import type { Actor } from "../oci/access.ts";
import type { Digest } from "../oci/digest.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { RegistryDeps } from "./deps.ts";

/** So many holders of a blob are asked about at once; they share one query. */
const holdersAtOnce = 256;

/**
 * The repository to mount `digest` from: `from` if the actor may pull it, or, without `from`, any holder that the
 * actor may pull. The token need not name the holder then: a client that sends no `from` could not ask for it.
 * @see distribution-spec v1.1 end-11
 */
export async function findMountSource(
  { authorize, blobRows }: RegistryDeps,
  actor: Actor,
  digest: Digest,
  from: string | undefined,
): Promise<RepositoryName | undefined> {
  if (from !== undefined) {
    const source = parseRepositoryName(from);
    return (await authorize(actor, source, "pull")).allowed ? source : undefined;
  }
  const { scope: _, ...unscoped } = actor;
  for (let last = ""; ; ) {
    const holders = await blobRows.findHolders(digest, last, holdersAtOnce);
    const decisions = await Promise.all(holders.map((holder) => authorize(unscoped, holder, "pull")));
    const source = holders.find((_, index) => decisions[index]?.allowed);
    const [end] = holders.slice(-1);
    if (source !== undefined || end === undefined) return source;
    last = end;
  }
}
