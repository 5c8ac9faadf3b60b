/** cosign with a key that its owner has proved: made as a plain PEM file, which both programs read. */
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunResult } from "../harness/tools.ts";
import type { Machine } from "./machines.ts";

export type CosignVersion = "v2" | "v3";

/** No log and no service of Sigstore's: v3 would ask for its list of them. */
const OFFLINE: Readonly<Record<CosignVersion, readonly string[]>> = {
  v2: ["--tlog-upload=false"],
  v3: ["--tlog-upload=false", "--use-signing-config=false"],
};

/** Leaves `NAME.pem` and `NAME.key`, cosign's own form of it, in the person's home. */
export async function makeCosignKey(who: Machine, name: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(join(who.home, `${name}.pem`), privateKey.export({ format: "pem", type: "pkcs8" }));
  const made = await who.run("cosign-v2", ["import-key-pair", "--key", `${name}.pem`, "--output-key-prefix", name]);
  if (made.status !== 0) throw new Error(`cosign import-key-pair exited ${made.status}: ${made.stderr}`);
}

/** Signs a digest: `HOST/REPOSITORY@sha256:…`. */
export function cosignSign(
  who: Machine,
  version: CosignVersion,
  { key, image, recursive = false }: { readonly key: string; readonly image: string; readonly recursive?: boolean },
): Promise<RunResult> {
  const all = [
    "sign",
    "--yes",
    ...OFFLINE[version],
    ...(recursive ? ["--recursive"] : []),
    "--key",
    `${key}.key`,
    image,
  ];
  return who.run(`cosign-${version}`, all);
}
