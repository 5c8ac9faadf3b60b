import { spkiOf } from "../notary/tuf/key.ts";
import { isJsonObject, type JsonObject } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { CliError } from "./errors.ts";
import { findOwnKey, openPrivateKey } from "./own-key.ts";
import { apiPath } from "./paths.ts";
import { proveKey } from "./prove-key.ts";
import { field, toText, writeList } from "./table.ts";

const PRIVATE_KEY = {
  type: "string",
  value: "FILE",
  help: "the private key (default: the one in docker's folder, DOCKER_CONFIG or ~/.docker)",
} as const;
const SERVER = {
  type: "string",
  value: "URL",
  help: "what the registry calls itself, where you reach it under another address",
} as const;
const OF_USER = { type: "string", value: "USER", help: "whose key (default: yours)" } as const;

export const keyCommands: readonly Command[] = [
  {
    noun: "key",
    verb: "list",
    args: [],
    options: { user: OF_USER },
    help: "List the keys that somebody signs with; an unproven one counts for nobody.",
    run: async (call) => {
      writeList(call, await listKeys(call), {
        name: field("name"),
        state: field("state"),
        "key id": field("keyId"),
        algorithm: field("algorithm"),
        proved: field("provedAt"),
      });
    },
  },
  {
    noun: "key",
    verb: "add",
    args: ["NAME|FILE"],
    options: {
      name: { type: "string", value: "NAME", help: "what to call it (default: its name in the file, or the file's)" },
      key: PRIVATE_KEY,
      server: SERVER,
    },
    byPassword: () => true,
    help: `Add a key to your account: NAME of docker trust key generate, or a file with a public key or certificate.
      It is proved at once where the private key is found. By password only.`,
    run: addKey,
  },
  {
    noun: "key",
    verb: "prove",
    args: ["NAME"],
    options: { key: PRIVATE_KEY, server: SERVER },
    byPassword: () => true,
    help: "Prove that you hold the private half of a key of yours: from then on it counts. By password only.",
    run: async (call) => {
      const entry = await getKey(call);
      const keyId = toText(entry.keyId);
      const signingKey = await openPrivateKey(call, keyId);
      if (signingKey === undefined)
        throw new CliError(
          `the private half of ${call.args[0]} (${keyId}) is not in docker's folder; name it with --key`,
        );
      await proveKey(call, signingKey);
      call.io.stderr.write(`key ${toText(entry.name)} of ${call.client.user} is proved\n`);
    },
  },
  {
    noun: "key",
    verb: "remove",
    args: ["NAME"],
    options: { user: OF_USER },
    help: "Remove a key: what it signed counts no longer. Nobody else can ever add it.",
    run: async (call) => {
      const entry = await getKey(call);
      const path = keysPath(call, toText(entry.spkiSha256));
      await call.client.call("DELETE", path, `remove the key ${toText(entry.name)} of ${userOf(call)}`);
      call.io.stderr.write(`removed key ${toText(entry.name)} of ${userOf(call)}\n`);
    },
  },
  {
    noun: "key",
    verb: "who",
    args: ["ORG", "KEY-ID"],
    help: "Say which member of an organization a key belongs to, and in which teams that person is.",
    run: async (call) => {
      const [org = "", keyId = ""] = call.args;
      const { body } = await call.client.call("GET", apiPath("orgs", org, "keys", keyId), `ask whose key ${keyId} is`);
      writeList(call, [body], { user: field("user"), teams: field("teams"), proved: field("provedAt") });
    },
  },
];

async function addKey(call: CommandCall): Promise<void> {
  const { client, options, io } = call;
  const own = await findOwnKey(call);
  const name = typeof options.name === "string" ? options.name : own.name;
  // Before anything is sent: without the passphrase nothing is changed.
  const signingKey = own.signingKey ?? (await openPrivateKey(call, own.keyId));
  if (signingKey !== undefined && spkiOf(signingKey.key) !== own.spkiSha256)
    throw new CliError(`the private key ${signingKey.key.id} is another one than ${own.keyId}`);

  await client.call("POST", keysPath(call), `add the key ${name}`, { name, publicKey: own.publicKey });
  if (signingKey !== undefined) await proveKey(call, signingKey);

  io.stderr.write(
    signingKey === undefined
      ? `key ${name} of ${client.user} is added and unproven: it counts for nobody yet.\nWhere its private half is, run goldseal key prove ${name}\n`
      : `key ${name} of ${client.user} is added and proved\n`,
  );
}

function userOf({ client, options }: CommandCall): string {
  return typeof options.user === "string" ? options.user : client.user;
}

function keysPath(call: CommandCall, ...rest: readonly string[]): string {
  return apiPath("users", userOf(call), "keys", ...rest);
}

async function listKeys(call: CommandCall): Promise<JsonObject[]> {
  const user = userOf(call);
  return (await call.client.list(keysPath(call), "keys", `list the keys of ${user}`)).filter(isJsonObject);
}

/** By its name, or by one of its ids. @throws CliError */
async function getKey(call: CommandCall): Promise<JsonObject> {
  const [wanted = ""] = call.args;
  const found = (await listKeys(call)).find(
    ({ name, spkiSha256, keyIds }) =>
      name === wanted || spkiSha256 === wanted || (Array.isArray(keyIds) && keyIds.includes(wanted)),
  );
  if (found === undefined) throw new CliError(`${userOf(call)} has no key ${wanted}; see goldseal key list`);
  return found;
}
