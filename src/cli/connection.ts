import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ApiClient } from "./api-client.ts";
import { CliError, UsageError } from "./errors.ts";
import { askSecret, type CliIo } from "./terminal.ts";

export type Env = Readonly<Record<string, string | undefined>>;
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

export const connectionOptions = {
  url: { type: "string" },
  ca: { type: "string" },
  as: { type: "string" },
} as const;

export const connectionHelp = `  --url URL   the registry (default: GOLDSEAL_PUBLIC_URL, else GOLDSEAL_LISTEN, else https://127.0.0.1:5443)
  --ca FILE   its CA (default: ca.crt in GOLDSEAL_DATA, else in ./data, where there is one)
  --as NAME   who signs in (default: admin). The password is GOLDSEAL_ADMIN_PASSWORD (for admin) or
              GOLDSEAL_PASSWORD; without them it is asked for at a terminal`;

const adminName = "admin";

/** @throws UsageError, CliError */
export async function connect(values: OptionValues, env: Env, io: CliIo): Promise<ApiClient> {
  const url = parseUrl(text(values.url) ?? env.GOLDSEAL_PUBLIC_URL ?? listenUrl(env));
  const ca = await readCa(text(values.ca), env);
  const name = text(values.as) ?? adminName;
  return new ApiClient({ url, ca, name, password: await findPassword(name, env, io) });
}

function text(value: string | boolean | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Where a registry that was started with the same environment listens. */
function listenUrl({ GOLDSEAL_LISTEN: listen = "127.0.0.1:5443", GOLDSEAL_TLS: tls }: Env): string {
  return `${tls === "off" ? "http" : "https"}://${listen}`;
}

function parseUrl(value: string): URL {
  const url = URL.parse(value);
  if (url === null || !["https:", "http:"].includes(url.protocol)) {
    throw new UsageError(`${JSON.stringify(value)} is no URL of a registry, such as https://127.0.0.1:5443`);
  }
  return url;
}

async function readCa(file: string | undefined, env: Env): Promise<string | undefined> {
  try {
    return await readFile(file ?? join(env.GOLDSEAL_DATA ?? "data", "ca.crt"), "utf8");
  } catch (cause) {
    if (file === undefined) return undefined;
    throw new CliError(`cannot read the CA file ${file}`, { cause });
  }
}

async function findPassword(name: string, env: Env, io: CliIo): Promise<string> {
  const admins = name === adminName ? env.GOLDSEAL_ADMIN_PASSWORD : undefined;
  const given = admins ?? env.GOLDSEAL_PASSWORD;
  if (given !== undefined && given !== "") return given;
  if (io.stdin.isTTY === true) return askSecret(io, `password of ${name}: `);
  throw new UsageError(`no password for ${name}: set GOLDSEAL_PASSWORD, or run this at a terminal to be asked`);
}
