import { readFile } from "node:fs/promises";
import { isJsonObject, type Json, JsonError, type JsonObject, parseJson } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { CliError, UsageError } from "../errors.ts";
import { parseImage } from "../trust/image.ts";

/**
 * A service as docs/bridge.md has it: what the file says, and over it what the options say. What it may hold is for the
 * bridge to judge, which says everything that is wrong.
 * @throws UsageError, CliError
 */
export async function readServiceSpec(
  { options, client }: Pick<CommandCall, "options" | "client">,
  image: string | undefined,
): Promise<JsonObject> {
  const file = typeof options.file === "string" ? await readSpecFile(options.file) : {};
  const named = image ?? (typeof file.image === "string" ? file.image : undefined);
  if (named === undefined) throw new UsageError("which IMAGE? Name it, or let the file of --file name it");
  const { host, repository, tag, digest } = parseImage(named);
  if (tag === undefined && digest === undefined) throw new UsageError(`which one? ${named}:TAG, or ${named}@sha256:…`);
  const authority = host ?? new URL(client.origin).host;
  return {
    ...{ name: repository.split("/").at(-1) ?? "", ...file, ...readOptions(options) },
    image: `${authority}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`,
  };
}

/** @throws CliError */
async function readSpecFile(path: string): Promise<JsonObject> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new CliError(`cannot read ${path}`, { cause });
  });
  const content = tryJson(bytes) ?? (await readYaml(path, bytes.toString()));
  if (!isJsonObject(content)) throw new CliError(`${path} holds no service: name, image, replicas, …`);
  return content;
}

/** JSON is YAML too, and YAML's reader takes a while to load. */
function tryJson(bytes: Buffer): Json | undefined {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

async function readYaml(path: string, text: string): Promise<Json> {
  const { parseDocument } = await import("yaml");
  const document = parseDocument(text, { uniqueKeys: true });
  const [mistake] = document.errors;
  if (mistake !== undefined) throw new CliError(`${path}: ${mistake.message}`);
  return document.toJS({ maxAliasCount: 0 });
}

function readOptions({ name, replicas, env, publish, network, "dry-run": dryRun }: CommandCall["options"]): JsonObject {
  return {
    ...(typeof name === "string" ? { name } : {}),
    ...(typeof replicas === "string" ? { replicas: readReplicas(replicas) } : {}),
    ...(typeof env === "string" ? { env: Object.fromEntries(env.split(",").map(readVariable)) } : {}),
    ...(typeof publish === "string" ? { ports: publish.split(",").map(readPort) } : {}),
    ...(typeof network === "string" ? { networks: network.split(",") } : {}),
    ...(dryRun === true ? { dryRun: true } : {}),
  };
}

function readReplicas(text: string): Json {
  if (text === "global") return text;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new UsageError("--replicas: a number, or global for one on every node");
}

function readVariable(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new UsageError(`--env: ${JSON.stringify(text)} is not like NAME=value`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

/** `8080:80`, `8080:80/udp`, `80`. */
function readPort(text: string): JsonObject {
  const [, published, target, protocol] = /^(?:(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (target === undefined) throw new UsageError(`--publish: ${JSON.stringify(text)} is not like 8080:80`);
  return {
    target: Number(target),
    ...(published === undefined ? {} : { published: Number(published) }),
    ...(protocol === undefined ? {} : { protocol }),
  };
}
