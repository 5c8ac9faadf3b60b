import type { Command } from "./command.ts";
import { allCommands, commandsOf } from "./commands.ts";
import { connect, connectionHelp, connectionOptions, type Env } from "./connection.ts";
import { CliError, UsageError } from "./errors.ts";
import { printable } from "./table.ts";
import type { CliIo } from "./terminal.ts";

/** Importing `node:util` loads all that it exports, which takes as long as five modules of ours. */
const { parseArgs } = process.getBuiltinModule("node:util");

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
  if (noun === undefined || isHelp(noun)) return show(io, await allCommands());
  const ofNoun = await commandsOf(noun);
  if (ofNoun.length === 0) throw new UsageError(`unknown command ${JSON.stringify(noun)}; see goldseal --help`);
  const alone = ofNoun.filter((command) => command.verb === "");
  if (alone.length > 0) return run(alone, verb === undefined ? [] : [verb, ...rest], env, io);
  if (verb === undefined || isHelp(verb)) return show(io, ofNoun);
  const named = ofNoun.filter((candidate) => candidate.verb === verb);
  if (named.length === 0)
    throw new UsageError(`goldseal ${noun} has no ${JSON.stringify(verb)}; see goldseal ${noun} --help`);
  return run(named, rest, env, io);
}

/** `commands` differ in how many arguments they take. */
async function run(commands: readonly Command[], argv: readonly string[], env: Env, io: CliIo): Promise<number> {
  const ownOptions = commands.flatMap((command) => Object.entries(command.options ?? {}));
  const own = Object.fromEntries(
    ownOptions.map(([name, { type, short }]) => [name, { type, ...(short && { short }) }]),
  );
  const options = { ...connectionOptions, ...own, help: { type: "boolean", short: "h" } } as const;
  const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true });
  if (values.help === true) return show(io, commands);
  const command = commands.find((one) => isCount(one, positionals.length));
  if (command === undefined)
    throw new UsageError(`usage: ${commands.map((one) => `goldseal ${usageOf(one)}`).join("\n   or: ")}`);
  const call = { args: positionals, options: values, io, env };
  if ("runLocally" in command) await command.runLocally(call);
  else {
    const client = await connect(call, (self) => command.byPassword?.(self, positionals) ?? false);
    await command.run({ ...call, client });
  }
  return 0;
}

function isCount({ args }: Command, count: number): boolean {
  const last = args.at(-1) ?? "";
  if (!last.endsWith("...")) return count === args.length;
  return count >= (last.startsWith("[") ? args.length - 1 : args.length);
}

function show({ stdout }: CliIo, commands: readonly Command[]): number {
  const texts = commands.map((command) => {
    const options = Object.entries(command.options ?? {}).map(
      ([name, { short, value, help }]) =>
        `      ${short ? `-${short}, ` : ""}--${[name, value].filter((part) => part !== undefined).join(" ")}   ${help}\n`,
    );
    return `  goldseal ${usageOf(command)}\n      ${command.help}\n${options.join("")}`;
  });
  stdout.write(`${texts.join("\n")}\noptions\n${connectionHelp}\n`);
  return 0;
}

function usageOf({ noun, verb, args, options }: Command): string {
  const optional = Object.entries(options ?? {}).map(([name, { value }]) =>
    value ? `[--${name} ${value}]` : `[--${name}]`,
  );
  return [noun, verb, ...args, ...optional].filter((word) => word !== "").join(" ");
}

function complain({ stderr }: CliIo, message: string, status: number): number {
  stderr.write(`goldseal: ${message.split("\n").map(printable).join("\n  ")}\n`);
  return status;
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h" || word === "help";
}

function isParseArgsError(error: unknown): error is Error {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}
