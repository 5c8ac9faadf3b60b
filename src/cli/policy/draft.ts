import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { parsePublicKeyFile } from "../../notary/tuf/public-key-file.ts";
import { isJsonObject } from "../../oci/json.ts";
import type { ApiClient } from "../api-client.ts";
import type { CommandCall } from "../command.ts";
import { CliError, UsageError } from "../errors.ts";
import { apiPath, toExpiry } from "../paths.ts";
import { toText } from "../table.ts";
import { findServerPolicy, type PolicyFile, parsePolicy } from "./policy-file.ts";
import { readEnvironment, readTemplate, type Template, type TemplateEnvironment, toTemplate } from "./template.ts";

/** `goldseal policy draft`: environments of a file, the command line or the policy of now; people as the registry has them. */
export async function draftPolicy(call: CommandCall): Promise<void> {
  const { client, io, options } = call;
  const current = await findServerPolicy(client);
  const template = await chooseTemplate(call, current);
  const teams = await findTeams(client, template);
  const users = [...new Set([...[...teams.values()].flat(), ...template.users, ...operatorNames(template)])].sort();
  const keys = await findKeys(client, users);

  const version = (current?.document.version ?? 0) + 1;
  const expires = toExpiry(typeof options.expires === "string" ? options.expires : "90d").expiresAt;
  const draft = {
    ...{ version, expires },
    environments: mapValues(template.environments, (environment) => ({
      ...environment,
      operators: environment.operators.flatMap((operator) => toKeyIds(operator, keys)),
    })),
    teams: Object.fromEntries(teams),
    keys: Object.fromEntries(keys.map(({ keyId, spki, user }) => [keyId, { spki, user }])),
  };
  const text = `${JSON.stringify(draft, undefined, 2)}\n`;
  parsePolicy("the draft", Buffer.from(text));
  io.stdout.write(text);

  const without = users.filter((user) => !keys.some((key) => key.user === user));
  if (without.length > 0)
    io.stderr.write(`goldseal: without a proved key, so that nothing they sign counts: ${without.join(", ")}\n`);
}

async function chooseTemplate({ client, options }: CommandCall, current: PolicyFile | undefined): Promise<Template> {
  const own = readEnvironment(options);
  const base =
    typeof options.from === "string"
      ? await readTemplate(options.from)
      : current && toTemplate(current.name, current.json);
  if (base === undefined && own === undefined)
    throw new UsageError(
      `${client.origin} has no policy yet; say what runs where: --from FILE, or --environment NAME --images … --require …`,
    );
  const { environments = {}, teams = [], users = [] } = base ?? {};
  return { environments: { ...environments, ...(own && { [own[0]]: own[1] }) }, teams, users };
}

/** Members by team, in order. Teams of an organization are looked up; others are as the file has them. @throws CliError */
async function findTeams(
  client: ApiClient,
  { environments, teams }: Template,
): Promise<Map<string, readonly string[]>> {
  const given = Array.isArray(teams) ? {} : teams;
  const listed = Array.isArray(teams) ? teams : Object.keys(teams);
  const named = Object.values(environments).flatMap(teamsOf);
  const found = new Map<string, readonly string[]>();
  for (const name of [...new Set([...listed, ...named])].sort()) {
    const [org = "", team] = name.split("/");
    const members = team === undefined ? given[name] : await findMembers(client, org, team);
    if (members === undefined)
      throw new CliError(
        `team ${name}: name it with its organization, such as acme/qa, or list its members under teams`,
      );
    found.set(name, members);
  }
  return found;
}

function teamsOf({ require, rights }: TemplateEnvironment): string[] {
  return [...require.flatMap(({ team }) => (team === undefined ? [] : [team])), ...Object.keys(rights)];
}

async function findMembers(client: ApiClient, org: string, team: string): Promise<string[]> {
  const path = apiPath("orgs", org, "teams", team, "members");
  const members = await client.list(path, "members", `list the members of team ${team} of ${org}`);
  return members.filter(isJsonObject).map(({ user }) => toText(user));
}

interface FoundKey {
  readonly keyId: string;
  readonly spki: string;
  readonly user: string;
}

/** Of each user the keys that count. */
async function findKeys(client: ApiClient, users: readonly string[]): Promise<FoundKey[]> {
  const found: FoundKey[] = [];
  for (const user of users) {
    const keys = await client.list(apiPath("users", user, "keys"), "keys", `list the keys of ${user}`);
    for (const { state, publicKey } of keys.filter(isJsonObject)) {
      if (state !== "proved") continue;
      const { key } = parsePublicKeyFile(toText(publicKey));
      found.push({ keyId: canonicalKeyId(key), spki: key.getMaterial().spki.toString("base64"), user });
    }
  }
  return found;
}

const KEY_ID = /^[0-9a-f]{64}$/;

/** Operators may be in no team. */
function operatorNames({ environments }: Template): string[] {
  return Object.values(environments).flatMap(({ operators }) => operators.filter((operator) => !KEY_ID.test(operator)));
}

/** @throws CliError for who has none */
function toKeyIds(operator: string, keys: readonly FoundKey[]): string[] {
  if (KEY_ID.test(operator)) return [operator];
  const own = keys.filter(({ user }) => user === operator).map(({ keyId }) => keyId);
  if (own.length === 0) throw new CliError(`${operator} has no proved key to sign orders with; see goldseal key add`);
  return own;
}

function mapValues<T, U>(entries: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(entries).map(([name, value]) => [name, map(value)]));
}
