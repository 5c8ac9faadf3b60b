import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { CommandCall, CommandOption } from "../command.ts";
import { pickKey } from "../docker-keys/pick-key.ts";
import { CliError, UsageError } from "../errors.ts";
import { printable, toText } from "../table.ts";
import { type OrderOf, signOrder } from "./order-signature.ts";

/** Of every command that changes the cluster. */
export const orderOptions: Readonly<Record<string, CommandOption>> = {
  environment: { type: "string", value: "NAME", help: "of the policy document: where" },
  key: {
    type: "string",
    value: "NAME|FILE",
    help: "your operator's key (default: the one in docker's folder that the policy lists)",
  },
};

export interface Ordering {
  /** `service.remove`, … */
  readonly action: string;
  /** What is changed, as messages call it: `remove the service web`. */
  readonly doing: string;
  readonly body: Uint8Array;
  /** A signed statement (DSSE) that stands in for signatures. */
  readonly breakGlass?: Uint8Array;
}

/** @throws UsageError */
export function environmentOf({ options }: Pick<CommandCall, "options">): string {
  if (typeof options.environment === "string") return options.environment;
  throw new UsageError("--environment NAME: in which environment of the policy?");
}

/**
 * Signs the order here, hands it to the registry, which hands it to the bridge, and tells how it goes: lines for people on
 * standard error, with `--json` every line as it came on standard output. Resolves to the outcome, when it is done.
 * @throws CliError for whatever else came of it: who refused what, why, and what to do next
 */
export async function sendOrder(call: CommandCall, { action, doing, body, breakGlass }: Ordering): Promise<JsonObject> {
  const { client, io, options } = call;
  const environment = environmentOf(call);
  const order = signOrder({ environment, action, body }, await openOperatorKey(call, environment));
  const headers = {
    "goldseal-order": order,
    ...(breakGlass === undefined ? {} : { "goldseal-break-glass": Buffer.from(breakGlass).toString("base64url") }),
  };
  let last: JsonObject = {};
  const onLine = async (line: JsonObject): Promise<void> => {
    last = line;
    if (options.json === true) io.stdout.write(`${JSON.stringify(line)}\n`);
    else if (isJsonObject(line.progress)) await showProgress(call, line.progress);
  };
  const refusal = await client.postLines({ path: pathOf({ environment, action, body }), body, headers }, onLine);
  if (refusal !== undefined) throw refused(call, doing, { ...refusal.body, status: refusal.status });
  return outcomeOf(call, doing, last);
}

/** How it goes is told once the order is on its way, and loaded then. */
async function showProgress({ io }: CommandCall, progress: JsonObject): Promise<void> {
  const { describeProgress } = await import("./order-progress.ts");
  for (const text of describeProgress(progress)) io.stderr.write(`${printable(text)}\n`);
}

function pathOf({ environment, action }: OrderOf): string {
  if (action === "service.deploy") return `/api/v1/deployments?${new URLSearchParams({ environment })}`;
  return `/api/v1/cluster/orders?${new URLSearchParams({ environment, action })}`;
}

/** The one that the policy lists for the environment, as far as it shows itself. @throws CliError */
async function openOperatorKey(call: CommandCall, environment: string) {
  if (typeof call.options.key === "string") return pickKey(call);
  const { findServerPolicy } = await import("../policy/policy-file.ts");
  const policy = await findServerPolicy(call.client);
  const operators = policy?.document.environments.get(environment)?.operators;
  return pickKey(call, (keyId) => operators?.has(keyId) === true);
}

function outcomeOf(call: CommandCall, doing: string, { outcome, decision }: JsonObject): JsonObject {
  if (!isJsonObject(outcome))
    throw new CliError(
      `the answer broke off: it is not known whether the bridge could ${doing}. What it began it brings to its end; look with goldseal services`,
    );
  if (outcome.kind === "refuse")
    throw refused(call, doing, { code: toText(outcome.code).toLowerCase(), detail: outcome.reason, decision });
  if (outcome.kind !== "failed") return outcome;
  throw new CliError([`the bridge could not ${doing}: ${toText(outcome.reason)}`, ...whatIsNow(outcome)].join("\n"));
}

/** After a failure; of a stack the reason says it of each service that failed. */
function whatIsNow({ rolledBackTo, services }: JsonObject): string[] {
  if (isJsonObject(services)) {
    const well = Object.entries(services).filter(([, one]) => isJsonObject(one) && one.kind === "deployed");
    return well.map(([name]) => `${name} is as it was ordered`);
  }
  return [rolledBackTo === undefined ? "it was not rolled back" : `rolled back to ${toText(rolledBackTo)}`];
}

/** What whoever was refused can do. */
const NEXT: Readonly<Record<string, string>> = {
  "bridge-away": "is the bridge running, and GOLDSEAL_BRIDGE_URL where it listens?",
  clock: "the bridge's machine has a wrong clock",
  conflict: "goldseal services, networks, secrets, configs or nodes ls shows what is in the way, and who uses it",
  missing: "goldseal services, networks, secrets, configs or nodes ls shows what there is",
  order: "goldseal policy show says whose keys may order what; another key goes into --key",
  pin: "an operator of the bridge adds the collection's root key to its pins",
  placement: "goldseal nodes ls shows the nodes and their labels",
  policy: "goldseal policy show says what may run where, and until when",
  registry: "order it again when the registry answers, and nodes may pull it; the bridge's /readyz says what is wrong",
  silent: "what the bridge began it brings to its end: goldseal services ls shows what became of it",
  spec: "goldseal policy show says what a service may ask for (specLimits)",
  trust: "goldseal trust inspect shows the trust data; what is damaged or went back is for its owner to mend",
  unsigned: "have it signed by whom the policy asks for: goldseal trust sign",
};

function refused({ client }: CommandCall, doing: string, { status, code, detail, decision }: JsonObject): CliError {
  const what = [status, code]
    .filter((part) => part !== undefined)
    .map(toText)
    .join(" ");
  const why = `the bridge of ${client.origin} does not let ${client.user} ${doing}: ${toText(detail)} (${what})`;
  const more = typeof decision === "string" ? [`goldseal why ${decision}`] : [];
  return new CliError([why, NEXT[toText(code)] ?? [], more].flat().join("\n"));
}
