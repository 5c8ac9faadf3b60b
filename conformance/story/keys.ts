/** Keys that people sign with: docker's, and those that cosign takes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makeCosignKey } from "./cosign.ts";
import type { Machine } from "./machines.ts";
import { must } from "./world.ts";

/** As `docker trust key generate` makes it: NAME.pub in the home, the private half in docker's folder. */
export async function makeDockerKey(who: Machine, name: string): Promise<void> {
  await must(who.docker(`trust key generate ${name}`), /Successfully generated and loaded private key/);
}

/** With the proof that its private half is here. @param file what `goldseal key add` is given */
export async function addKey(who: Machine, file: string): Promise<void> {
  await must(who.goldseal(`key add ${file}`), /is added and proved/);
}

/** A key that counts for who makes it. */
export async function ownDockerKey(who: Machine, name: string): Promise<void> {
  await makeDockerKey(who, name);
  await addKey(who, name);
}

export async function ownCosignKey(who: Machine, name: string): Promise<void> {
  await makeCosignKey(who, name);
  await addKey(who, `${name}.pem`);
}

/** Only its public half, which everybody could add. */
export async function claimKey(who: Machine, name: string, publicKey: string): Promise<void> {
  await who.rest("POST", `users/${who.name}/keys`, { name, publicKey });
}

/** Of a key that cosign uses. */
export const publicHalf = (who: Machine, name: string): string => readFileSync(join(who.home, `${name}.pub`), "utf8");
