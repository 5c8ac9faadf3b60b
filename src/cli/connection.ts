import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ApiClient } from "./api-client.ts";
import type { CommandCall } from "./command.ts";
import { readLogins, type StoredLogin } from "./credentials-file.ts";
import { CliError, UsageError } from "./errors.ts";
import { askSecret, type CliIo, showWaiting } from "./terminal.ts";

export type Env = Readonly<Record<string, string | undefined>>;
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

export const connectionOptions = {
  url: { type: "string" },
  ca: { type: "string" },
  as: { type: "string" },
  json: { type: "boolean" },
} as const;

export const connectionHelp = `  --url URL   the registry (default: GOLDSEAL_PUBLIC_URL, else the last goldseal login, else GOLDSEAL_LISTEN)
  --ca FILE   its CA (default: that of the login, else ca.crt in GOLDSEAL_DATA, else, for this machine's own, in ./data)
  --as NAME   who signs in (default: who logged in, else admin). The password is GOLDSEAL_ADMIN_PASSWORD (for admin)
              or GOLDSEAL_PASSWORD, else the token of goldseal login; without them it is asked for at a terminal
  --json      print JSON, one object a line, for programs`;

const adminName = "admin";

export interface Registry {
  readonly url: URL;
  /** Absolute path. */
  readonly caFile: string | undefined;
  readonly ca: string | undefined;
  readonly login: StoredLogin | undefined;
}

/** Who signs in where. */
export interface Account {
  readonly registry: Registry;
  readonly name: string;
  /** Or the token of goldseal login; undefined: nobody gave one yet. */
  readonly password: string | undefined;
}

type Call = Pick<CommandCall, "options" | "env" | "io">;

/** @throws UsageError, CliError */
export async function connect(call: Call, byPassword: (self: string) => boolean): Promise<ApiClient> {
  const account = await findAccount(call, byPassword);
  return openClient(account.registry, account.name, await getPassword(account, call.io), call.io);
}

/** @throws UsageError, CliError */
export async function findAccount(
  { options: values, env }: Call,
  byPassword: (self: string) => boolean = () => false,
): Promise<Account> {
  const registry = await findRegistry(values, env);
  const { login } = registry;
  const given = env.GOLDSEAL_PASSWORD || env.GOLDSEAL_ADMIN_PASSWORD;
  const name = text(values.as) ?? (given ? adminName : (login?.user ?? adminName));
  const stored = login?.user === name && !byPassword(name) ? login.token : undefined;
  return { registry, name, password: passwordOf(name, env) ?? stored };
}

/** Asks at a terminal where none was given. @throws UsageError */
export async function getPassword({ name, password }: Account, io: CliIo): Promise<string> {
  return password ?? (await askPassword(name, io));
}

/** As {@link connect}, but never with a token that was stored. */
export async function connectByPassword(values: OptionValues, env: Env, io: CliIo) {
  const registry = await findRegistry(values, env);
  const name = text(values.as) ?? adminName;
  const client = openClient(registry, name, passwordOf(name, env) ?? (await askPassword(name, io)), io);
  return { client, registry, name };
}

export async function findRegistry(values: OptionValues, env: Env): Promise<Registry> {
  const { current, logins } = await readLogins(env);
  const url = parseUrl(text(values.url) ?? env.GOLDSEAL_PUBLIC_URL ?? current ?? listenUrl(env));
  const login = logins[url.origin];
  const named = text(values.ca) ?? login?.ca;
  const caFile = resolve(named ?? join(env.GOLDSEAL_DATA ?? "data", "ca.crt"));
  const isOurs = named !== undefined || env.GOLDSEAL_DATA !== undefined || isThisMachine(url);
  const ca = isOurs ? await readCa(caFile, named !== undefined) : undefined;
  return { url, login, ca, caFile: ca === undefined ? undefined : caFile };
}

function openClient({ url, ca }: Registry, name: string, password: string, io: CliIo): ApiClient {
  return new ApiClient({ url, ca, name, password, onWait: (doing) => showWaiting(io, doing) });
}

function text(value: string | boolean | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Where a registry that was started with the same environment listens. */
export function listenUrl({ GOLDSEAL_LISTEN: listen = "127.0.0.1:5443", GOLDSEAL_TLS: tls }: Env): string {
  return `${tls === "off" ? "http" : "https"}://${listen}`;
}

function parseUrl(value: string): URL {
  const url = URL.parse(value);
  if (url === null || !["https:", "http:"].includes(url.protocol)) {
    throw new UsageError(`${JSON.stringify(value)} is no URL of a registry, such as https://127.0.0.1:5443`);
  }
  return url;
}

/** A CA that merely lies in the current folder may vouch for no other machine: the folder may be a stranger's. */
function isThisMachine({ hostname }: URL): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);
}

async function readCa(file: string, mustBe: boolean): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    if (!mustBe) return undefined;
    throw new CliError(`cannot read the CA file ${file}`, { cause });
  }
}

function passwordOf(name: string, env: Env): string | undefined {
  const admins = name === adminName ? env.GOLDSEAL_ADMIN_PASSWORD : undefined;
  return admins || env.GOLDSEAL_PASSWORD || undefined;
}

async function askPassword(name: string, io: CliIo): Promise<string> {
  if (io.stdin.isTTY === true) return askSecret(io, `password of ${name}: `);
  throw new UsageError(
    `no password for ${name}: run goldseal login, set GOLDSEAL_PASSWORD, or run this at a terminal to be asked`,
  );
}
