import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { UsageError } from "../errors.ts";
import { repositoryPath } from "../paths.ts";
import { printable, toText } from "../table.ts";
import { parseImage } from "../trust/image.ts";

/** `goldseal policies verdict IMAGE`: what each policy makes of an image, who signed it, and what is missing. */
export async function showVerdicts(call: CommandCall): Promise<void> {
  const { client, args, io, options } = call;
  const { host, repository, tag, digest } = parseImage(args[0] ?? "");
  if (host !== undefined && host !== new URL(client.origin).host)
    throw new UsageError(`${host} is not the registry that is asked, ${client.origin}`);
  if (tag === undefined && digest === undefined)
    throw new UsageError(`which one? ${repository}:TAG or ${repository}@DIGEST`);
  const query = new URLSearchParams(digest === undefined ? { tag: tag ?? "" } : { digest });
  const { body } = await client.call("GET", `${repositoryPath(repository, "verdicts")}?${query}`, `judge ${args[0]}`);
  if (options.json === true) return void io.stdout.write(`${JSON.stringify(body)}\n`);
  const verdicts = objectsOf(body.verdicts);
  const lines = [
    `${toText(body.repository)}${tag === undefined ? "" : `:${tag}`} ${toText(body.digest)}`,
    ...(body.image === false ? ["no image, so no policy holds it back"] : []),
    ...(verdicts.length === 0 ? ["no policy covers it"] : verdicts.flatMap(describeVerdict)),
    ...signaturesOf(verdicts),
  ];
  for (const line of lines) io.stdout.write(`${printable(line)}\n`);
}

function describeVerdict({ policy, mode, allowed, until, missing }: JsonObject): string[] {
  const end = until === null || until === undefined ? "" : ` until ${toText(until)}`;
  const lines = Array.isArray(missing) ? missing.map((sentence: Json) => `  ${toText(sentence)}`) : [];
  return [`policy ${toText(policy)} (${toText(mode)}): ${allowed === true ? `allowed${end}` : "refused"}`, ...lines];
}

/** Each once, whatever number of policies looked at it. */
function signaturesOf(verdicts: readonly JsonObject[]): string[] {
  const lines = verdicts.flatMap(({ signatures, refusals }) => [
    ...objectsOf(signatures).map(describeSignature),
    ...objectsOf(refusals).map(({ where, reason }) => `not counted: ${toText(where)} ${toText(reason)}`),
  ]);
  return [...new Set(lines)];
}

function describeSignature(signature: JsonObject): string {
  const { format, user, machine, gun, role, tag, keySha256, counts, why } = signature;
  const who = machine === true ? "a server" : user === null ? `the stranger's key ${toText(keySha256)}` : toText(user);
  const where = gun === null ? "" : ` as ${toText(gun)}:${toText(tag)} in ${toText(role)}`;
  return `${counts === true ? "signed" : "not counted: signed"} by ${who} (${toText(format)})${where}${counts === true ? "" : `: it ${toText(why)}`}`;
}

function objectsOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}
