import type { LocalCall } from "../command.ts";
import { CliError, UsageError } from "../errors.ts";
import { findOwnRoles, finish, toDraft } from "./own-roles.ts";
import { openSigningSession } from "./session.ts";
import { viewTags } from "./tag-view.ts";
import { type NewFile, publishChange, requireTrust } from "./trust-repository.ts";

/** `goldseal trust revoke IMAGE:TAG`: takes the tag out of every role that is ours to sign. */
export async function revokeTag(call: LocalCall): Promise<void> {
  const session = await openSigningSession(call);
  const { gun, image } = session;
  const { tag } = image;
  if (tag === undefined || image.digest !== undefined) {
    throw new UsageError("which tag? goldseal trust revoke IMAGE:TAG takes back one tag, whatever its digest");
  }
  const revoked = new Set<string>();
  const after = await publishChange(session, async (present) => {
    const trusted = requireTrust(session, present);
    if (![...trusted.roles.values()].some(({ targets }) => targets?.targets.has(tag))) {
      throw new CliError(`${gun}:${tag} is not signed; goldseal trust inspect ${gun} shows what is`);
    }
    const files: NewFile[] = [];
    for (const own of await findOwnRoles(session, trusted, tag)) {
      if (own.role.targets?.targets.has(tag) !== true) continue;
      const draft = toDraft(session, own.role);
      draft.removeTarget(tag);
      files.push(await finish(session, draft, own));
      revoked.add(own.role.name);
    }
    return files;
  });
  for (const role of revoked) call.io.stdout.write(`revoked ${gun}:${tag} in ${role}\n`);
  const left = viewTags(after).filter((entry) => entry.tag === tag);
  if (left.length === 0) return;
  const roles = left.flatMap(({ signatures }) => signatures.map(({ role }) => role));
  throw new CliError(
    `${gun}:${tag} is still signed in ${roles.join(", ")}, where no key of yours counts\n` +
      (left.some(({ isReleased }) => isReleased) ? "docker still pulls it: " : "") +
      "those who hold the keys must revoke it too",
  );
}
