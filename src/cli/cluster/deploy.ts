import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { toText } from "../table.ts";
import { sendOrder } from "./order.ts";
import { readServiceSpec } from "./service-spec.ts";

/** `goldseal deploy [IMAGE]`: prints the image that runs, by the digest that was signed; with `--dry-run`, why each node would. */
export async function deploy(call: CommandCall): Promise<void> {
  const { args, options, io } = call;
  const statement = await findStatement(options["break-glass"]);
  if (statement !== undefined && statement.envelope === undefined)
    throw new CliError(`${statement.name} is a draft; sign it first: goldseal break-glass sign ${statement.name}`);
  const spec = await readServiceSpec(call, args[0] ?? statement?.statement.image);
  const body = Buffer.from(JSON.stringify(spec));
  const { name, image } = spec;
  const outcome = await sendOrder(call, {
    ...{ action: "service.deploy", doing: `deploy ${toText(image)} as ${toText(name)}`, body },
    ...(statement === undefined ? {} : { breakGlass: statement.bytes }),
  });
  if (options.json === true) return;
  if (outcome.dryRun === true) return showDryRun(call, toText(name), outcome);
  io.stderr.write(`${toText(name)} runs\n`);
  io.stdout.write(`${toText(outcome.pinned)}\n`);
}

async function showDryRun(call: CommandCall, name: string, { placement, pinned }: JsonObject): Promise<void> {
  const { writePlacement } = await import("./placement-table.ts");
  if (isJsonObject(placement)) writePlacement(call, placement);
  call.io.stderr.write(`${name} would run as ${toText(pinned)}; nothing is changed\n`);
}

/** What reads it is loaded for those who need it: hardly ever. */
async function findStatement(file: string | boolean | undefined) {
  if (typeof file !== "string") return undefined;
  const { readStatement } = await import("../break-glass/statement-file.ts");
  return readStatement(file);
}

/** `goldseal rollback SERVICE`: prints the image that runs now. */
export async function rollBack(call: CommandCall): Promise<void> {
  const { args, io, options } = call;
  const [name = ""] = args;
  const body = Buffer.from(JSON.stringify({ name }));
  const outcome = await sendOrder(call, { action: "service.rollback", doing: `roll back the service ${name}`, body });
  if (options.json === true) return;
  io.stderr.write(`${name} is rolled back\n`);
  io.stdout.write(`${toText(outcome.pinned)}\n`);
}

/** `goldseal services rm NAME`. */
export async function removeService(call: CommandCall): Promise<void> {
  const { args, io, options } = call;
  const [name = ""] = args;
  const body = Buffer.from(JSON.stringify({ name }));
  await sendOrder(call, { action: "service.remove", doing: `remove the service ${name}`, body });
  if (options.json !== true) io.stderr.write(`removed ${name}\n`);
}
