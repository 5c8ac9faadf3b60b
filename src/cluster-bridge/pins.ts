import { VerificationError } from "../notary/tuf/error.ts";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import type { Root } from "../notary/tuf/metadata.ts";
import { meetsPin } from "../notary/tuf/root-pin.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import { findSignersOf } from "../notary/tuf/verify.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { matchesImage } from "../trust/image-pattern.ts";
import type { Pin } from "./bridge-config.ts";
import { BridgeError } from "./errors.ts";

/** The first that fits: what an operator wrote above is the exception to what stands below. @throws BridgeError PIN */
export function getPin(pins: readonly Pin[], repository: RepositoryName): Pin {
  const pin = pins.find(({ pattern }) => matchesImage(pattern, repository));
  if (pin !== undefined) return pin;
  throw new BridgeError("PIN", `no pin speaks for ${repository}: add the id of its root key to pins`);
}

/** Changes whenever an operator edits the pin, and by nothing else. */
export function pinIdOf({ pattern, rootKeys, threshold, epoch }: Pin): string {
  const text = JSON.stringify([pattern, [...new Set(rootKeys)].sort(), threshold, epoch]);
  return sha256Of(Buffer.from(text)).toString("hex");
}

/** @throws VerificationError KEY */
export function requirePinned(root: Root, { pattern, rootKeys, threshold }: Pin): void {
  if (meetsPin(root, { keyIds: rootKeys, threshold })) return;
  const signers = findSignersOf(root, root.roles.root).map(canonicalKeyId);
  throw new VerificationError(
    "KEY",
    `root ${root.version} is signed by ${signers.join(", ")}, of the keys pinned for ${pattern} ${threshold} must`,
  );
}
