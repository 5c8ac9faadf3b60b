import { isJsonObject } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { apiPath } from "./paths.ts";
import { field, writeList } from "./table.ts";

export const orgCommands: readonly Command[] = [
  {
    noun: "org",
    verb: "list",
    args: [],
    help: "List organizations: yours, or all for who may see all.",
    run: listOrgs,
  },
  {
    noun: "org",
    verb: "create",
    args: ["ORG"],
    options: {
      owner: { type: "string", value: "USER", help: "its first owner" },
      public: { type: "boolean", help: "repositories that a push makes are public" },
    },
    help: "Make an organization (system administrators).",
    run: createOrg,
  },
  {
    noun: "org",
    verb: "delete",
    args: ["ORG"],
    help: "Delete an organization that has no repositories, with its teams and robots.",
    run: async ({ client, args: [org = ""], io }) => {
      await client.call("DELETE", apiPath("orgs", org), `delete organization ${org}`);
      io.stderr.write(`deleted organization ${org}\n`);
    },
  },
  {
    noun: "org",
    verb: "signer",
    args: ["ORG", "SIGNER"],
    help: "Print the public key that the server signs with as goldseal-auto or goldseal-promote, in PEM: a repository's owner lets it\n      sign by docker trust signer add --key FILE SIGNER IMAGE, or by goldseal trust init.",
    run: showSigner,
  },
  { noun: "member", verb: "list", args: ["ORG"], help: "List the people of an organization.", run: listMembers },
  {
    noun: "member",
    verb: "add",
    args: ["ORG", "USER..."],
    options: { owner: { type: "boolean", help: "as owners, who may do everything in it" } },
    help: "Add users to an organization, or change their role.",
    run: addMembers,
  },
  {
    noun: "member",
    verb: "remove",
    args: ["ORG", "USER..."],
    help: "Remove users from an organization and all its teams.",
    run: removeMembers,
  },
];

async function listOrgs(call: CommandCall): Promise<void> {
  const orgs = await call.client.list(apiPath("orgs"), "orgs", "list organizations");
  writeList(call, orgs, { org: field("name"), "new repositories": field("defaultVisibility") });
}

async function showSigner({ client, args: [org = "", signer = ""], io }: CommandCall): Promise<void> {
  const { body } = await client.call("GET", apiPath("orgs", org, "signers"), `read the signing keys of ${org}`);
  const all = Array.isArray(body.signers) ? body.signers.filter(isJsonObject) : [];
  const found = all.find(({ role }) => role === `targets/${signer}`);
  if (found === undefined) {
    const names = all.map(({ role }) => String(role).replace("targets/", ""));
    throw new UsageError(`${JSON.stringify(signer)} is none of the server's signers: ${names.join(", ")}`);
  }
  io.stdout.write(String(found.publicKey));
}

async function createOrg({ client, args: [org = ""], options, io }: CommandCall): Promise<void> {
  const defaultVisibility = options.public === true ? "public" : "private";
  await client.make(apiPath("orgs", org), `make organization ${org}`, { defaultVisibility });
  io.stderr.write(`organization ${org} is there\n`);
  if (typeof options.owner !== "string") return;
  const path = apiPath("orgs", org, "members", options.owner);
  await client.call("PUT", path, `make ${options.owner} an owner of ${org}`, { role: "owner" });
  io.stderr.write(`${options.owner} owns it\n`);
}

async function listMembers(call: CommandCall): Promise<void> {
  const [org = ""] = call.args;
  const members = await call.client.list(apiPath("orgs", org, "members"), "members", `list members of ${org}`);
  writeList(call, members, { user: field("user"), role: field("role") });
}

async function addMembers({ client, args: [org = "", ...users], options, io }: CommandCall): Promise<void> {
  const role = options.owner === true ? "owner" : "member";
  for (const user of users) {
    await client.call("PUT", apiPath("orgs", org, "members", user), `make ${user} ${role} of ${org}`, { role });
    io.stderr.write(`${user} is ${role} of ${org}\n`);
  }
}

async function removeMembers({ client, args: [org = "", ...users], io }: CommandCall): Promise<void> {
  for (const user of users) {
    await client.call("DELETE", apiPath("orgs", org, "members", user), `remove ${user} from ${org}`);
    io.stderr.write(`removed ${user} from ${org}\n`);
  }
}
