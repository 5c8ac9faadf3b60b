import type { ApiClient } from "./api-client.ts";
import type { OptionValues } from "./connection.ts";
import type { CliIo } from "./terminal.ts";

export interface CommandCall {
  readonly client: ApiClient;
  readonly args: readonly string[];
  readonly options: OptionValues;
  readonly io: CliIo;
}

/** One `goldseal <noun> <verb>`. */
export interface Command {
  readonly noun: string;
  /** Empty: the noun alone; such commands are told apart by how many arguments they take. */
  readonly verb: string;
  /** Names of the arguments, as the help shows them; all must be given. */
  readonly args: readonly string[];
  readonly options?: Readonly<Record<string, { readonly type: "boolean" | "string"; readonly help: string }>>;
  /** First a line that begins with a verb, then whatever else is to say. */
  readonly help: string;
  run(call: CommandCall): Promise<void>;
}
