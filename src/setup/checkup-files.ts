import type { Config } from "../config.ts";
import type { Finding } from "./doctor.ts";
import { ok, wrong } from "./findings.ts";

/** Every mistake in a file of settings and in what it names; none when it can be used. */
export type FindMistakes = (file: string) => Promise<readonly string[]>;

/** The directories' file: with a mistake in it nothing starts. */
export async function checkDirectories({ ldapFile }: Config, findMistakes: FindMistakes): Promise<Finding[]> {
  if (ldapFile === undefined) return [];
  const mend = `mend it as docs/directories.md says: Goldseal does not start with it`;
  return reported("directories", ldapFile, { mistakes: await findMistakes(ldapFile), mend });
}

/** The bridge's file: the bridge does not start with a mistake in it, though the registry does. */
export async function checkBridge({ bridgeConfigFile }: Config, findMistakes: FindMistakes): Promise<Finding[]> {
  if (bridgeConfigFile === undefined) return [];
  const mend = "mend it as docs/bridge.md says: the bridge does not start with it";
  return reported("bridge", bridgeConfigFile, { mistakes: await findMistakes(bridgeConfigFile), mend });
}

function reported(
  subject: string,
  file: string,
  { mistakes, mend }: { readonly mistakes: readonly string[]; readonly mend: string },
): Finding[] {
  if (mistakes.length === 0) return [ok(subject, `${file}: no mistakes`)];
  return mistakes.map((mistake) => wrong(subject, mistake, mend));
}
