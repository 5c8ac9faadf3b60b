import { setTimeout as wait } from "node:timers/promises";
import type { Json, JsonObject } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { CliError, UsageError } from "./errors.ts";
import { formatBytes, formatSeconds, parseBytes } from "./sizes.ts";
import { field, writeList } from "./table.ts";

/** Asked at first, and at last: what an administrator reads is on record, and a check may take days. */
const [firstPollMs, lastPollMs] = [200, 5_000];
/** The rate is that of the last so many answers. */
const rateSamples = 50;
const json = { type: "boolean", help: "the answer as JSON" } as const;

export const fsckCommands: readonly Command[] = [
  {
    noun: "fsck",
    verb: "",
    args: [],
    options: {
      sample: { type: "string", value: "SHARE", help: "hash so many blobs, picked at random: 1%, or a number" },
      all: { type: "boolean", help: "hash every blob; without this and --sample sizes are compared, and nothing read" },
      repair: {
        type: "boolean",
        help: "set aside what is damaged, so that the next push heals it; lift what is whole",
      },
      "dry-run": { type: "boolean", help: "change nothing: so it is without --repair" },
      "accept-loss": { type: "boolean", help: "with --repair: go on though nearly every blob is missing" },
      json,
    },
    help: `Hold every blob and manifest against its row, both ways. Exit status 1 when anything is found. A check goes on when
      this command, or the server, ends; the same command again shows it.`,
    run: check,
  },
  {
    noun: "quarantine",
    verb: "",
    args: [],
    options: { json: { type: "boolean", help: "one JSON object a line" } },
    help: "List what is damaged and counts as absent until somebody pushes it again.",
    run: async (call) =>
      writeList(call, await call.client.list("/api/v1/quarantine", "quarantine", "list the quarantine"), {
        ...{ kind: field("kind"), size: field("size"), digest: field("digest") },
        ...{ reason: field("reason"), since: field("since"), aside: field("aside") },
        repositories: field("repositories"),
      }),
  },
  {
    noun: "scrub",
    verb: "",
    args: [],
    options: {
      rate: { type: "string", value: "SIZE", help: "read so much a second, such as 8MiB; off: nothing" },
      every: { type: "string", value: "DAYS", help: "read nothing more often than that" },
      json,
    },
    help: "Show what the check that goes on by itself has done, or change how fast it is.",
    run: scrub,
  },
];

async function check({ client, options, io }: CommandCall): Promise<void> {
  if (options.all === true && options.sample !== undefined) throw new UsageError("--all or --sample, not both");
  if (options.repair === true && options["dry-run"] === true) throw new UsageError("--repair or --dry-run, not both");
  const ask = {
    ...(typeof options.sample === "string" ? { sample: options.sample } : {}),
    ...{ all: options.all === true, repair: options.repair === true, acceptLoss: options["accept-loss"] === true },
  };
  const { body } = await client.call("POST", "/api/v1/fsck", "check the blobs", ask);
  const progress = new Progress(io);
  let run = body;
  for (let pollMs = firstPollMs; run.state === "running"; pollMs = Math.min(pollMs * 1.1, lastPollMs)) {
    await wait(pollMs);
    run = (await client.call("GET", `/api/v1/fsck/${body.id}`, "ask about the check")).body;
    progress.show(run);
  }
  progress.clear();
  const findings = await client.list(`/api/v1/fsck/${body.id}/findings`, "findings", "list what was found");
  if (options.json === true) io.stdout.write(`${JSON.stringify({ ...run, findings }, null, 2)}\n`);
  else writeFindings({ io, options }, findings, run);
  judge(io, run);
}

function writeFindings(call: Pick<CommandCall, "io" | "options">, findings: readonly Json[], run: JsonObject): void {
  writeList(call, findings, {
    ...{ kind: field("kind"), size: field("size"), name: field("name"), reason: field("reason") },
    ...{ action: field("action"), found: field("found"), repository: field("repository") },
  });
  const what = run.mode === "sizes" ? "their sizes compared" : `${formatBytes(Number(run.bytes))} hashed`;
  call.io.stdout.write(`${run.objects} blobs looked at, ${what}; ${run.findings} findings\n`);
}

