import type { ApiClient } from "./api-client.ts";
import type { Env, OptionValues } from "./connection.ts";
import type { CliIo } from "./terminal.ts";

export interface CommandCall {
  readonly client: ApiClient;
  readonly args: readonly string[];
  readonly options: OptionValues;
  readonly io: CliIo;
  readonly env: Env;
}

export interface CommandOption {
  readonly type: "boolean" | "string";
  /** One letter: `-c`. */
  readonly short?: string;
  /** What a string stands for in the help, such as `TIME`. */
  readonly value?: string;
  readonly help: string;
}

interface Description {
  readonly noun: string;
  /** Empty: the noun alone; such commands are told apart by how many arguments they take. */
  readonly verb: string;
  /** Names of the arguments, as the help shows them. `USER...` at the end is one or more, `[USER]...` none or more. */
  readonly args: readonly string[];
  readonly options?: Readonly<Record<string, CommandOption>>;
  /** First a line that begins with a verb, then whatever else is to say. */
  readonly help: string;
}

/** One `goldseal <noun> <verb>` that works on a registry. */
export interface ApiCommand extends Description {
  /** Whether `self` needs the password for it, because the token of goldseal login is refused. */
  readonly byPassword?: (self: string, args: readonly string[]) => boolean;
  run(call: CommandCall): Promise<void>;
}

/** What a command gets that signs in itself, or not at all. */
export type LocalCall = Omit<CommandCall, "client">;

export interface LocalCommand extends Description {
  runLocally(call: LocalCall): Promise<void>;
}

export type Command = ApiCommand | LocalCommand;
