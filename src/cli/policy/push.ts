import { isJsonObject } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { toText } from "../table.ts";
import { BRIDGE_POLICY, readPolicyFile } from "./policy-file.ts";

/** `goldseal policy push FILE`: the file's bytes, as they are. */
export async function pushPolicy({ client, args: [path = ""], options, io }: CommandCall): Promise<void> {
  const { envelope, bytes } = await readPolicyFile(path);
  if (envelope === undefined) throw new CliError(`${path} is a draft; sign it first: goldseal policy sign ${path}`);
  const { body, status } = await client.putBytes(BRIDGE_POLICY, "hand in the policy of the bridges", bytes);
  if (options.json === true) return void io.stdout.write(`${JSON.stringify(body)}\n`);
  const signers = Array.isArray(body.signers) ? body.signers.filter(isJsonObject).map(({ user }) => toText(user)) : [];
  const what = `policy version ${toText(body.version)}, signed by ${signers.join(", ")},`;
  io.stderr.write(status === 201 ? `${what} is handed in\n` : `${what} was there already\n`);
}
