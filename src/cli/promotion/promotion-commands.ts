import { isJsonObject, type Json } from "../../oci/json.ts";
import type { Command, CommandCall } from "../command.ts";
import { apiPath } from "../paths.ts";
import { type Columns, field, toText, writeList } from "../table.ts";
import { approve, idOf, reasonOf } from "./approve.ts";
import { imageOf, nameOf } from "./images.ts";
import { policyCommands } from "./policy-commands.ts";

const COLUMNS: Columns = {
  id: field("id"),
  state: field("state"),
  from: ({ source }) => nameOf(source),
  to: ({ destination }) => nameOf(destination),
  digest: field("digest"),
  by: field("askedBy"),
  policy: field("policy"),
  approved: ({ approvals }) => approversOf(approvals),
  reason: field("reason"),
};

const text = (value: string, help: string) => ({ type: "string", value, help }) as const;

export const promotionCommands: readonly Command[] = [
  {
    noun: "promote",
    verb: "",
    args: ["IMAGE", "DESTINATION"],
    help: `Promote IMAGE:TAG or IMAGE@DIGEST: the same digest into another repository, with its signatures and SBOMs.
      It is done at once, or when those who are asked have approved it: goldseal approve.`,
    run: promote,
  },
  {
    noun: "approve",
    verb: "",
    args: ["PROMOTION"],
    options: {
      key: text("NAME|FILE", "the private key (default: the one in docker's folder that is proved to be yours)"),
      digest: text("DIGEST", "approve it only if it is this image"),
      server: text("HOST:PORT", "what the registry calls itself, where you reach it under another address"),
    },
    help: "Approve a promotion: a statement about this image and this destination, signed here with your own key.",
    run: approve,
  },
  {
    noun: "promotions",
    verb: "list",
    args: [],
    options: {
      state: text("STATE", "only those that are pending, done, reversed, rejected, expired, superseded or failed"),
      source: text("REPOSITORY", "only out of this one"),
      destination: text("REPOSITORY", "only into this one"),
    },
    help: "List the promotions that you may know of, newest first.",
    run: listPromotions,
  },
  {
    noun: "promotions",
    verb: "show",
    args: ["PROMOTION"],
    help: "Show one promotion; with --json also its signed statement.",
    run: async (call) => writeList(call, [await getOne(call)], COLUMNS),
  },
  {
    noun: "promotions",
    verb: "reject",
    args: ["PROMOTION"],
    options: { reason: text("TEXT", "why") },
    help: "Reject a promotion that waits for approvals, or withdraw your own.",
    run: async (call) => {
      const id = idOf(call);
      const body = typeof call.options.reason === "string" ? { reason: call.options.reason } : {};
      await call.client.call("POST", apiPath("promotions", id, "rejection"), `reject the promotion ${id}`, body);
      call.io.stderr.write(`rejected promotion ${id}\n`);
    },
  },
  {
    noun: "promotions",
    verb: "reverse",
    args: ["PROMOTION"],
    help: "Let the destination's tag be what it was before the promotion, or be gone.",
    run: async (call) => {
      const id = idOf(call);
      const path = apiPath("promotions", id, "reversal");
      const { body } = await call.client.call("POST", path, `reverse the promotion ${id}`, {});
      const now = body.previous === null ? "gone" : toText(body.previous);
      call.io.stderr.write(`reversed promotion ${id}: ${nameOf(body.destination)} is ${now}\n`);
    },
  },
  ...policyCommands,
  {
    noun: "history",
    verb: "",
    args: ["IMAGE"],
    help: "Show what happened to IMAGE:TAG or IMAGE@DIGEST in all repositories: pushed, signed, promoted, deployed.",
    run: showHistory,
  },
];

async function promote(call: CommandCall): Promise<void> {
  const { client, io, args, options } = call;
  const [source, destination] = args.map((image) => imageOf(client, image));
  const body = { source: source ?? "", destination: destination ?? "" };
  const answer = await client.call("POST", apiPath("promotions"), `promote ${source} to ${destination}`, body);
  const { id, state, digest } = answer.body;
  if (options.json === true) return writeList(call, [answer.body], COLUMNS);
  io.stdout.write(`${toText(id)}\n`);
  const next = state === "pending" ? `waits for approvals: goldseal approve ${toText(id)}` : `is ${toText(state)}`;
  io.stderr.write(`${nameOf(answer.body.destination)}@${toText(digest)} ${next}${reasonOf(answer.body)}\n`);
}

async function listPromotions(call: CommandCall): Promise<void> {
  const entries: Json[] = [];
  const filter = ["state", "source", "destination"].flatMap((name) => {
    const value = call.options[name];
    return typeof value === "string" ? [[name, value]] : [];
  });
  let next: string | undefined = `${apiPath("promotions")}?${new URLSearchParams([...filter, ["limit", "200"]])}`;
  while (next !== undefined) {
    const { body } = await call.client.call("GET", next, "list promotions");
    entries.push(...(Array.isArray(body.promotions) ? body.promotions : []));
    next = typeof body.next === "string" ? body.next : undefined;
  }
  writeList(call, entries, COLUMNS);
}

async function getOne(call: CommandCall) {
  const id = idOf(call);
  return (await call.client.call("GET", apiPath("promotions", id), `see the promotion ${id}`)).body;
}

function approversOf(approvals: Json | undefined): string {
  const users = (Array.isArray(approvals) ? approvals : []).filter(isJsonObject).map(({ user }) => toText(user));
  return users.join(",") || "-";
}

async function showHistory(call: CommandCall): Promise<void> {
  const { client, args, io, options } = call;
  const image = imageOf(client, args[0] ?? "");
  const query = new URLSearchParams({ image, limit: "1000" });
  const { body } = await client.call("GET", `${apiPath("history")}?${query}`, `see the history of ${image}`);
  if (options.json !== true) io.stderr.write(`${toText(body.digest)}\n`);
  writeList(call, Array.isArray(body.history) ? body.history : [], {
    at: field("at"),
    what: field("kind"),
    where: ({ repository, tag }) => nameOf({ repository: repository ?? null, tag: tag ?? null }),
    by: ({ by, teams }) => byOf(by, teams),
    from: field("from"),
    detail: ({ detail }) => detailOf(detail),
  });
}

/** `quinn (qa/testers)` */
function byOf(by: Json | undefined, teams: Json | undefined): string {
  const [people, theirs] = [by, teams].map((all) => (Array.isArray(all) ? all.map(toText).join(",") : ""));
  return theirs ? `${people} (${theirs})` : people || "-";
}

function detailOf(detail: Json | undefined): string {
  if (!isJsonObject(detail)) return "-";
  if (typeof detail.where === "string")
    return typeof detail.until === "string" ? `${detail.where} until ${detail.until}` : detail.where;
  const words = ["role", "format", "artifactType", "previous", "now", "reason", "policy", "promotion"];
  const shown = words.flatMap((word) =>
    detail[word] === undefined || detail[word] === "" ? [] : [`${word} ${toText(detail[word])}`],
  );
  return shown.join(", ") || "-";
}
