import type { Command, CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { apiPath, repositoryPath } from "./paths.ts";
import { field, writeList } from "./table.ts";

const COLUMNS = { repository: field("name"), visibility: field("visibility") };

const DROP_TRUST = {
  "drop-trust": { type: "boolean", help: "give up its trust data, which is signed for this name" },
} as const;

export const repositoryCommands: readonly Command[] = [
  {
    noun: "repository",
    verb: "list",
    args: ["ORG"],
    help: "List the repositories of an organization or user that you may see.",
    run: async (call) => {
      const [org = ""] = call.args;
      const path = apiPath("orgs", org, "repositories");
      writeList(call, await call.client.list(path, "repositories", `list repositories of ${org}`), COLUMNS);
    },
  },
  {
    noun: "repository",
    verb: "show",
    args: ["NAME"],
    help: "Show who may see a repository, such as alice/app.",
    run: async (call) => {
      const [name = ""] = call.args;
      const { body } = await call.client.call("GET", repositoryPath(name), `see repository ${name}`);
      writeList(call, [body], COLUMNS);
    },
  },
  {
    noun: "repository",
    verb: "create",
    args: ["NAME"],
    options: { public: { type: "boolean", help: "everyone may pull" } },
    help: "Make a repository; a push does so too, but not under a name that was deleted lately.",
    run: async ({ client, args: [name = ""], options, io }) => {
      const visibility = options.public === true ? "public" : "private";
      await client.make(repositoryPath(name), `make repository ${name}`, { visibility });
      io.stderr.write(`${name} is there, ${visibility}\n`);
    },
  },
  {
    noun: "repository",
    verb: "visibility",
    args: ["NAME", "public|private"],
    help: "Let everyone pull (public), or those with a right to (private); makes the repository if need be.",
    run: setVisibility,
  },
  {
    noun: "repository",
    verb: "rename",
    args: ["NAME", "NEW-NAME"],
    options: DROP_TRUST,
    help: "Give a repository another name, in another organization too; nobody can have the old one for 90 days.",
    run: async ({ client, args: [name = "", to = ""], options, io }) => {
      const body = { name: to, ...(options["drop-trust"] === true ? { dropTrust: true } : {}) };
      await client.call("POST", repositoryPath(name, "rename"), `rename ${name} to ${to}`, body);
      io.stderr.write(`${name} is ${to} now\n`);
    },
  },
  {
    noun: "repository",
    verb: "delete",
    args: ["NAME"],
    options: { yes: { type: "boolean", help: "really: everything in it is gone" }, ...DROP_TRUST },
    help: "Delete a repository with all its tags and manifests.",
    run: async ({ client, args: [name = ""], options, io }) => {
      if (options.yes !== true) throw new UsageError(`to delete ${name} and everything in it, add --yes`);
      const query = options["drop-trust"] === true ? "?dropTrust=true" : "";
      await client.call("DELETE", `${repositoryPath(name)}${query}`, `delete repository ${name}`);
      io.stderr.write(`deleted ${name}\n`);
    },
  },
  {
    noun: "repository",
    verb: "grants",
    args: ["NAME"],
    help: "List what teams may do in a repository.",
    run: async (call) => {
      const [name = ""] = call.args;
      const { body } = await call.client.call("GET", repositoryPath(name, "grants"), `see the grants on ${name}`);
      const columns = { team: field("team"), on: field("scope"), level: field("level"), extra: field("extra") };
      writeList(call, Array.isArray(body.grants) ? body.grants : [], columns);
    },
  },
];

async function setVisibility({ client, args: [name = "", visibility = ""], io }: CommandCall): Promise<void> {
  if (visibility !== "public" && visibility !== "private") throw new UsageError("visibility is public or private");
  await client.call("PUT", repositoryPath(name), `make repository ${name} ${visibility}`, { visibility });
  io.stderr.write(`${name} is ${visibility}\n`);
}
