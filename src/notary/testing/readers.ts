import type { TestApp } from "../../testing/open-test-app.ts";
import { type Gun, parseGun, type RoleName } from "../tuf/names.ts";
import { readTrusted, type TrustedMetadata } from "../tuf/trusted-metadata.ts";
import { AUTHORITY } from "./signer.ts";

/** Reads over the wire as a client does, verifying all; undefined where there is no trust data. */
export function readAs(
  app: TestApp,
  as: string,
  repository: string,
  { known = new Map(), now = new Date() }: { known?: ReadonlyMap<RoleName, Uint8Array>; now?: Date } = {},
): Promise<TrustedMetadata | undefined> {
  const gun: Gun = parseGun(`${AUTHORITY}/${repository}`);
  const fetch = async (name: string): Promise<Uint8Array | undefined> => {
    const { status, body } = await app.ask("GET", `/v2/${gun}/_trust/tuf/${name}.json`, { as });
    if (status !== 200 && status !== 404) throw new Error(`${name}.json of ${gun}: ${status} ${body}`);
    return status === 200 ? body : undefined;
  };
  return readTrusted({ gun, now, known, fetch });
}

/** By role, what its file says of each tag: `sha256:…`. */
export function entriesOf(trusted: TrustedMetadata | undefined): Record<string, Record<string, string>> {
  const roles = [...(trusted?.roles.values() ?? [])].flatMap(({ name, targets, problem }) => {
    if (targets === undefined || problem !== undefined) return [];
    const entries = [...targets.targets].map(([tag, { hashes }]) => [
      tag,
      `sha256:${hashes.get("sha256")?.toString("hex")}`,
    ]);
    return [[name as string, Object.fromEntries(entries)] as const];
  });
  return Object.fromEntries(roles);
}
