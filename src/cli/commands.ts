import type { Command } from "./command.ts";

interface CommandTable {
  /** Of all its commands. */
  readonly nouns: readonly string[];
  load(): Promise<readonly Command[]>;
}

/** In the order of the help. What a command needs is loaded when somebody asks for its noun: starting is most of the time it takes. */
export const COMMAND_TABLES: readonly CommandTable[] = [
  table(["login", "logout"], async () => (await import("./login-commands.ts")).loginCommands),
  table(["user"], async () => (await import("./user-commands.ts")).userCommands),
  table(["org", "member"], async () => (await import("./org-commands.ts")).orgCommands),
  table(["team", "grant"], async () => (await import("./team-commands.ts")).teamCommands),
  table(["repository"], async () => (await import("./repository-commands.ts")).repositoryCommands),
  table(["robot", "token"], async () => (await import("./robot-commands.ts")).robotCommands),
  table(["key"], async () => (await import("./key-commands.ts")).keyCommands),
  table(["token-keys"], async () => (await import("./token-keys-commands.ts")).tokenKeysCommands),
  table(
    ["promote", "approve", "promotions", "history"],
    async () => (await import("./promotion/promotion-commands.ts")).promotionCommands,
  ),
  table(["trust"], async () => (await import("./trust/trust-commands.ts")).trustCommands),
  table(["trust-keys", "keyring"], async () => (await import("./trust-keys-commands.ts")).trustKeysCommands),
  table(["auto-sign"], async () => (await import("./auto-sign-commands.ts")).autoSignCommands),
  table(["policy"], async () => (await import("./policy/policy-commands.ts")).policyCommands),
  table(["deploy", "rollback", "services"], async () => (await import("./cluster/deploy-commands.ts")).deployCommands),
  table(["break-glass"], async () => (await import("./break-glass/break-glass-commands.ts")).breakGlassCommands),
  table(["policies"], async () => (await import("./policy/registry-policies.ts")).registryPolicyCommands),
  table(
    ["nodes", "services", "networks", "volumes", "secrets", "configs"],
    async () => (await import("./cluster/cluster-commands.ts")).clusterCommands,
  ),
  table(["directory"], async () => (await import("./directory-commands.ts")).directoryCommands),
  table(["audit"], async () => (await import("./audit-commands.ts")).auditCommands),
  table(["gc"], async () => (await import("./gc-commands.ts")).gcCommands),
  table(["fsck", "quarantine", "scrub"], async () => (await import("./fsck-commands.ts")).fsckCommands),
  table(["why"], async () => (await import("./why-commands.ts")).whyCommands),
  table(["stack"], async () => (await import("./cluster/stack-commands.ts")).stackCommands),
  table(["completion"], async () => (await import("./completion.ts")).completionCommands),
];

function table(nouns: readonly string[], load: CommandTable["load"]): CommandTable {
  return { nouns, load };
}

/** Those of one noun; none where there is no such noun. */
export async function commandsOf(noun: string): Promise<Command[]> {
  const loaded = await loadAll(COMMAND_TABLES.filter(({ nouns }) => nouns.includes(noun)));
  return loaded.filter((command) => command.noun === noun);
}

export async function allCommands(): Promise<Command[]> {
  return loadAll(COMMAND_TABLES);
}

async function loadAll(tables: readonly CommandTable[]): Promise<Command[]> {
  return (await Promise.all(tables.map(({ load }) => load()))).flat();
}
