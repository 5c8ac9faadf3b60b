import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import {
  oneOf,
  orOff,
  parseBlobs,
  parseBridgeUrl,
  parseDatabaseUrl,
  parseFailpoint,
  parseListen,
  parsePath,
  parsePaths,
  parseProxies,
  parsePublicUrl,
  parseRedirect,
  parseText,
  parseTls,
  parseUserName,
  wholeNumber,
} from "./setup/config-values.ts";
import { readVariables, type Variables } from "./setup/config-variables.ts";
import { Secret } from "./setup/secret.ts";

export type TlsConfig =
  | { readonly kind: "auto" }
  | { readonly kind: "off" }
  | { readonly kind: "files"; readonly certFile: string; readonly keyFile: string };

export type DatabaseConfig = { readonly kind: "embedded" } | { readonly kind: "external"; readonly url: Secret };

export type BlobsConfig =
  | { readonly kind: "fs"; readonly root: string }
  | {
      readonly kind: "s3";
      readonly bucket: string;
      readonly prefix: string;
      readonly endpoint?: string;
      readonly region?: string;
      /** How long one request to it may take. */
      readonly timeoutSeconds: number;
    };

export interface Network {
  readonly address: string;
  /** Of the prefix. */
  readonly bits: number;
  readonly family: "ipv4" | "ipv6";
}

/** Whether clients are sent to the bucket for large blobs: none, all, or those in these networks. */
export type BlobRedirect = "off" | "on" | readonly Network[];

export type LogLevel = "info" | "warn" | "error" | "off";

/** What one installation is told by its environment and `goldseal.yaml`. Frozen; paths are absolute. */
export interface Config {
  /** GOLDSEAL_LISTEN, default 127.0.0.1:5443. Port 0 picks one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** GOLDSEAL_PUBLIC_URL, an origin without a slash at its end; default: scheme and the bound host:port. */
  readonly publicUrl?: string;
  /** GOLDSEAL_DATA, default ./data. */
  readonly dataFolder: string;
  /** GOLDSEAL_TLS=auto (default), off, or cert.pem,key.pem. */
  readonly tls: TlsConfig;
  /** GOLDSEAL_TRUSTED_PROXIES, addresses and networks, default none: whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Network[];
  /** GOLDSEAL_ADMIN_PASSWORD: first start only; generated when absent. */
  readonly adminPassword?: Secret;
  /** GOLDSEAL_DATABASE_URL=postgres://…, default: the embedded PostgreSQL. */
  readonly database: DatabaseConfig;
  /** GOLDSEAL_BLOBS=fs:<folder> (default fs:<data>/blobs) or s3://<bucket>/<prefix>?endpoint=&region=&timeout=. */
  readonly blobs: BlobsConfig;
  /** GOLDSEAL_BLOB_REDIRECT=off (default), on, or networks: who pulls large blobs from the bucket itself, by a URL of 60 s. */
  readonly blobRedirect: BlobRedirect;
  /** GOLDSEAL_MASTER_KEY_FILE, default <data>/master.key, which is made on first start. */
  readonly masterKeyFile: string;
  /** GOLDSEAL_AUTH_CHALLENGE=bearer (default) or basic. */
  readonly authChallenge: "bearer" | "basic";
  /** GOLDSEAL_WORKERS, default: number of cores. */
  readonly workers: number;
  /** GOLDSEAL_BRIDGE_CONFIG: the bridge's own YAML. */
  readonly bridgeConfigFile?: string;
  /** GOLDSEAL_AUTHZ_KEYS: PEM files of the bridge's public keys, for a manager's authorization plug-in. */
  readonly authzKeyFiles?: readonly string[];
  /** GOLDSEAL_AUTHZ_SOCKET, default /run/docker/plugins/goldseal.sock: where the engine looks for that plug-in. */
  readonly authzSocket: string;
  /** GOLDSEAL_BRIDGE_URL, an origin: where the bridge listens that orders and questions about the cluster are handed to. */
  readonly bridgeUrl?: string;
  /** GOLDSEAL_BRIDGE_CA_FILE: the only CA that counts for it; default: the well-known ones. */
  readonly bridgeCaFile?: string;
  /** GOLDSEAL_BRIDGE_SECRET_FILE: what the bridge believes who looks by; without it nobody is shown the cluster. */
  readonly bridgeSecretFile?: string;
  /** GOLDSEAL_BRIDGE_ACCOUNT: the user that the cluster's bridge signs in as; default: none. */
  readonly bridgeAccount?: string;
  /** GOLDSEAL_TOKEN_TTL_SECONDS, 60 to 300, default 300: how long a bearer token is good. */
  readonly tokenTtlSeconds: number;
  /** GOLDSEAL_UPLOAD_TTL_HOURS, default 24: how long an upload session lives without progress. */
  readonly uploadTtlHours: number;
  /** GOLDSEAL_GC_EVERY_MINUTES, default 60, or off: how often garbage is collected by itself. */
  readonly gcEveryMinutes: number | "off";
  /** GOLDSEAL_GC_GRACE_HOURS, default 24: how long bytes stay that no manifest needs. */
  readonly gcGraceHours: number;
  /** GOLDSEAL_GC_UNTAGGED_HOURS, default 168, or off (for ever): how long a manifest stays that no tag leads to. */
  readonly gcUntaggedHours: number | "off";
  /** GOLDSEAL_DELETE=on (default) or off: whether manifests, tags and blobs can be deleted. */
  readonly deleteEnabled: boolean;
  /** GOLDSEAL_ANONYMOUS=on (default) or off: whether public repositories can be pulled without logging in. */
  readonly anonymousPull: boolean;
  /** GOLDSEAL_TRUST_KEYS=ed25519 (default) or ecdsa (P-256): what new keys that the server signs trust data with are. */
  readonly trustKeys: "ed25519" | "ecdsa";
  /** GOLDSEAL_LDAP: a YAML file that describes the directories users sign in by; default: users are local. */
  readonly ldapFile?: string;
  /** GOLDSEAL_LOG_LEVEL=info (default), warn, error or off. */
  readonly logLevel: LogLevel;
  /** GOLDSEAL_FAILPOINT=name:n, for the crash harness only: the process kills itself at the n-th pass of that point. */
  readonly failpoint?: { readonly name: string; readonly pass: number };
}

