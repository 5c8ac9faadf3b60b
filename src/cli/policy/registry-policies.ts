import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import { requireRowSchema } from "../../trust/require.ts";
import type { Command, CommandCall } from "../command.ts";
import { UsageError } from "../errors.ts";
import { apiPath } from "../paths.ts";
import { field, writeList } from "../table.ts";
import { describeRow } from "./describe.ts";
import { listOf, REQUIRE_HELP, readRequire } from "./require-option.ts";
import { simulatePolicy } from "./simulate.ts";
import { showVerdicts } from "./verdict.ts";

/** The registry's own policies: who must have signed what is pulled from an organization's repositories, or promoted into them. */
export const registryPolicyCommands: readonly Command[] = [
  {
    noun: "policies",
    verb: "list",
    args: ["ORG"],
    help: "List the policies of an organization: who must have signed what is pulled there, or promoted there.",
    run: async (call) => {
      const [org = ""] = call.args;
      const policies = await call.client.list(apiPath("orgs", org, "policies"), "policies", `list policies of ${org}`);
      writeList(call, policies, {
        policy: field("name"),
        mode: field("mode"),
        applies: field("applies"),
        repositories: field("repositories"),
        "must be signed by": ({ require }) => rowsOf(require).join("; "),
      });
    },
  },
  {
    noun: "policies",
    verb: "show",
    args: ["ORG", "NAME"],
    help: "Show one policy.",
    run: async (call) => {
      const [org = "", name = ""] = call.args;
      const { body } = await call.client.call(
        "GET",
        apiPath("orgs", org, "policies", name),
        `read policy ${name} of ${org}`,
      );
      writePolicy(call, body);
    },
  },
  {
    noun: "policies",
    verb: "set",
    args: ["ORG", "NAME", "off|warn|enforce"],
    options: {
      repositories: {
        type: "string",
        value: "PATTERN,…",
        help: "below the organization: app, team/*, ** for all (default)",
      },
      require: { type: "string", value: "TEAM:K@GUN=CLASS,…", help: REQUIRE_HELP },
      applies: { type: "string", value: "pull,promotion", help: "to what (default: pull)" },
      environment: {
        type: "string",
        value: "NAME",
        help: "what the repositories are for, such as prod; a word for people",
      },
      "timestamp-age": {
        type: "string",
        value: "TIME",
        help: "how old the word may be that a tag is current, such as 48h",
      },
      "dry-run": { type: "boolean", help: "change nothing, and list what it would refuse now" },
      "needs-tag": { type: "boolean", help: "the image's own trust data must say that the tag is this image" },
    },
    help: `Make or replace a policy of an organization. warn lets pulls pass with a warning; enforce refuses them, but to those who may
      sign. Without --require only the mode of a policy that is there is changed.`,
    run: setPolicy,
  },
  {
    noun: "policies",
    verb: "remove",
    args: ["ORG", "NAME"],
    help: "Remove a policy: from the next pull on it asks for nothing.",
    run: async ({ client, args: [org = "", name = ""], io }) => {
      await client.call("DELETE", apiPath("orgs", org, "policies", name), `remove policy ${name} of ${org}`);
      io.stderr.write(`removed policy ${name} of ${org}\n`);
    },
  },
  {
    noun: "policies",
    verb: "verdict",
    args: ["IMAGE:TAG|@DIGEST"],
    help: "Say what each policy makes of an image, who signed it, and what is missing.",
    run: showVerdicts,
  },
];

async function setPolicy(call: CommandCall): Promise<void> {
  const { client, args, options, io } = call;
  const [org = "", name = "", mode = ""] = args;
  if (!["off", "warn", "enforce"].includes(mode)) throw new UsageError("a mode is off, warn or enforce");
  const path = apiPath("orgs", org, "policies", name);
  const body =
    options.require === undefined ? { ...(await findPolicy(call, path)), mode } : { ...readPolicy(call), mode };
  if (options["dry-run"] === true) return simulatePolicy(call, path, body);
  await client.call("PUT", path, `set policy ${name} of ${org}`, body);
  io.stderr.write(`policy ${name} of ${org} is in mode ${mode}\n`);
}

/** What is there, as it can be put again. @throws UsageError */
async function findPolicy({ client, options, args: [org, name] }: CommandCall, path: string): Promise<JsonObject> {
  const given = ["repositories", "applies", "environment", "timestamp-age", "needs-tag"].find((one) => options[one]);
  const found = given === undefined ? await client.find("GET", path, `read policy ${name} of ${org}`) : undefined;
  if (found === undefined) throw new UsageError(`who must have signed? --require says it, such as --require ${org}/qa`);
  const { name: _, ...rest } = found.body;
  return rest;
}

function readPolicy({ options }: CommandCall): JsonObject {
  const { repositories, applies, environment, require } = options;
  const age = options["timestamp-age"];
  return {
    repositories: typeof repositories === "string" ? listOf(repositories) : ["**"],
    require: readRequire(require),
    ...(typeof applies === "string" ? { applies: listOf(applies) } : {}),
    ...(typeof environment === "string" ? { environment } : {}),
    ...(typeof age === "string" ? { maxTimestampAge: age } : {}),
    ...(options["needs-tag"] === true ? { needsTag: true } : {}),
  };
}

function writePolicy(call: CommandCall, policy: JsonObject): void {
  if (call.options.json === true) return void call.io.stdout.write(`${JSON.stringify(policy)}\n`);
  const rest = Object.entries(policy).filter(([name]) => !["require", "name"].includes(name));
  const lines = [
    ...rest.map(([name, value]) => [name, value] as const),
    ...rowsOf(policy.require).map((row) => ["signed by", row] as const),
  ];
  writeList(
    call,
    lines.map(([name, value]) => ({ name, value: value ?? null })),
    { what: field("name"), value: field("value") },
  );
}

/** In words; what this command line cannot read is shown as it came. */
function rowsOf(require: unknown): string[] {
  if (!Array.isArray(require)) return [];
  return require.map((row) => {
    const parsed = requireRowSchema.safeParse(row);
    return parsed.success ? describeRow(parsed.data) : JSON.stringify(isJsonObject(row) ? row : null);
  });
}
