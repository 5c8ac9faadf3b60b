import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { POLICY_TYPE } from "../../trust/policy.ts";
import type { LocalCall } from "../command.ts";
import { pickKey } from "../docker-keys/pick-key.ts";
import { CliError } from "../errors.ts";
import { signFile } from "../signed-file.ts";
import { readPolicyFile } from "./policy-file.ts";

/** `goldseal policy sign FILE`: one person's signature; k people sign one after another. */
export async function signPolicy(call: LocalCall): Promise<void> {
  const {
    args: [path = ""],
    options,
    io,
  } = call;
  const file = await readPolicyFile(path);
  const { version, expiresAt, keys } = file.document;
  if (expiresAt.getTime() <= Date.now())
    throw new CliError(`${path} expired at ${expiresAt.toISOString()}; draft it anew`);

  const key = await pickKey(call, (keyId) => keys.has(keyId));
  const { output, isNew } = await signFile(path, { ...file, payloadType: POLICY_TYPE }, key, options);

  const keyId = canonicalKeyId(key.key);
  const who = keys.get(keyId)?.user;
  const state = isNew ? `signed ${output}` : `${path} holds your signature already`;
  io.stderr.write(`${state}: policy version ${version}, until ${expiresAt.toISOString()}\n`);
  io.stderr.write(
    `by ${who === undefined ? `a key that the policy does not list, ${keyId}` : `${who}, key ${keyId}`}\n`,
  );
}