/** Every mistake of a configuration at once, one per line. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[];
  constructor(mistakes: readonly string[]) {
    super(mistakes.join("\n"));
    this.name = "ConfigError";
    this.mistakes = mistakes;
  }
}

type Parse<T> = (text: string) => T;

/**
 * The configuration out of environment variables and, below them, the text of `goldseal.yaml` (same names).
 * @throws ConfigError with every mistake
 */
export function parseConfig(env: Variables, yamlText?: string): Config {
  const mistakes: string[] = [];
  const values = readVariables(env, yamlText, mistakes);

  function read<T, D>(name: string, parse: Parse<T>, fallback: D): T | D {
    const text = values[name];
    if (text === undefined) return fallback;
    try {
      if (text === "") throw new Error("is empty; give a value or unset it");
      return parse(text);
    } catch (error) {
      mistakes.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return fallback;
    }
  }

  const config = readAll(read);
  checkTogether(config, values, mistakes);
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return freeze(config);
}

/** The same configuration without what only the primary process may know: for the workers. */
export function withoutSecrets(config: Config): Config {
  const { adminPassword: _unused, ...rest } = config;
  return freeze(rest);
}

type Read = <T, D>(name: string, parse: Parse<T>, fallback: D) => T | D;

function readAll(read: Read): Config {
  const dataFolder = read("GOLDSEAL_DATA", parsePath, resolve("data"));
  return {
    listen: read("GOLDSEAL_LISTEN", parseListen, { host: "127.0.0.1", port: 5443 }),
    ...defined("publicUrl", read("GOLDSEAL_PUBLIC_URL", parsePublicUrl, undefined)),
    dataFolder,
    tls: read<TlsConfig, TlsConfig>("GOLDSEAL_TLS", parseTls, { kind: "auto" }),
    trustedProxies: read<readonly Network[], readonly Network[]>("GOLDSEAL_TRUSTED_PROXIES", parseProxies, []),
    ...defined(
      "adminPassword",
      read("GOLDSEAL_ADMIN_PASSWORD", (text) => new Secret(parseText(text)), undefined),
    ),
    database: read<DatabaseConfig, DatabaseConfig>("GOLDSEAL_DATABASE_URL", parseDatabaseUrl, { kind: "embedded" }),
    blobs: read<BlobsConfig, BlobsConfig>("GOLDSEAL_BLOBS", parseBlobs, {
      kind: "fs",
      root: join(dataFolder, "blobs"),
    }),
    blobRedirect: read<BlobRedirect, BlobRedirect>("GOLDSEAL_BLOB_REDIRECT", parseRedirect, "off"),
    masterKeyFile: read("GOLDSEAL_MASTER_KEY_FILE", parsePath, join(dataFolder, "master.key")),
    authChallenge: read("GOLDSEAL_AUTH_CHALLENGE", oneOf("bearer", "basic"), "bearer"),
    workers: read("GOLDSEAL_WORKERS", wholeNumber(1, 256), availableParallelism()),
    ...defined("bridgeConfigFile", read("GOLDSEAL_BRIDGE_CONFIG", parsePath, undefined)),
    ...defined("authzKeyFiles", read("GOLDSEAL_AUTHZ_KEYS", parsePaths, undefined)),
    authzSocket: read("GOLDSEAL_AUTHZ_SOCKET", parsePath, "/run/docker/plugins/goldseal.sock"),
    ...defined("bridgeUrl", read("GOLDSEAL_BRIDGE_URL", parseBridgeUrl, undefined)),
    ...defined("bridgeCaFile", read("GOLDSEAL_BRIDGE_CA_FILE", parsePath, undefined)),
    ...defined("bridgeSecretFile", read("GOLDSEAL_BRIDGE_SECRET_FILE", parsePath, undefined)),
    ...defined("bridgeAccount", read("GOLDSEAL_BRIDGE_ACCOUNT", parseUserName, undefined)),
    tokenTtlSeconds: read("GOLDSEAL_TOKEN_TTL_SECONDS", wholeNumber(60, 300), 300),
    uploadTtlHours: read("GOLDSEAL_UPLOAD_TTL_HOURS", wholeNumber(1, 8760), 24),
    gcEveryMinutes: read("GOLDSEAL_GC_EVERY_MINUTES", orOff(wholeNumber(1, 10_080)), 60),
    gcGraceHours: read("GOLDSEAL_GC_GRACE_HOURS", wholeNumber(0, 8760), 24),
    gcUntaggedHours: read("GOLDSEAL_GC_UNTAGGED_HOURS", orOff(wholeNumber(0, 87_600)), 168),
    deleteEnabled: read("GOLDSEAL_DELETE", oneOf("on", "off"), "on") === "on",
    anonymousPull: read("GOLDSEAL_ANONYMOUS", oneOf("on", "off"), "on") === "on",
    trustKeys: read("GOLDSEAL_TRUST_KEYS", oneOf("ed25519", "ecdsa"), "ed25519"),
    ...defined("ldapFile", read("GOLDSEAL_LDAP", parsePath, undefined)),
    logLevel: read("GOLDSEAL_LOG_LEVEL", oneOf("info", "warn", "error", "off"), "info"),
    ...defined("failpoint", read("GOLDSEAL_FAILPOINT", parseFailpoint, undefined)),
  };
}

