import { randomBytes } from "node:crypto";
import { ApiClient } from "./api-client.ts";
import type { Command, LocalCall } from "./command.ts";
import { connectByPassword, findRegistry } from "./connection.ts";
import { readLogins, writeLogins } from "./credentials-file.ts";
import { CliError } from "./errors.ts";
import { apiPath } from "./paths.ts";
import { toText } from "./table.ts";

export const loginCommands: readonly Command[] = [
  {
    noun: "login",
    verb: "",
    args: [],
    help: "Sign in once: keeps a personal token (never the password) in a file that only you can read.",
    runLocally: login,
  },
  {
    noun: "logout",
    verb: "",
    args: [],
    help: "End the token that login keeps, and forget it.",
    runLocally: logout,
  },
];

async function login({ options, env, io }: LocalCall): Promise<void> {
  const { client, registry, name } = await connectByPassword(options, env, io);
  const tokenName = `cli-${randomBytes(4).toString("hex")}`;
  const { body } = await client.call("POST", apiPath("tokens"), "make a token to sign in with", { name: tokenName });
  const ca = registry.caFile === undefined ? {} : { ca: registry.caFile };
  const stored = { user: name, token: toText(body.secret), tokenName, ...ca };
  const { logins } = await readLogins(env);
  const { origin } = registry.url;
  const path = await writeLogins(env, { current: origin, logins: { ...logins, [origin]: stored } });
  io.stderr.write(`signed in to ${origin} as ${name}; the token ${tokenName} is in ${path}\n`);
}

async function logout({ options, env, io }: LocalCall): Promise<void> {
  const { url, ca, login: stored } = await findRegistry(options, env);
  if (stored === undefined) throw new CliError(`nobody is signed in to ${url.origin}`);
  const client = new ApiClient({ url, ca, name: stored.user, password: stored.token });
  const { logins } = await readLogins(env);
  const { [url.origin]: _, ...others } = logins;
  await writeLogins(env, { logins: others });
  await client.call("DELETE", apiPath("tokens", stored.tokenName), `end the token ${stored.tokenName}`);
  io.stderr.write(`signed out of ${url.origin}\n`);
}
