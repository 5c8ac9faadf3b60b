import { spkiOf } from "../notary/tuf/key.ts";
import { possessionMessage } from "../trust/possession.ts";
import type { CommandCall } from "./command.ts";
import { type SigningKey, signWith } from "./docker-keys/signing-key.ts";
import { CliError } from "./errors.ts";
import { apiPath } from "./paths.ts";
import { toText } from "./table.ts";

/**
 * Signs the server's challenge. What is signed is written here, from what the person knows: a server that passed on the
 * challenge of another one would get a proof that is of no use there.
 * @throws CliError
 */
export async function proveKey({ client, options }: CommandCall, signingKey: SigningKey): Promise<void> {
  const spkiSha256 = spkiOf(signingKey.key) ?? "";
  const path = apiPath("users", client.user, "keys", spkiSha256);
  const { body } = await client.call("POST", `${path}/challenge`, "ask for a challenge to prove the key");
  const server = typeof options.server === "string" ? options.server : client.origin;
  const challenge = toText(body.challenge);
  if (!/^[0-9a-f]{64}$/.test(challenge)) throw new CliError(`${client.origin} sent no challenge`);
  const message = possessionMessage({ server, user: client.user, spkiSha256, challenge });
  if (body.message !== message.toString()) {
    const [, named = "nothing"] = /^server: (.*)$/m.exec(toText(body.message)) ?? [];
    throw new CliError(
      `the proof would be for ${server}, but what answers there calls itself ${named}; the key is not proved.\nif that is the registry you mean: --url ${named}, or --server ${named}`,
    );
  }
  const { method, sig } = signWith(signingKey, message);
  const proof = { method, signature: sig.toString("base64") };
  await client.call("PUT", `${path}/proof`, "prove the key", proof);
}