/** Rules about several settings, and what this release does not do yet. */
function checkTogether(config: Config, values: Variables, mistakes: string[]): void {
  if (config.database.kind === "external") {
    // Replicas share a database: what one machine would make up for itself must be said.
    for (const name of ["GOLDSEAL_MASTER_KEY_FILE", "GOLDSEAL_PUBLIC_URL"]) {
      if (values[name] === undefined) mistakes.push(`${name}: must be set when GOLDSEAL_DATABASE_URL is set`);
    }
    if (config.tls.kind === "auto") {
      mistakes.push("GOLDSEAL_TLS: must be off or cert.pem,key.pem when GOLDSEAL_DATABASE_URL is set");
    }
  }
  for (const name of ["GOLDSEAL_BRIDGE_CA_FILE", "GOLDSEAL_BRIDGE_SECRET_FILE"]) {
    if (values[name] !== undefined && values.GOLDSEAL_BRIDGE_URL === undefined)
      mistakes.push(`${name}: says nothing without GOLDSEAL_BRIDGE_URL`);
  }
  if (config.blobs.kind === "fs" && config.blobRedirect !== "off") {
    mistakes.push("GOLDSEAL_BLOB_REDIRECT: needs GOLDSEAL_BLOBS=s3://…; clients cannot be sent to a folder");
  }
}

/** `{ [name]: value }`, or nothing when there is no value: an absent field is absent, not undefined. */
function defined<N extends string, T>(name: N, value: T | undefined): { [key in N]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [key in N]: T });
}

function freeze(config: Config): Config {
  for (const value of Object.values(config)) Object.freeze(value);
  return Object.freeze(config);
}