/** @throws CliError unless all is well */
function judge({ stderr }: CommandCall["io"], { state, reason, findings, skipped, repair }: JsonObject): void {
  if (state !== "done") throw new CliError(`the check is ${state}: ${reason}`);
  if (typeof reason === "string") stderr.write(`goldseal: ${reason}\n`);
  if (Number(skipped) > 0)
    throw new CliError(`${skipped} blobs could not be read just then: see the server's log, check again`);
  if (Number(findings) === 0) return;
  const next =
    repair === true
      ? "what is in quarantine heals when it is pushed again"
      : "with --repair damaged ones are set aside";
  throw new CliError(`${findings} findings; ${next}`);
}

const CLEAR_LINE = "\r\u001b[K";

/** One line that changes, for people alone. */
class Progress {
  readonly #stderr: CommandCall["io"]["stderr"];
  readonly #seen: { readonly at: number; readonly bytes: number }[] = [];

  constructor({ stderr }: CommandCall["io"]) {
    this.#stderr = stderr;
  }

  show(run: JsonObject): void {
    if (this.#stderr.isTTY === true) this.#stderr.write(`${CLEAR_LINE}${this.#line(run)}`);
  }

  clear(): void {
    if (this.#stderr.isTTY === true) this.#stderr.write(CLEAR_LINE);
  }

  #line({ stage, mode, objects, bytes, totalObjects, totalBytes, findings }: JsonObject): string {
    const found = `${findings} findings`;
    if (stage === "sizes" && mode === "sizes") return `sizes: ${objects} of ${totalObjects} blobs, ${found}`;
    if (stage !== "hashing") return `${stage}, ${found}`;
    const rate = this.#rate(Number(bytes));
    const left = rate > 0 ? `, ${formatSeconds((Number(totalBytes) - Number(bytes)) / rate)} left` : "";
    const share = Number(totalBytes) > 0 ? Math.floor((100 * Number(bytes)) / Number(totalBytes)) : 100;
    const done = `${formatBytes(Number(bytes))} of ${formatBytes(Number(totalBytes))} (${share} %)`;
    return `hashing: ${done}, ${formatBytes(rate)}/s${left}, ${found}`;
  }

  #rate(bytes: number): number {
    this.#seen.push({ at: performance.now(), bytes });
    if (this.#seen.length > rateSamples) this.#seen.shift();
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    if (first === undefined || last === undefined || last.at === first.at) return 0;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }
}

async function scrub({ client, options, io }: CommandCall): Promise<void> {
  let { body } = await client.call("GET", "/api/v1/scrub", "ask about the scrub");
  if (options.rate !== undefined || options.every !== undefined) {
    const settings = {
      bytesPerSecond: typeof options.rate === "string" ? parseRate(options.rate) : Number(body.bytesPerSecond),
      everyDays: typeof options.every === "string" ? parseDays(options.every) : Number(body.everyDays),
    };
    body = (await client.call("PUT", "/api/v1/scrub", "change the scrub", settings)).body;
  }
  if (options.json === true) io.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
  else io.stdout.write(describeScrub(body));
}

function describeScrub({ bytesPerSecond, everyDays, objects, bytes, damaged, lastAt, oldestAt }: JsonObject): string {
  const rate =
    bytesPerSecond === 0 ? "off" : `${formatBytes(Number(bytesPerSecond))}/s, nothing within ${everyDays} days again`;
  const done = `${objects} objects read (${formatBytes(Number(bytes))}), ${damaged} of them damaged`;
  return `${rate}\n${done}\nlast read: ${lastAt ?? "never"}; not read for longest: since ${oldestAt ?? "there is nothing"}\n`;
}

function parseRate(text: string): number {
  return text === "off" ? 0 : parseBytes(text);
}

function parseDays(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new UsageError(`--every ${JSON.stringify(text)}: a number of days`);
  return Number(text);
}
