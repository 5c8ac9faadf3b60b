import { parseArgs } from "node:util";
import { auditCommands } from "./audit-commands.ts";
import type { Command } from "./command.ts";
import { connect, connectionHelp, connectionOptions, type Env } from "./connection.ts";
import { directoryCommands } from "./directory-commands.ts";
import { CliError, UsageError } from "./errors.ts";
import { repositoryCommands } from "./repository-commands.ts";
import type { CliIo } from "./terminal.ts";
import { tokenKeysCommands } from "./token-keys-commands.ts";
import { userCommands } from "./user-commands.ts";
import { whyCommands } from "./why-commands.ts";

const COMMANDS: readonly Command[] = [
  ...userCommands,
  ...repositoryCommands,
  ...tokenKeysCommands,
  ...auditCommands,
  ...whyCommands,
  ...directoryCommands,
];

/**
 * Runs `goldseal <noun> <verb> …` against the public API of a running registry. Resolves to the exit status: 0 done,
 * 1 refused or failed, 2 the command line is wrong.
 */
export async function runCli(argv: readonly string[], env: Env, io: CliIo): Promise<number> {
  try {
    return await dispatch(argv, env, io);
  } catch (error) {
    if (error instanceof CliError) return complain(io, error.message, 1);
    if (error instanceof UsageError) return complain(io, error.message, 2);
    if (isParseArgsError(error)) return complain(io, `${error.message}\nsee --help`, 2);
    throw error;
  }
}

async function dispatch([noun, verb, ...rest]: readonly string[], env: Env, io: CliIo): Promise<number> {
  const ofNoun = COMMANDS.filter((command) => command.noun === noun);
  if (noun === undefined || isHelp(noun)) return show(io, COMMANDS);
  if (ofNoun.length === 0) throw new UsageError(`unknown command ${JSON.stringify(noun)}; see goldseal --help`);
  if (verb === undefined || isHelp(verb)) return show(io, ofNoun);
  const bare = ofNoun.filter((candidate) => candidate.verb === "");
  if (bare.length > 0) return run(bare, [verb, ...rest], env, io);
  const named = ofNoun.filter((candidate) => candidate.verb === verb);
  if (named.length === 0)
    throw new UsageError(`goldseal ${noun} has no ${JSON.stringify(verb)}; see goldseal ${noun} --help`);
  return run(named, rest, env, io);
}

/** `commands` differ in how many arguments they take. */
async function run(commands: readonly Command[], argv: readonly string[], env: Env, io: CliIo): Promise<number> {
  const ownOptions = commands.flatMap((command) => Object.entries(command.options ?? {}));
  const own = Object.fromEntries(ownOptions.map(([name, { type }]) => [name, { type }]));
  const options = { ...connectionOptions, ...own, help: { type: "boolean", short: "h" } } as const;
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  if (values.help === true) return show(io, commands);
  const command = commands.find(({ args }) => args.length === positionals.length);
  if (command === undefined)
    throw new UsageError(`usage: ${commands.map((each) => `goldseal ${usageOf(each)}`).join("\n   or: ")}`);
  const client = await connect(values, env, io);
  await command.run({ client, args: positionals, options: values, io });
  return 0;
}

function show({ stdout }: CliIo, commands: readonly Command[]): number {
  const texts = commands.map((command) => {
    const options = Object.entries(command.options ?? {}).map(([name, { help }]) => `      --${name}   ${help}\n`);
    return `  goldseal ${usageOf(command)}\n      ${command.help}\n${options.join("")}`;
  });
  stdout.write(`${texts.join("\n")}\noptions\n${connectionHelp}\n`);
  return 0;
}

function usageOf({ noun, verb, args, options }: Command): string {
  const optional = Object.keys(options ?? {}).map((name) => `[--${name}]`);
  return [noun, verb, ...args, ...optional].filter((word) => word !== "").join(" ");
}

function complain({ stderr }: CliIo, message: string, status: number): number {
  stderr.write(`goldseal: ${message.replaceAll("\n", "\n  ")}\n`);
  return status;
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h" || word === "help";
}

function isParseArgsError(error: unknown): error is Error {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
