import type { Command } from "../command.ts";
import { diffFiles, diffWithServer } from "./diff.ts";
import { draftPolicy } from "./draft.ts";
import { pushPolicy } from "./push.ts";
import { REQUIRE_HELP } from "./require-option.ts";
import { showFile, showServer } from "./show.ts";
import { signPolicy } from "./sign.ts";

/** The signed policy document of bridges, `goldseal.policy/v1`. */
export const policyCommands: readonly Command[] = [
  {
    noun: "policy",
    verb: "draft",
    args: [],
    options: {
      from: {
        type: "string",
        value: "FILE",
        help: "environments and teams, in YAML or JSON (default: the registry's policy)",
      },
      environment: { type: "string", value: "NAME", help: "add or replace this environment, by the options below" },
      images: { type: "string", value: "PATTERN,…", help: "what may run there, such as ops/*" },
      require: {
        type: "string",
        value: "TEAM:K@GUN,…",
        help: REQUIRE_HELP,
      },
      rights: { type: "string", value: "TEAM=RIGHT,…", help: "who may view, operate or deploy: acme/ops=deploy" },
      operators: { type: "string", value: "USER,…", help: "whose keys may sign orders" },
      "timestamp-age": { type: "string", value: "TIME", help: "how old a signature of freshness may be, such as 48h" },
      expires: { type: "string", value: "TIME", help: "when it ends, from now (default: 90d)" },
    },
    help: `Print the next policy for bridges, with the members and proved keys that the registry has now.
      Nothing is changed: goldseal policy sign is next. For system administrators and auditors.`,
    run: draftPolicy,
  },
  {
    noun: "policy",
    verb: "sign",
    args: ["FILE"],
    options: {
      key: {
        type: "string",
        value: "NAME|FILE",
        help: "the private key (default: the one in docker's folder that the policy lists)",
      },
      output: {
        type: "string",
        value: "FILE",
        help: "where to (default: a draft to FILE.dsse.json, else FILE itself)",
      },
    },
    help: "Sign a draft, or add your signature to those that are there. Nothing is sent.",
    runLocally: signPolicy,
  },
  {
    noun: "policy",
    verb: "push",
    args: ["FILE"],
    help: "Hand in a signed policy; bridges fetch it and check it by the keys that they pin.",
    run: pushPolicy,
  },
  {
    noun: "policy",
    verb: "show",
    args: [],
    help: "Show the policy for bridges that the registry has, and who signed it.",
    run: showServer,
  },
  {
    noun: "policy",
    verb: "show",
    args: ["FILE"],
    help: "Show a draft or signed policy.",
    runLocally: showFile,
  },
  {
    noun: "policy",
    verb: "diff",
    args: ["FILE"],
    help: "Say what a policy would change of the registry's.",
    run: diffWithServer,
  },
  {
    noun: "policy",
    verb: "diff",
    args: ["OLD", "NEW"],
    help: "Say what one policy changes of another.",
    runLocally: diffFiles,
  },
];
