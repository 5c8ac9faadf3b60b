import type { TestApp } from "../../testing/open-test-app.ts";
import { composeRoot, type RoleSigner, TargetsDraft } from "../tuf/compose.ts";
import type { Key } from "../tuf/key.ts";
import { type BaseRole, TARGETS } from "../tuf/names.ts";
import { certificateFor } from "../tuf/testing/repository.ts";
import { ecdsaKey, inCertificate, signWith, type TestKey } from "../tuf/testing/test-key.ts";
import type { TrustedMetadata } from "../tuf/trusted-metadata.ts";
import { readAs } from "./readers.ts";
import { AUTHORITY } from "./signer.ts";

export interface PeoplesKeys {
  /** Bare. */
  readonly root: TestKey;
  readonly targets: TestKey;
}

interface Options {
  readonly keys?: PeoplesKeys;
  /** What the root names for targets in place of people's key. */
  readonly listed?: Key;
  /** Default: the next. */
  readonly version?: number;
}

/** What takes over trust data that the server founded: people's root and targets after the server's, as REST wants them. */
export async function composeTakeOver(
  app: TestApp,
  as: string,
  repository: string,
  { keys = { root: ecdsaKey(), targets: ecdsaKey() }, listed, version }: Options = {},
): Promise<{ root: string; targets: string }> {
  const trusted = await readAs(app, as, repository);
  if (trusted === undefined) throw new Error(`${repository} has no trust data`);
  const gun = `${AUTHORITY}/${repository}` as Parameters<typeof composeRoot>[0];
  const now = new Date();
  const root = inCertificate(keys.root, certificateFor(gun));
  const all = {
    ...{ root: root.key, targets: listed ?? keys.targets.key },
    ...{ snapshot: keyOf(trusted, "snapshot"), timestamp: keyOf(trusted, "timestamp") },
  };
  const signers = [toSigner(root)];
  const rootFile = composeRoot(gun, all, { now, signers, version: version ?? trusted.root.version + 1 });
  const targets = trusted.roles.get(TARGETS)?.targets;
  const file = new TargetsDraft(TARGETS, targets, targets?.version ?? 0).finish(now, [toSigner(keys.targets)]);
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return { root: base64(rootFile.bytes), targets: base64(file.bytes) };
}

export const toSigner = (key: TestKey): RoleSigner => ({
  keyId: key.key.id,
  sign: (message) => signWith(key, message),
});

export function keyOf({ root }: TrustedMetadata, role: BaseRole): Key {
  const [id] = root.roles[role].keyIds;
  const key = id && root.keys.get(id);
  if (!key) throw new Error(`a root without a ${role} key`);
  return key;
}
