import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ComposeError } from "../../compose/error.ts";
import { type StackText, toStack } from "../../compose/stack-text.ts";
import type { CommandCall } from "../command.ts";
import { CliError, UsageError } from "../errors.ts";

const MAX_FILE_BYTES = 1024 * 1024;

/**
 * The compose file of the option, as a stack of this name: with the files that it names, from its own folder, and the variables of
 * whoever runs this.
 * @throws UsageError, CliError with everything that is wrong with it
 */
export async function readStack(
  { options, env }: Pick<CommandCall, "options" | "env">,
  name: string,
): Promise<StackText> {
  const file = options["compose-file"];
  if (typeof file !== "string") throw new UsageError("of which file? -c compose.yml");
  const text = await readText(file);
  const folder = dirname(resolve(file));
  const read = (path: string): Uint8Array => readFileSync(resolve(folder, path));
  try {
    return toStack(text, { name, variables: (variable) => env[variable], read });
  } catch (cause) {
    if (!(cause instanceof ComposeError)) throw cause;
    throw new CliError(`${file} is no stack as it is:\n${cause.faults.join("\n")}`, { cause });
  }
}

async function readText(file: string): Promise<string> {
  try {
    const bytes = await readFile(file);
    if (bytes.length <= MAX_FILE_BYTES) return bytes.toString();
  } catch (cause) {
    throw new CliError(`cannot read ${file}`, { cause });
  }
  throw new CliError(`${file} is larger than 1 MiB`);
}
