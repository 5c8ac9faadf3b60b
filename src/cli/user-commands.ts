import { randomBytes } from "node:crypto";
import type { JsonObject } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { CliError, UsageError } from "./errors.ts";
import { apiPath } from "./paths.ts";
import { field, writeList, writeSecret } from "./table.ts";
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
    byPassword: (self, [name]) => self === name,
    help: "Change a user's password; all tokens of the user end. (A user's own: add --as NAME.)",
    run: changePassword,
  },
  {
    noun: "user",
    verb: "roles",
    args: ["NAME", "admin|auditor|none..."],
    help: "Set what a user is for the whole registry: admin may do everything, auditor sees everything but content.",
    run: setRole,
  },
  {
    noun: "user",
    verb: "suspend",
    args: ["NAME"],
    help: "Keep a user out: password and tokens do nothing from the next request on.",
    run: suspending(true),
  },
  { noun: "user", verb: "resume", args: ["NAME"], help: "Let a suspended user in again.", run: suspending(false) },
  { noun: "user", verb: "delete", args: ["NAME"], help: "Delete a user who has no repositories.", run: deleteUser },
];

async function addUser({ client, args: [name = ""], options, io }: CommandCall): Promise<void> {
  const given = options["password-stdin"] === true ? await readStdin(io) : undefined;
  const doing = `add user ${name}`;
  if ((await client.find("GET", apiPath("users", name), doing)) !== undefined) {
    throw new CliError(`there is a user ${name} already; goldseal user password ${name} changes the password`);
  }
  const password = given ?? randomBytes(18).toString("base64url");

  await client.call("PUT", apiPath("users", name), doing, { password });

  io.stderr.write(`added user ${name}; repositories are ${name}/<name>\n`);
  if (given === undefined) writeSecret({ io, options }, { user: name, secret: password });
}

async function listUsers(call: CommandCall): Promise<void> {
  const users = await call.client.list(apiPath("users"), "users", "list users");
  writeList(call, users, { user: field("name"), "": stateOf });
}

async function setRole({ client, args: [name = "", ...roles], io }: CommandCall): Promise<void> {
  const none = roles.length === 1 && roles[0] === "none";
  await client.call("PUT", apiPath("users", name), `change the roles of ${name}`, { roles: none ? [] : roles });
  io.stderr.write(`roles of ${name}: ${roles.join(", ")}\n`);
}

function suspending(suspended: boolean) {
  return async ({ client, args: [name = ""], io }: CommandCall): Promise<void> => {
    const doing = `${suspended ? "suspend" : "let in"} ${name}`;
    if ((await client.find("GET", apiPath("users", name), doing)) === undefined) throw noUser(name);
    await client.call("PUT", apiPath("users", name), doing, { suspended });
    io.stderr.write(
      suspended ? `${name} is suspended: password and tokens do nothing\n` : `${name} may sign in again\n`,
    );
  };
}

async function deleteUser({ client, args: [name = ""], io }: CommandCall): Promise<void> {
  await client.call("DELETE", apiPath("users", name), `delete user ${name}`);
  io.stderr.write(`deleted user ${name}\n`);
}

async function changePassword({ client, args: [name = ""], options, io }: CommandCall): Promise<void> {
  const password = options["password-stdin"] === true ? await readStdin(io) : await askTwice(io, name);
  const doing = `change the password of ${name}`;
  if ((await client.find("GET", apiPath("users", name), doing)) === undefined) {
    throw noUser(name);
  }

  await client.call("PUT", apiPath("users", name), doing, { password });

  io.stderr.write(
    `changed the password of ${name}; every token of ${name} ended: docker login and goldseal login again\n`,
  );
}

async function askTwice(io: CommandCall["io"], name: string): Promise<string> {
  if (io.stdin.isTTY !== true) throw new UsageError("no new password: add --password-stdin");
  const password = await askSecret(io, `new password of ${name}: `);
  if ((await askSecret(io, "the same again: ")) !== password)
    throw new CliError("the two are not the same; nothing changed");
  return password;
}

function stateOf({ roles, suspended }: JsonObject): string {
  const texts = Array.isArray(roles) ? roles.map(String) : [];
  return [...texts, ...(suspended === true ? ["suspended"] : [])].join(" ");
}

function noUser(name: string): CliError {
  return new CliError(`there is no user ${name}, or it is hidden from you; goldseal user list shows who there is`);
}
