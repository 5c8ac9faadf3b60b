// The values of the configuration: text → checked value. Each throws an Error whose message says what is allowed;
// none repeats the value itself, since it may carry a password.
import { isIP } from "node:net";
import { resolve } from "node:path";
import type { BlobRedirect, BlobsConfig, DatabaseConfig, Network, TlsConfig } from "../config.ts";
import { isNamespaceName } from "../oci/repository-name.ts";
import { Secret } from "./secret.ts";

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;

export function parseText(text: string): string {
  if (text.includes("\0")) throw new Error("must not contain a NUL");
  return text;
}

export function parsePath(text: string): string {
  return resolve(parseText(text));
}

/** Several, with commas between them. */
export function parsePaths(text: string): string[] {
  return text.split(",").map((path) => parsePath(path.trim()));
}

export function parseUserName(text: string): string {
  if (!isNamespaceName(text))
    throw new Error("must be a user name: 2 to 32 of a-z and 0-9, with single - or _ between");
  return text;
}

export function parseListen(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  const isHost = match?.[1] === undefined ? isIP(host) === 4 || HOST_NAME.test(host) : isIP(host) === 6;
  if (!isHost || port > 65_535) throw new Error("must be host:port, like 127.0.0.1:5443 or [::1]:5443");
  return { host, port };
}

export function parsePublicUrl(text: string): string {
  const url = URL.parse(text);
  const isOrigin = url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (!isOrigin || !/^https?:$/.test(url.protocol) || url.password !== "") {
    throw new Error("must be an origin like https://registry.example.org:5443, without a path");
  }
  return url.origin;
}

/** What goes there in the clear must not leave this machine: it says who looks, and by which secret. */
export function parseBridgeUrl(text: string): string {
  const origin = parsePublicUrl(text);
  const { protocol, hostname } = new URL(origin);
  if (protocol === "https:" || /^(127(?:\.\d{1,3}){3}|\[::1\]|localhost)$/.test(hostname)) return origin;
  throw new Error("must be https://…, or http on this machine, like http://127.0.0.1:5444");
}

export function parseTls(text: string): TlsConfig {
  if (text === "auto" || text === "off") return { kind: text };
  const [certFile, keyFile, ...more] = text.split(",").map((part) => part.trim());
  if (!certFile || !keyFile || more.length > 0) throw new Error("must be auto, off, or cert.pem,key.pem");
  return { kind: "files", certFile: parsePath(certFile), keyFile: parsePath(keyFile) };
}

export function parseDatabaseUrl(text: string): DatabaseConfig {
  const url = URL.parse(text);
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2) {
    throw new Error("must be postgres://user:password@host:port/database");
  }
  return { kind: "external", url: new Secret(text) };
}

const S3_SETTINGS: ReadonlySet<string> = new Set(["endpoint", "region", "timeout"]);

export function parseBlobs(text: string): BlobsConfig {
  if (text.startsWith("fs:") && text.length > 3) return { kind: "fs", root: parsePath(text.slice(3)) };
  const url = text.startsWith("s3://") ? URL.parse(text) : null;
  const unknown = url === null ? [] : [...url.searchParams.keys()].filter((key) => !S3_SETTINGS.has(key));
  if (url === null || url.hostname === "" || url.username !== "" || url.hash !== "" || unknown.length > 0) {
    throw new Error("must be fs:<folder> or s3://<bucket>/<prefix>?endpoint=<url>&region=<name>&timeout=<seconds>");
  }
  const endpoint = url.searchParams.get("endpoint");
  const region = url.searchParams.get("region");
  return {
    kind: "s3",
    bucket: url.hostname,
    prefix: url.pathname.replace(/^\/|\/$/g, ""),
    ...(endpoint === null ? {} : { endpoint: parseEndpoint(endpoint) }),
    ...(region === null ? {} : { region }),
    timeoutSeconds: wholeNumber(1, 600)(url.searchParams.get("timeout") ?? "30"),
  };
}

function parseEndpoint(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new Error("endpoint must be a URL like https://s3.example.org:9000");
  }
  return text;
}

/** `off`, `on`, or networks: `10.0.0.0/8,fd00::/8`. */
export function parseRedirect(text: string): BlobRedirect {
  if (text === "off" || text === "on") return text;
  return text.split(",").map((part) => parseNetwork(part.trim()));
}

function parseNetwork(text: string): Network {
  const network = findNetwork(text);
  if (network === undefined) throw new Error("must be off, on, or networks like 10.0.0.0/8,fd00::/8");
  return network;
}

/** Addresses and networks: `10.0.0.5,fd00:1::/64`. */
export function parseProxies(text: string): readonly Network[] {
  return text.split(",").map((part) => parseProxy(part.trim()));
}

function parseProxy(text: string): Network {
  const network = findNetwork(text.includes("/") ? text : `${text}/${isIP(text) === 4 ? 32 : 128}`);
  if (network === undefined)
    throw new Error(`${JSON.stringify(text)} is no address or network, like 10.0.0.5 or fd00:1::/64`);
  if (network.bits === 0) throw new Error(`${text} is everybody; name only proxies: they say who asks`);
  return network;
}

function findNetwork(text: string): Network | undefined {
  const [address = "", bits = "", ...more] = text.split("/");
  const family = isIP(address);
  // An address that holds on one interface only (%eth0) is none of a network.
  const isRight = family !== 0 && !address.includes("%") && /^\d{1,3}$/.test(bits);
  if (!isRight || Number(bits) > (family === 4 ? 32 : 128) || more.length > 0) return undefined;
  return { address, bits: Number(bits), family: family === 4 ? "ipv4" : "ipv6" };
}

export function parseFailpoint(text: string): { name: string; pass: number } {
  const match = /^([a-zA-Z]+(?:\.[a-zA-Z]+)*):([1-9]\d{0,8})$/.exec(text);
  if (match?.[1] === undefined) throw new Error("must be name:n, like blob.afterRename:3");
  return { name: match[1], pass: Number(match[2]) };
}

export function oneOf<const T extends string>(...allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((value) => value === text);
    if (found === undefined) throw new Error(`must be ${allowed.join(" or ")}`);
    return found;
  };
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) throw new Error(`must be a whole number from ${least} to ${most}`);
    return value;
  };
}

export function orOff<T>(parse: (text: string) => T): (text: string) => T | "off" {
  return (text) => {
    if (text === "off") return text;
    try {
      return parse(text);
    } catch (cause) {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}, or off`, { cause });
    }
  };
}
