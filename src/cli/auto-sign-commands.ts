import type { Command } from "./command.ts";
import { repositoryPath } from "./paths.ts";
import { field, writeList } from "./table.ts";

export const autoSignCommands: readonly Command[] = [
  {
    noun: "auto-sign",
    verb: "list",
    args: ["REPOSITORY"],
    help: "List the rules by which the server signs tags of a repository as part of their push.",
    run: async (call) => {
      const [name = ""] = call.args;
      const rules = await call.client.list(
        repositoryPath(name, "auto-sign"),
        "rules",
        `list auto-sign rules of ${name}`,
      );
      writeList(call, rules, { rule: field("name"), tags: field("tags") });
    },
  },
  {
    noun: "auto-sign",
    verb: "set",
    args: ["REPOSITORY", "RULE", "TAG..."],
    help: "Have the server sign tags as part of their push from now on: 'v*' latest (* is any characters).\n      It signs as targets/goldseal-auto; what is there already is signed when it is pushed again.",
    run: async ({ client, args: [name = "", rule = "", ...tags], io }) => {
      await client.call("PUT", repositoryPath(name, "auto-sign", rule), `set auto-sign rule ${rule} of ${name}`, {
        tags,
      });
      io.stderr.write(`pushes to ${name} of tags ${tags.join(" ")} are signed\n`);
    },
  },
  {
    noun: "auto-sign",
    verb: "delete",
    args: ["REPOSITORY", "RULE"],
    help: "Delete a rule. What was signed under it stays signed: goldseal trust revoke.",
    run: async ({ client, args: [name = "", rule = ""], io }) => {
      await client.call("DELETE", repositoryPath(name, "auto-sign", rule), `delete auto-sign rule ${rule} of ${name}`);
      io.stderr.write(`deleted auto-sign rule ${rule} of ${name}\n`);
    },
  },
];
