import { canonicalKeyId } from "../../notary/tuf/key.ts";
import type { LocalCall } from "../command.ts";
import { pickKey } from "../docker-keys/pick-key.ts";
import { CliError } from "../errors.ts";
import { signFile } from "../signed-file.ts";
import { readStatement } from "./statement-file.ts";

/** `goldseal break-glass sign FILE`: what is signed is shown first; k people sign one after another. */
export async function signStatement(call: LocalCall): Promise<void> {
  const {
    args: [path = ""],
    options,
    io,
  } = call;
  const file = await readStatement(path);
  const { environment, image, reason, expires } = file.statement;
  io.stderr.write(`${image}\n  in ${environment}, until ${expires}: ${reason}\n`);
  if (Date.parse(expires) <= Date.now()) throw new CliError(`${path} expired at ${expires}; draft it anew`);

  const key = await pickKey(call);
  const { output, isNew } = await signFile(path, file, key, options);

  io.stderr.write(isNew ? `signed ${output}` : `${path} holds your signature already`);
  io.stderr.write(`, by the key ${canonicalKeyId(key.key)}\n`);
}
