import type { Command, CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";

export const repositoryCommands: readonly Command[] = [
  {
    noun: "repository",
    verb: "show",
    args: ["NAME"],
    help: "Show who may see a repository, such as alice/app.",
    run: async ({ client, args: [name = ""], io }: CommandCall) => {
      const { body } = await client.call("GET", repositoryPath(name), `see repository ${name}`);
      io.stdout.write(`${name}  ${body.visibility}\n`);
    },
  },
  {
    noun: "repository",
    verb: "visibility",
    args: ["NAME", "public|private"],
    help: "Let everyone pull (public), or those with a right to (private); makes the repository if need be.",
    run: async ({ client, args: [name = "", visibility = ""], io }: CommandCall) => {
      if (visibility !== "public" && visibility !== "private") throw new UsageError("visibility is public or private");
      await client.call("PUT", repositoryPath(name), `make repository ${name} ${visibility}`, { visibility });
      io.stderr.write(`${name} is ${visibility}\n`);
    },
  },
];

function repositoryPath(name: string): string {
  const slash = name.indexOf("/");
  if (slash < 0) throw new UsageError(`${JSON.stringify(name)} is no repository: it is <user or organization>/<name>`);
  const [org, repo] = [name.slice(0, slash), name.slice(slash + 1)];
  return `/api/v1/orgs/${encodeURIComponent(org)}/repositories/${encodeURIComponent(repo)}`;
}
