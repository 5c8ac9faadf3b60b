import { isJsonObject, type Json } from "../../oci/json.ts";
import type { Command, CommandCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { repositoryPath } from "../paths.ts";
import { REQUIRE_HELP } from "../policy/require-option.ts";
import { type Columns, field, toText, writeList } from "../table.ts";
import { policyOf } from "./policy-options.ts";

const COLUMNS: Columns = {
  name: field("name"),
  on: ({ enabled }) => (enabled === true ? "on" : "off"),
  to: field("targetRepository"),
  tag: field("tagTemplate"),
  accepted: ({ acceptedBy }) => (acceptedBy === null ? "nobody yet" : `by ${toText(acceptedBy)}`),
  rules: ({ rules }) => summary(rules, ({ operator, values }) => `${toText(operator)}:${toText(values)}`),
  approvals: ({ approvals }) => summary(approvals, ({ team, k }) => `${toText(team)}:${toText(k)}`),
  require: ({ require }) => summary(require, (row) => toText(row)),
};

/** What moves images on by itself. */
export const policyCommands: readonly Command[] = [
  {
    noun: "promotions",
    verb: "policies",
    args: ["REPOSITORY"],
    help: "List the policies that promote out of a repository by themselves.",
    run: async (call) => {
      const [name = ""] = call.args;
      const path = repositoryPath(name, "promotion-policies");
      writeList(call, await call.client.list(path, "policies", `list the promotion policies of ${name}`), COLUMNS);
    },
  },
  {
    noun: "promotions",
    verb: "set",
    args: ["REPOSITORY", "NAME", "TARGET"],
    options: {
      rules: { type: "string", value: "OPERATOR:VALUE|VALUE,…", help: "tags that it is for: starts:v,not-one-of:v0" },
      tag: { type: "string", value: "TEMPLATE", help: "at the target: %n is the source's (default), %Y%m%d the day" },
      approvals: { type: "string", value: "TEAM:NUMBER,…", help: "who must approve: ops/release:2" },
      require: { type: "string", value: "TEAM:K@GUN,…", help: REQUIRE_HELP },
      off: { type: "boolean", help: "keep it, and do nothing" },
    },
    help: `Promote what is pushed to a repository to TARGET by itself, once it meets what is asked. Whoever administers
      TARGET has to agree: goldseal promotions offers TARGET.`,
    run: setPolicy,
  },
  {
    noun: "promotions",
    verb: "unset",
    args: ["REPOSITORY", "NAME"],
    help: "End a promotion policy.",
    run: async ({ client, args: [name = "", policy = ""], io }) => {
      await client.call(
        "DELETE",
        repositoryPath(name, "promotion-policies", policy),
        `end the policy ${policy} of ${name}`,
      );
      io.stderr.write(`ended ${policy} of ${name}\n`);
    },
  },
  {
    noun: "promotions",
    verb: "offers",
    args: ["REPOSITORY"],
    help: "List the policies of other repositories that want to bring images into one of yours.",
    run: async (call) =>
      writeList(call, await listOffers(call), { id: field("id"), from: field("source"), ...COLUMNS }),
  },
  {
    noun: "promotions",
    verb: "accept",
    args: ["REPOSITORY", "OFFER"],
    help: "Agree to an offer as it is listed now; when it is changed, it has to be agreed to again.",
    run: async (call) => {
      const { version, source, name } = await getOffer(call);
      await call.client.call("PUT", acceptance(call), `agree to ${toText(name)} of ${toText(source)}`, {
        version: toText(version),
      });
      call.io.stderr.write(`${toText(source)} may bring images to ${call.args[0]} by its policy ${toText(name)}\n`);
    },
  },
  {
    noun: "promotions",
    verb: "refuse",
    args: ["REPOSITORY", "OFFER"],
    help: "Agree to an offer no longer.",
    run: async (call) => {
      await call.client.call("DELETE", acceptance(call), `refuse the offer ${call.args[1]}`);
      call.io.stderr.write(`refused the offer ${call.args[1]}\n`);
    },
  },
];

async function setPolicy(call: CommandCall): Promise<void> {
  const { client, io, args } = call;
  const [name = "", policy = "", target = ""] = args;
  const path = repositoryPath(name, "promotion-policies", policy);
  const { body } = await client.call("PUT", path, `set the policy ${policy} of ${name}`, policyOf(call));
  const next =
    body.acceptedBy === null
      ? `whoever administers ${target} has to agree: goldseal promotions offers ${target}`
      : "it is in force";
  io.stderr.write(`${policy} of ${name} is set; ${next}\n`);
}

async function listOffers({ client, args: [name = ""] }: CommandCall): Promise<Json[]> {
  return client.list(repositoryPath(name, "promotion-offers"), "offers", `list what is offered to ${name}`);
}

async function getOffer(call: CommandCall) {
  const offer = (await listOffers(call)).filter(isJsonObject).find(({ id }) => toText(id) === call.args[1]);
  if (offer === undefined) throw new CliError(`there is no offer ${call.args[1]} to ${call.args[0]}`);
  return offer;
}

const acceptance = ({ args: [name = "", offer = ""] }: CommandCall): string =>
  repositoryPath(name, "promotion-offers", offer, "acceptance");

function summary(rows: Json | undefined, show: (row: Record<string, Json | undefined>) => string): string {
  return (Array.isArray(rows) ? rows : []).filter(isJsonObject).map(show).join(" ") || "-";
}
