import type { Json } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { UsageError } from "../errors.ts";
import { listOf, readRequire } from "../policy/require-option.ts";

/** What `goldseal promotions set` says of a policy. @throws UsageError */
export function policyOf({ args, options }: Pick<CommandCall, "args" | "options">): Json {
  const [, , target = ""] = args;
  return {
    targetRepository: target,
    enabled: options.off !== true,
    ...(typeof options.tag === "string" ? { tagTemplate: options.tag } : {}),
    rules: listOf(options.rules).map(toRule),
    approvals: listOf(options.approvals).map(toApproval),
    require: readRequire(options.require),
  };
}

function toRule(text: string): Json {
  const [operator = "", values = ""] = split(text, ":", "a rule is OPERATOR:VALUE, such as starts:v or one-of:1.4|1.5");
  return { field: "tag", operator, values: values.split("|") };
}

function toApproval(text: string): Json {
  const [team = "", k = ""] = split(`${text}${text.includes(":") ? "" : ":1"}`, ":", "approvals are TEAM:NUMBER");
  if (!/^\d{1,2}$/.test(k))
    throw new UsageError(`${JSON.stringify(text)}: approvals are TEAM:NUMBER, such as ops/release:2`);
  return { team, k: Number(k) };
}

function split(text: string, by: string, rule: string): readonly [string, string] {
  const at = text.indexOf(by);
  if (at < 1) throw new UsageError(`${JSON.stringify(text)}: ${rule}`);
  return [text.slice(0, at), text.slice(at + 1)];
}
