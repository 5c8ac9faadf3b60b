import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { isJsonObject, type JsonObject, parseJson } from "../../oci/json.ts";
import { APPROVAL_TYPE, toApprovalPayload } from "../../trust/approval.ts";
import { signEnvelope } from "../../trust/dsse.ts";
import type { CommandCall } from "../command.ts";
import { toEnvelopeSigner } from "../docker-keys/envelope-signer.ts";
import { DockerKeys, dockerTrustFolder, openWithPassphrase, readStoredKey } from "../docker-keys/folder.ts";
import { Passphrases } from "../docker-keys/passphrases.ts";
import type { SigningKey } from "../docker-keys/signing-key.ts";
import { CliError, UsageError } from "../errors.ts";
import { apiPath } from "../paths.ts";
import { toText } from "../table.ts";
import { nameOf } from "./images.ts";

/**
 * `goldseal approve ID`: what is signed is written here, of what is shown here, so nobody signs what they did not see.
 * @throws CliError
 */
export async function approve(call: CommandCall): Promise<void> {
  const { client, io, options } = call;
  const id = idOf(call);
  const { body } = await client.call("GET", apiPath("promotions", id), `see the promotion ${id}`);
  const { source, destination, digest } = body;
  if (!isJsonObject(source) || !isJsonObject(destination)) throw new CliError(`${client.origin} sent no promotion`);
  io.stderr.write(
    `${nameOf(source)} to ${nameOf(destination)}\n  ${toText(digest)}\n  asked by ${toText(body.askedBy)}\n`,
  );
  if (typeof options.digest === "string" && options.digest !== digest)
    throw new CliError(`the promotion ${id} is of ${toText(digest)}, not of ${options.digest}; nothing was signed`);
  const host = typeof options.server === "string" ? options.server : new URL(client.origin).host;
  const approval = {
    ...{ promotion: Number(id), digest: toText(digest), tag: toText(destination.tag) },
    source: `${host}/${toText(source.repository)}`,
    destination: `${host}/${toText(destination.repository)}`,
  };
  const signer = toEnvelopeSigner(await openApprovalKey(call));
  const envelope = signEnvelope(APPROVAL_TYPE, toApprovalPayload(approval), [signer]);
  const path = apiPath("promotions", id, "approvals");
  const answer = await client.call("POST", path, `approve the promotion ${id}`, parseJson(envelope));
  io.stderr.write(`approved; the promotion is ${toText(answer.body.state)}${reasonOf(answer.body)}\n`);
}

export function idOf({ args: [id = ""] }: Pick<CommandCall, "args">): string {
  if (!/^[1-9]\d*$/.test(id))
    throw new UsageError(`${JSON.stringify(id)} is no promotion; goldseal promotions list has their ids`);
  return id;
}

export const reasonOf = ({ reason }: JsonObject): string => (typeof reason === "string" ? `: ${reason}` : "");

/** The one of docker's folder that is proved to be theirs, or the one that they name. @throws CliError */
async function openApprovalKey({ client, options, env, io }: CommandCall): Promise<SigningKey> {
  const passphrases = new Passphrases(env, io);
  const folder = new DockerKeys(dockerTrustFolder(env), passphrases);
  const stored = await folder.list();
  if (typeof options.key === "string") {
    const named = stored.find(({ role, keyId }) => role === options.key || keyId === options.key);
    return named === undefined ? openWithPassphrase(await readStoredKey(options.key), passphrases) : folder.open(named);
  }
  const keys = await client.list(apiPath("users", client.user, "keys"), "keys", "see your keys");
  const proved = new Set(keys.filter(isJsonObject).flatMap((one) => (one.provedAt == null ? [] : [toText(one.keyId)])));
  const [own, another] = stored.filter(({ keyId }) => proved.has(keyId));
  if (own === undefined)
    throw new CliError(
      `no key in docker's folder is proved to be ${client.user}'s: goldseal key add, or name one with --key`,
    );
  if (another !== undefined) throw new CliError(`which key? name it with --key: ${own.keyId} or ${another.keyId}`);
  const opened = await folder.open(own);
  if (canonicalKeyId(opened.key) !== own.keyId) throw new CliError(`${own.path} holds another key than it says`);
  return opened;
}
