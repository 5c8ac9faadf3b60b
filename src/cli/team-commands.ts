import type { Command, CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { apiPath, splitRepository } from "./paths.ts";
import { field, writeList } from "./table.ts";

export const teamCommands: readonly Command[] = [
  {
    noun: "team",
    verb: "list",
    args: ["ORG"],
    help: "List the teams of an organization.",
    run: async (call) => {
      const [org = ""] = call.args;
      const teams = await call.client.list(apiPath("orgs", org, "teams"), "teams", `list teams of ${org}`);
      writeList(call, teams, { team: field("name"), since: field("createdAt") });
    },
  },
  {
    noun: "team",
    verb: "create",
    args: ["ORG", "TEAM", "[USER]..."],
    help: "Make a team, with members of the organization in it.",
    run: async (call) => {
      const [org = "", team = ""] = call.args;
      await call.client.call("PUT", apiPath("orgs", org, "teams", team), `make team ${team} in ${org}`, {});
      call.io.stderr.write(`team ${team} of ${org} is there\n`);
      await addToTeam(call);
    },
  },
  {
    noun: "team",
    verb: "delete",
    args: ["ORG", "TEAM"],
    help: "Delete a team with everything it was granted.",
    run: async ({ client, args: [org = "", team = ""], io }) => {
      await client.call("DELETE", apiPath("orgs", org, "teams", team), `delete team ${team} of ${org}`);
      io.stderr.write(`deleted team ${team} of ${org}\n`);
    },
  },
  {
    noun: "team",
    verb: "members",
    args: ["ORG", "TEAM"],
    help: "List who is in a team.",
    run: async (call) => {
      const [org = "", team = ""] = call.args;
      const path = apiPath("orgs", org, "teams", team, "members");
      const members = await call.client.list(path, "members", `list members of ${team}`);
      writeList(call, members, {
        user: field("user"),
        "": ({ admin }) => (admin === true ? "team administrator" : ""),
      });
    },
  },
  {
    noun: "team",
    verb: "add",
    args: ["ORG", "TEAM", "USER..."],
    options: { admin: { type: "boolean", help: "may add and remove members of the team" } },
    help: "Add members of the organization to a team.",
    run: addToTeam,
  },
  {
    noun: "team",
    verb: "remove",
    args: ["ORG", "TEAM", "USER..."],
    help: "Remove members from a team.",
    run: async ({ client, args: [org = "", team = "", ...users], io }) => {
      for (const user of users) {
        const path = apiPath("orgs", org, "teams", team, "members", user);
        await client.call("DELETE", path, `remove ${user} from team ${team}`);
        io.stderr.write(`removed ${user} from team ${team} of ${org}\n`);
      }
    },
  },
  {
    noun: "grant",
    verb: "list",
    args: ["ORG", "TEAM"],
    help: "List what a team may do.",
    run: async (call) => {
      const [org = "", team = ""] = call.args;
      const grants = await call.client.list(apiPath("orgs", org, "teams", team, "grants"), "grants", "list grants");
      writeList(call, grants, { repository: field("scope"), level: field("level"), extra: field("extra") });
    },
  },
  {
    noun: "grant",
    verb: "set",
    args: ["REPOSITORY", "TEAM", "read-only|read-write|admin"],
    options: {
      sign: { type: "boolean", help: "and sign" },
      promote: { type: "boolean", help: "and promote" },
      delete: { type: "boolean", help: "and delete manifests and blobs" },
    },
    help: "Let a team do something in a repository such as lab/app; lab/* is all of lab, repositories to come too.",
    run: setGrant,
  },
  {
    noun: "grant",
    verb: "remove",
    args: ["REPOSITORY", "TEAM"],
    help: "Take back what a team may do in a repository.",
    run: async ({ client, args: [name = "", team = ""], io }) => {
      await client.call("DELETE", grantPath(name, team), `take ${name} from team ${team}`);
      io.stderr.write(`team ${team} has no grant on ${name} any more\n`);
    },
  },
];

async function addToTeam({ client, args: [org = "", team = "", ...users], options, io }: CommandCall): Promise<void> {
  const admin = options.admin === true;
  for (const user of users) {
    const path = apiPath("orgs", org, "teams", team, "members", user);
    await client.call("PUT", path, `add ${user} to team ${team}`, { admin });
    io.stderr.write(`${user} is in team ${team} of ${org}\n`);
  }
}

const EXTRAS = ["sign", "promote", "delete"];

async function setGrant({ client, args: [name = "", team = "", level = ""], options, io }: CommandCall): Promise<void> {
  if (!["read-only", "read-write", "admin"].includes(level))
    throw new UsageError("a level is read-only, read-write or admin");
  const extra = EXTRAS.filter((one) => options[one] === true);
  await client.call("PUT", grantPath(name, team), `grant ${level} on ${name} to team ${team}`, { level, extra });
  io.stderr.write(`team ${team} has ${[level, ...extra].join(", ")} on ${name}\n`);
}

function grantPath(name: string, team: string): string {
  const [org, repo] = splitRepository(name);
  return apiPath("orgs", org, "teams", team, "grants", repo);
}
