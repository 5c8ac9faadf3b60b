import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { TARGETS } from "../../notary/tuf/names.ts";
import type { TrustedMetadata, TrustedRole } from "../../notary/tuf/trusted-metadata.ts";
import { findSignersOf } from "../../notary/tuf/verify.ts";
import type { LocalCall } from "../command.ts";
import { CliError, UsageError } from "../errors.ts";
import { findTagged, getHeldManifest, type HeldManifest, sha256Of } from "./held-manifest.ts";
import { findOwnRoles, finish, isEnding, toDraft } from "./own-roles.ts";
import { openSigningSession, type TrustSession } from "./session.ts";
import { RELEASES } from "./tag-view.ts";
import { type NewFile, publishChange, requireTrust } from "./trust-repository.ts";

/** `goldseal trust sign IMAGE:TAG[@DIGEST]`: what the registry holds under that tag, into every role that is ours. */
export async function signImage(call: LocalCall): Promise<void> {
  const session = await openSigningSession(call);
  const { tag, digest: wanted, repository } = session.image;
  if (tag === undefined) throw new UsageError(`which tag? goldseal trust sign ${call.args[0]}:TAG`);
  const digest = await findTagged(session, tag);
  if (digest === undefined) {
    throw new CliError(`${repository} has no tag ${tag}, so there is nothing to sign; push it first`);
  }
  if (wanted !== undefined && wanted !== digest) {
    throw new CliError(`${repository}:${tag} is ${digest} now, not ${wanted}; nothing was signed`);
  }
  const manifest = await getHeldManifest(session, digest);
  const changed = new Set<string>();
  const after = await publishChange(session, async (present) => {
    const files = await signInto(session, requireTrust(session, present), tag, manifest);
    for (const { role } of files) changed.add(role);
    return files;
  });
  report(session, after, { tag, manifest, isNew: changed.size > 0 });
}

async function signInto(
  session: TrustSession,
  trusted: TrustedMetadata,
  tag: string,
  { digest, size }: HeldManifest,
): Promise<NewFile[]> {
  const files: NewFile[] = [];
  const target = { sha256: sha256Of(digest), length: size };
  for (const own of await findOwnRoles(session, trusted, tag)) {
    if (holds(own.role, tag, target.sha256)) continue;
    const draft = toDraft(session, own.role);
    draft.putTarget(tag, target);
    files.push(await finish(session, draft, own));
  }
  return files;
}

function holds(role: TrustedRole, tag: string, sha256: Buffer): boolean {
  return !isEnding(role) && role.targets?.targets.get(tag)?.hashes.get("sha256")?.equals(sha256) === true;
}

interface Signed {
  readonly tag: string;
  readonly manifest: HeldManifest;
  /** False: everything was signed so already. */
  readonly isNew: boolean;
}

function report({ call: { io, options }, gun }: TrustSession, trusted: TrustedMetadata, signed: Signed): void {
  const { tag, manifest, isNew } = signed;
  const sha256 = sha256Of(manifest.digest);
  const roles = [...trusted.roles.values()].filter((role) => holds(role, tag, sha256));
  const signatures = roles.flatMap(({ name, targets, keys }) =>
    targets === undefined
      ? []
      : [{ role: name, keyIds: findSignersOf(targets, keys).map(canonicalKeyId), expires: targets.expires }],
  );
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify({ gun, tag, ...manifest, isNew, signatures })}\n`);
  } else {
    io.stdout.write(`${isNew ? "signed" : "signed already:"} ${gun}:${tag}\n`);
    io.stdout.write(`  ${manifest.digest} (${manifest.mediaType}, ${manifest.size} bytes)\n`);
    const width = Math.max(...signatures.map(({ role }) => role.length));
    for (const { role, keyIds, expires } of signatures)
      io.stdout.write(`  ${role.padEnd(width)}  key ${keyIds.join(", ")}  until ${expires}\n`);
  }
  if (roles.some(({ name }) => name === RELEASES || name === TARGETS)) return;
  io.stderr.write(
    `goldseal: ${gun}:${tag} is signed but not released: docker pulls what is in targets/releases or targets, and neither lists a key of yours\n`,
  );
}
