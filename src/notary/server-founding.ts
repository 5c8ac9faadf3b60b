import type { Sql } from "../storage/database.ts";
import { SIGNER_PURPOSES } from "./org-signers-store.ts";
import type { ServedCollection, ServedDeps } from "./served-collection.ts";
import { composeRoot, TargetsDraft } from "./tuf/compose.ts";
import type { Targets } from "./tuf/metadata.ts";
import { RELEASES, ROOT, TARGETS } from "./tuf/names.ts";
import { inRootCertificate } from "./tuf/root-certificate.ts";
import type { Part } from "./tuf/upload.ts";

/**
 * The first root and targets of a GUN that nobody has yet, with keys of the server's own: all below is server-attested until
 * people take it over. The server's roles release, so that docker pulls what they sign.
 */
export async function foundCollection(
  { keys, foundingKeys, signers }: ServedDeps,
  sql: Sql,
  { gun, org, now }: ServedCollection,
): Promise<readonly [root: Part, targets: Part & { readonly file: Targets }]> {
  const snapshot = await keys.pending(sql, gun, "snapshot", now);
  const timestamp = await keys.pending(sql, gun, "timestamp", now);
  const own = (await foundingKeys.find(sql, gun)) ?? (await foundingKeys.make(sql, gun, now));
  const rootKey = inRootCertificate(own.root, gun, now);
  const root = composeRoot(
    gun,
    { root: rootKey, targets: own.targets.key, snapshot, timestamp },
    { now, signers: [{ keyId: rootKey.id, sign: own.root.sign }] },
  );
  const draft = new TargetsDraft(TARGETS, undefined, 0);
  for (const purpose of SIGNER_PURPOSES) {
    const { role, key } = await signers.open(sql, org, purpose, now);
    draft.addDelegate(role, key);
    draft.addDelegate(RELEASES, key);
  }
  const targets = draft.finish(now, [{ keyId: own.targets.key.id, sign: own.targets.sign }]);
  return [
    { role: ROOT, file: root },
    { role: TARGETS, file: targets },
  ];
}
