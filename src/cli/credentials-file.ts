import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isJsonObject, type Json, type JsonObject, parseJson } from "../oci/json.ts";
import type { Env } from "./connection.ts";
import { CliError } from "./errors.ts";

/** What `goldseal login` keeps of one registry. */
export interface StoredLogin {
  readonly user: string;
  /** A personal token: it can be taken back without changing a password. */
  readonly token: string;
  /** Of the token, to take it back by. */
  readonly tokenName: string;
  /** Absolute path of the CA to trust. */
  readonly ca?: string;
}

export interface StoredLogins {
  /** Origin of the registry that was logged in to last. */
  readonly current?: string;
  readonly logins: Readonly<Record<string, StoredLogin>>;
}

const NONE: StoredLogins = { logins: {} };

/** `$XDG_CONFIG_HOME/goldseal/credentials.json`, else below `~/.config`. */
export function credentialsPath(env: Env): string | undefined {
  const base = env.XDG_CONFIG_HOME ?? (env.HOME === undefined ? undefined : join(env.HOME, ".config"));
  return base === undefined ? undefined : join(base, "goldseal", "credentials.json");
}

/** @throws CliError for a file that is there and is no such file */
export async function readLogins(env: Env): Promise<StoredLogins> {
  const path = credentialsPath(env);
  if (path === undefined) return NONE;
  try {
    return toLogins(parseJson(await readFile(path)));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return NONE;
    throw new CliError(`cannot read ${path}; remove it and run goldseal login again`, { cause });
  }
}

/** Readable by its owner only, from its first byte on; there is the old file or the new one, never half of one. */
export async function writeLogins(env: Env, logins: StoredLogins): Promise<string> {
  const path = credentialsPath(env);
  if (path === undefined) throw new CliError("neither HOME nor XDG_CONFIG_HOME is set: nowhere to keep a login");
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, `${JSON.stringify(logins, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  await rename(temporary, path);
  return path;
}

function toLogins(value: Json): StoredLogins {
  if (!isJsonObject(value) || !isJsonObject(value.logins)) throw new CliError("it is not what goldseal login writes");
  const entries = Object.entries(value.logins).flatMap(([origin, login]) =>
    isJsonObject(login) ? [[origin, toLogin(login)] as const] : [],
  );
  const logins = Object.fromEntries(entries);
  return typeof value.current === "string" ? { current: value.current, logins } : { logins };
}

function toLogin({ user, token, tokenName, ca }: JsonObject): StoredLogin {
  const login = { user: String(user), token: String(token), tokenName: String(tokenName) };
  return typeof ca === "string" ? { ...login, ca } : login;
}
