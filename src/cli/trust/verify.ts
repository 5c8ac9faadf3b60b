import { VerificationError } from "../../notary/tuf/error.ts";
import { getTargets, type TrustedMetadata } from "../../notary/tuf/trusted-metadata.ts";
import type { LocalCall } from "../command.ts";
import { CliError, UsageError } from "../errors.ts";
import { findTagged } from "./held-manifest.ts";
import { openReadingSession, type TrustSession } from "./session.ts";
import { RELEASES, type SignedTag, signerName, signersOf, viewTags } from "./tag-view.ts";
import { getTrust } from "./trust-repository.ts";

/**
 * `goldseal trust verify IMAGE:TAG`, `IMAGE@DIGEST` or `IMAGE:TAG@DIGEST`: the whole walk from the root, then whether this is
 * what is released. Prints the name to pull by.
 */
export async function verifyImage(call: LocalCall): Promise<void> {
  const session = await openReadingSession(call);
  const { tag, digest } = session.image;
  if (tag === undefined && digest === undefined) throw new UsageError(`which one? ${call.args[0]}:TAG, or @sha256:…`);
  const trusted = await getTrust(session, "pull");
  requireTargets(session, trusted);
  const released = viewTags(trusted).filter((entry) => entry.isReleased);
  const found = released.filter(
    (entry) => entry.tag === (tag ?? entry.tag) && entry.digest === (digest ?? entry.digest),
  );
  if (found.length === 0) throw notSigned(session, trusted);
  // A tag that was moved after it was signed would be pulled as something that nobody signed.
  if (tag !== undefined && digest === undefined) await requireUnmoved(session, tag, found[0]?.digest ?? "");
  // Several tags may have one digest: the name to pull by is the same.
  if (call.options.json !== true) call.io.stdout.write(`${session.gun}@${found[0]?.digest}\n`);
  for (const entry of found) print(session, trusted, entry);
}

function requireTargets({ gun }: TrustSession, trusted: TrustedMetadata): void {
  try {
    getTargets(trusted);
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw new CliError(`the trust data of ${gun} does not hold: ${error.message}`, { cause: error });
  }
}

function notSigned({ gun, image: { tag, digest } }: TrustSession, trusted: TrustedMetadata): CliError {
  const what = `${gun}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  const entries = viewTags(trusted).filter((entry) =>
    tag === undefined ? entry.digest === digest : entry.tag === tag,
  );
  const other = entries.find(({ isReleased }) => isReleased);
  if (other !== undefined)
    return new CliError(`${what} is not what is signed: tag ${other.tag} is signed as ${other.digest}`);
  const signers = entries.flatMap(signersOf).map(({ role }) => signerName(role));
  const problem = trusted.roles.get(RELEASES)?.problem;
  return new CliError(
    `${what} is not signed${signers.length === 0 ? "" : `, only by ${signers.join(", ")} and not released`}` +
      (problem === undefined ? "" : `\ntargets/releases does not count: ${problem.message}`),
  );
}

async function requireUnmoved(session: TrustSession, tag: string, signed: string): Promise<void> {
  const { gun } = session;
  const held = await findTagged(session, tag);
  if (held === signed) return;
  throw new CliError(
    `${gun}:${tag} is signed as ${signed}, but the registry ${held === undefined ? "has no such tag" : `holds ${held} there`}\n` +
      `pull what is signed with ${gun}@${signed}, or have the present one signed`,
  );
}

function print({ call: { io, options }, gun }: TrustSession, trusted: TrustedMetadata, entry: SignedTag): void {
  const { tag, digest, size, signatures } = entry;
  const until = new Date(Math.min(...signatures.map(({ expiresAt }) => expiresAt.getTime())));
  if (options.json === true) {
    const timestamp = { timestampExpiresAt: trusted.timestamp.expiresAt };
    io.stdout.write(`${JSON.stringify({ gun, tag, digest, size, signatures, expiresAt: until, ...timestamp })}\n`);
    return;
  }
  for (const { role, keyIds, expiresAt } of signatures)
    io.stderr.write(`${tag} signed in ${role} by ${keyIds.join(", ")} until ${expiresAt.toISOString()}\n`);
}
