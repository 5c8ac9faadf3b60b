import { sha256Of } from "../../notary/tuf/signed-file.ts";
import type { CommandCall, LocalCall } from "../command.ts";
import { printable } from "../table.ts";
import { describeEnvironment, describeKey } from "./describe.ts";
import { type FileSigner, getServerPolicy, type PolicyFile, readPolicyFile, signersOf } from "./policy-file.ts";

export async function showServer(call: CommandCall): Promise<void> {
  show(call, await getServerPolicy(call.client));
}

export async function showFile(call: LocalCall): Promise<void> {
  show(call, await readPolicyFile(call.args[0] ?? ""));
}

function show({ io, options }: Pick<LocalCall, "io" | "options">, file: PolicyFile): void {
  const { document, json, payload } = file;
  const sha256 = sha256Of(payload).toString("hex");
  const signers = signersOf(file);
  if (options.json === true) {
    const { version, expires } = json;
    io.stdout.write(`${JSON.stringify({ version, expires, sha256, signers, document: json })}\n`);
    return;
  }
  const lines = [
    `policy version ${document.version}, until ${document.expiresAt.toISOString()}`,
    `document sha256:${sha256}`,
    ...(signers.length === 0 ? ["a draft: nobody has signed it"] : signers.map(toLine)),
    ...[...document.environments].flatMap(([name, environment]) => describeEnvironment(name, environment, document)),
    ...[...document.teams].map(([team, users]) => `team ${team}: ${[...users].join(", ") || "nobody"}`),
    ...[...document.keys].map(([keyId, { user }]) => describeKey(keyId, user)),
  ];
  for (const line of lines) io.stdout.write(`${printable(line)}\n`);
}

function toLine({ keyId, user, good }: FileSigner): string {
  if (user === undefined)
    return `signed by the key ${keyId}, which it does not list: whether it is good is not known here`;
  return good === true
    ? `signed by ${user}, key ${keyId}`
    : `NOT signed by ${user}: the signature by ${keyId} is not good`;
}
