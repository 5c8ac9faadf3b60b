import { readFile } from "node:fs/promises";
import { BridgeClient } from "./bridge-client.ts";
import type { Bridge } from "./deps.ts";

export interface BridgeSettings {
  readonly url: string;
  readonly caFile: string | undefined;
  readonly secretFile: string | undefined;
}

/** @throws Error for a file that cannot be read, or holds no secret */
export async function openBridge(settings: BridgeSettings): Promise<Bridge> {
  const { url, caFile, secretFile } = settings;
  const [ca, secret] = await Promise.all([
    caFile === undefined ? undefined : read("GOLDSEAL_BRIDGE_CA_FILE", caFile),
    secretFile === undefined ? undefined : readSecret(secretFile),
  ]);
  return { client: new BridgeClient({ url, ca }), secret };
}

async function readSecret(file: string): Promise<string> {
  const secret = (await read("GOLDSEAL_BRIDGE_SECRET_FILE", file)).trim();
  if (/^[\x21-\x7e]{32,1024}$/.test(secret)) return secret;
  throw new Error(`GOLDSEAL_BRIDGE_SECRET_FILE: ${file} must hold 32 characters or more, without blanks`);
}

async function read(variable: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new Error(`${variable}: ${file} cannot be read`, { cause });
  }
}
