import { randomBytes } from "node:crypto";
import { isJsonObject, type Json } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { CliError, UsageError } from "./errors.ts";
import { askSecret, readStdin } from "./terminal.ts";

const PASSWORD_STDIN = {
  "password-stdin": { type: "boolean", help: "read the user's password from standard input" },
} as const;

export const userCommands: readonly Command[] = [
  {
    noun: "user",
    verb: "add",
    args: ["NAME"],
    options: PASSWORD_STDIN,
    help: "Make a user. Without --password-stdin a password is generated and printed, once.",
    run: addUser,
  },
  { noun: "user", verb: "list", args: [], help: "List all users.", run: listUsers },
  {
    noun: "user",
    verb: "password",
    args: ["NAME"],
    options: PASSWORD_STDIN,
    help: "Change a user's password; all tokens of the user end. (A user's own: add --as NAME.)",
    run: changePassword,
  },
];

async function addUser({ client, args: [name = ""], options, io }: CommandCall): Promise<void> {
  const given = options["password-stdin"] === true ? await readStdin(io) : undefined;
  const doing = `add user ${name}`;
  if ((await client.find("GET", userPath(name), doing)) !== undefined) {
    throw new CliError(`there is a user ${name} already; goldseal user password ${name} changes the password`);
  }
  const password = given ?? randomBytes(18).toString("base64url");

  await client.call("PUT", userPath(name), doing, { password });

  io.stderr.write(`added user ${name}; repositories are ${name}/<name>\n`);
  if (given === undefined) io.stdout.write(`${password}\n`);
}

async function listUsers({ client, io }: CommandCall): Promise<void> {
  const { body } = await client.call("GET", "/api/v1/users", "list users");
  const users = Array.isArray(body.users) ? body.users.map(toLine) : [];
  const width = Math.max(...users.map(([name]) => name.length), 4);
  for (const [name, what] of users) io.stdout.write(`${`${name.padEnd(width)}  ${what}`.trimEnd()}\n`);
}

async function changePassword({ client, args: [name = ""], options, io }: CommandCall): Promise<void> {
  const password = options["password-stdin"] === true ? await readStdin(io) : await askTwice(io, name);
  const doing = `change the password of ${name}`;
  if ((await client.find("GET", userPath(name), doing)) === undefined) {
    throw new CliError(`there is no user ${name}, or it is hidden from you; goldseal user list shows who there is`);
  }

  await client.call("PUT", userPath(name), doing, { password });

  io.stderr.write(`changed the password of ${name}; docker login again\n`);
}

async function askTwice(io: CommandCall["io"], name: string): Promise<string> {
  if (io.stdin.isTTY !== true) throw new UsageError("no new password: add --password-stdin");
  const password = await askSecret(io, `new password of ${name}: `);
  if ((await askSecret(io, "the same again: ")) !== password)
    throw new CliError("the two are not the same; nothing changed");
  return password;
}

function toLine(user: Json): [string, string] {
  if (!isJsonObject(user)) return ["", ""];
  const roles = Array.isArray(user.roles) ? user.roles.map(String) : [];
  return [String(user.name), [...roles, ...(user.suspended === true ? ["suspended"] : [])].join(" ")];
}

function userPath(name: string): string {
  return `/api/v1/users/${encodeURIComponent(name)}`;
}
