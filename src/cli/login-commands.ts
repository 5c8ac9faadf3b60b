import { randomBytes } from "node:crypto";
import { ApiClient } from "./api-client.ts";
import type { Command, LocalCall } from "./command.ts";
import { connectByPassword, findRegistry } from "./connection.ts";
import { readLogins, type StoredLogin, writeLogins } from "./credentials-file.ts";
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
  // The token of a login before would stay good with nobody knowing it.
  const before = registry.login;
  if (before !== undefined)
    await endToken(new ApiClient({ ...registry, name: before.user, password: before.token }), before);
  io.stderr.write(`signed in to ${origin} as ${name}; the token ${tokenName} is in ${path}\n`);
}

async function logout({ options, env, io }: LocalCall): Promise<void> {
  const { url, ca, login: stored } = await findRegistry(options, env);
  if (stored === undefined) throw new CliError(`nobody is signed in to ${url.origin}`);
  const { current, logins } = await readLogins(env);
  const { [url.origin]: _, ...others } = logins;
  await writeLogins(
    env,
    current === url.origin || current === undefined ? { logins: others } : { current, logins: others },
  );
  await endToken(new ApiClient({ url, ca, name: stored.user, password: stored.token }), stored);
  io.stderr.write(`signed out of ${url.origin}\n`);
}

/** By itself, whoever signs in now; one that ended already is as good. */
async function endToken(client: ApiClient, { tokenName }: StoredLogin): Promise<void> {
  const { status } = await client.try("DELETE", apiPath("tokens", tokenName), `end the token ${tokenName}`);
  if (status >= 300 && status !== 401 && status !== 404)
    throw new CliError(
      `the token ${tokenName} of ${client.user} could not be ended (${status}): goldseal token delete ${tokenName}`,
    );
}
