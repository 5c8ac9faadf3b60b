import type { Command } from "../command.ts";
import { draftStatement } from "./draft.ts";
import { signStatement } from "./sign.ts";

const text = (value: string, help: string) => ({ type: "string", value, help }) as const;

/** What lets one image run that people have not signed. */
export const breakGlassCommands: readonly Command[] = [
  {
    noun: "break-glass",
    verb: "draft",
    args: ["IMAGE@DIGEST"],
    options: {
      environment: text("NAME", "where it may run"),
      reason: text("TEXT", "why, for whoever reads the bridge's journal"),
      expires: text("TIME", "when it ends, from now: 24h at most (default: 4h)"),
    },
    help: `Print a statement that lets one image run in one environment though the people have not signed it whom its policy asks
      for. It counts when the holders of the bridge's policy keys have signed it: goldseal break-glass sign is next.`,
    runLocally: draftStatement,
  },
  {
    noun: "break-glass",
    verb: "sign",
    args: ["FILE"],
    options: {
      key: text("NAME|FILE", "your policy key (default: the only one in docker's folder)"),
      output: text("FILE", "where to (default: a draft to FILE.dsse.json, else FILE itself)"),
    },
    help: "Sign a statement, or add your signature to those that are there. Then: goldseal deploy --break-glass FILE.",
    runLocally: signStatement,
  },
];
