import { isJsonObject, type Json } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { apiPath, parseDuration, toExpiry } from "./paths.ts";
import { field, toText, writeList, writeSecret } from "./table.ts";

const EXPIRES = {
  type: "string",
  value: "TIME",
  help: "good for so long: 90d, 12h (default: until it is deleted)",
} as const;

export const robotCommands: readonly Command[] = [
  {
    noun: "robot",
    verb: "list",
    args: ["ORG"],
    help: "List the robots of an organization.",
    run: async (call) => {
      const [org = ""] = call.args;
      const robots = await call.client.list(apiPath("orgs", org, "robots"), "robots", `list robots of ${org}`);
      writeList(call, robots, {
        username: field("username"),
        may: ({ grants }) => (Array.isArray(grants) ? grants.map(grantToText).join(" ") : ""),
        expires: field("expiresAt"),
        "last used": field("lastUsedAt"),
      });
    },
  },
  {
    noun: "robot",
    verb: "set",
    args: ["ORG", "ROBOT", "SCOPE:ACTION,..."],
    options: { expires: EXPIRES },
    help: "Make a robot, or replace what it may do: app:pull,push or 'team/*:pull' (pull push delete sign promote create).\n      The secret of a new one is printed, once; its user name is ORG+ROBOT.",
    run: setRobot,
  },
  {
    noun: "robot",
    verb: "rotate",
    args: ["ORG", "ROBOT"],
    options: {
      overlap: { type: "string", value: "TIME", help: "how long the old secret stays good (default: not at all)" },
    },
    help: "Give a robot a new secret and print it, once.",
    run: async ({ client, args: [org = "", name = ""], options, io }) => {
      const overlapSeconds = typeof options.overlap === "string" ? parseDuration(options.overlap) : 0;
      const path = apiPath("orgs", org, "robots", name, "rotate");
      const { body } = await client.call("POST", path, `rotate the secret of ${org}+${name}`, { overlapSeconds });
      io.stderr.write(`new secret of ${org}+${name}\n`);
      writeSecret({ io, options }, body);
    },
  },
  {
    noun: "robot",
    verb: "delete",
    args: ["ORG", "ROBOT"],
    help: "Delete a robot.",
    run: async ({ client, args: [org = "", name = ""], io }) => {
      await client.call("DELETE", apiPath("orgs", org, "robots", name), `delete robot ${org}+${name}`);
      io.stderr.write(`deleted robot ${org}+${name}\n`);
    },
  },
  {
    noun: "token",
    verb: "list",
    args: [],
    help: "List your personal tokens.",
    run: async (call) => {
      const tokens = await call.client.list(apiPath("tokens"), "tokens", "list personal tokens");
      writeList(call, tokens, { token: field("name"), expires: field("expiresAt"), "last used": field("lastUsedAt") });
    },
  },
  {
    noun: "token",
    verb: "create",
    args: ["NAME"],
    options: { expires: EXPIRES },
    byPassword: () => true,
    help: "Make a personal token and print it, once: a password for docker login that can be taken back. By password only.",
    run: async ({ client, args: [name = ""], options, io }) => {
      const wanted = { name, ...toExpiry(options.expires) };
      const { body } = await client.call("POST", apiPath("tokens"), `make token ${name}`, wanted);
      io.stderr.write(`token ${name} of ${client.user}\n`);
      writeSecret({ io, options }, body);
    },
  },
  {
    noun: "token",
    verb: "delete",
    args: ["NAME"],
    help: "End a personal token and whatever was got for it.",
    run: async ({ client, args: [name = ""], io }) => {
      await client.call("DELETE", apiPath("tokens", name), `delete token ${name}`);
      io.stderr.write(`deleted token ${name}\n`);
    },
  },
];

async function setRobot({ client, args: [org = "", name = "", ...texts], options, io }: CommandCall): Promise<void> {
  const wanted = { grants: texts.map(parseGrant), ...toExpiry(options.expires) };
  const path = apiPath("orgs", org, "robots", name);
  const { body } = await client.call("PUT", path, `set robot ${org}+${name}`, wanted);
  io.stderr.write(`robot ${org}+${name} may ${texts.join(" ")}\n`);
  if (body.secret !== undefined) writeSecret({ io, options }, body);
}

function parseGrant(text: string): { scope: string; actions: string[] } {
  const colon = text.lastIndexOf(":");
  if (colon < 1) throw new UsageError(`${JSON.stringify(text)} is not like app:pull,push or 'team/*:pull'`);
  return { scope: text.slice(0, colon), actions: text.slice(colon + 1).split(",") };
}

function grantToText(grant: Json): string {
  return isJsonObject(grant) ? `${toText(grant.scope)}:${toText(grant.actions)}` : "";
}
