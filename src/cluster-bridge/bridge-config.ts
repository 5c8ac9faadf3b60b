import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import type { z } from "zod";
import type { Key } from "../notary/tuf/key.ts";
import { spkiOf } from "../notary/tuf/key.ts";
import { fileSchema } from "./config-schema.ts";

/** How an engine's API is reached. */
export type Endpoint = EndpointAddress & {
  /** PEM file: every call carries a note signed with it, for the engine's authorization plug-in. */
  readonly allowKeyFile?: string;
};

type EndpointAddress =
  | { readonly kind: "unix"; readonly socket: string }
  | {
      readonly kind: "tcp";
      readonly host: string;
      readonly port: number;
      readonly ca: string;
      readonly cert: string;
      readonly key: string;
    };

/** Whom the bridge believes of the collections that `pattern` fits. */
export interface Pin {
  /** Of repositories: `ops/*`. */
  readonly pattern: string;
  /** Canonical ids. */
  readonly rootKeys: readonly string[];
  /** How many of them must have signed the first root. */
  readonly threshold: number;
  /** Raised by an operator who wants to begin anew under the same keys. */
  readonly epoch: number;
}

/** What the file says that GOLDSEAL_BRIDGE_CONFIG names. Paths are absolute; files that it names are not read yet. */
export interface BridgeConfig {
  /** `https://host:port`. */
  readonly registry: string;
  /** What GUNs and image names begin with. */
  readonly authority: string;
  /** PEM file: the only CA that counts; undefined: the well-known ones. */
  readonly caFile: string | undefined;
  /** Who reads there; undefined: nobody signs in. */
  readonly account: { readonly name: string; readonly passwordFile: string } | undefined;
  /** A manager's. */
  readonly engine: Endpoint;
  /** By node. */
  readonly engines: ReadonlyMap<string, Endpoint>;
  readonly listen: { readonly host: string; readonly port: number };
  /** Of the bridge's own listener; undefined: plain HTTP, on this machine alone. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Folder of what was trusted, of nonces and of the journal. */
  readonly store: string;
  /** What a registry shows that relays whoever looks; undefined: nobody may look. */
  readonly relay: { readonly secretFile: string } | undefined;
  readonly policyKeys: { readonly keys: readonly Key[]; readonly threshold: number };
  /** The first that fits counts. */
  readonly pins: readonly Pin[];
}

type WireConfig = z.output<typeof fileSchema>;

/** Every mistake of a bridge's configuration at once. */
export class BridgeConfigError extends Error {
  readonly mistakes: readonly string[];

  constructor(file: string, mistakes: readonly string[]) {
    super(mistakes.map((mistake) => `GOLDSEAL_BRIDGE_CONFIG: ${file}: ${mistake}`).join("\n"));
    this.name = "BridgeConfigError";
    this.mistakes = mistakes;
  }
}

/** @param file where the text is from; paths in it are relative to its folder. @throws BridgeConfigError */
export function parseBridgeConfig(text: string, file: string): BridgeConfig {
  const document = parseDocument(text, { uniqueKeys: true });
  const broken = document.errors.map(({ message }) => message.split("\n")[0] ?? "");
  if (broken.length > 0) throw new BridgeConfigError(file, broken);
  const content: unknown = document.toJS();
  const parsed = fileSchema.safeParse(content ?? {});
  const mistakes = [
    ...(parsed.error?.issues ?? []).map(({ path, message }) => [...path.map(String), message].join(": ")),
    ...(parsed.success ? findContradictions(parsed.data) : []),
  ];
  if (!parsed.success || mistakes.length > 0) throw new BridgeConfigError(file, mistakes);
  return toConfig(parsed.data, dirname(resolve(file)));
}

/** What is wrong only in sight of something else. */
function findContradictions({ registry, policyKeys, pins, listen, tls }: WireConfig): string[] {
  const { host } = new URL(registry);
  const foreign = pins.filter(({ gun }) => gun.authority !== host);
  const different = new Set(policyKeys.keys.map(spkiOf)).size;
  const isLocal = /^(127\.|::1$|localhost$)/.test(listen.host);
  return [
    ...(isLocal || tls !== undefined ? [] : ["tls: needed to listen where other machines are: cert and key"]),
    ...foreign.map(({ gun }) => `pins: ${gun.authority}/${gun.pattern} is not at the registry, ${host}`),
    ...(different < policyKeys.keys.length ? ["policyKeys: keys: one key stands there twice"] : []),
    ...(policyKeys.threshold > different ? [`policyKeys: threshold: there are ${different} keys`] : []),
    ...pins
      .filter(({ rootKeys, threshold }) => threshold > new Set(rootKeys).size)
      .map(({ gun, rootKeys }) => `pins: ${gun.pattern}: threshold: there are ${new Set(rootKeys).size} rootKeys`),
  ];
}

function toConfig(wire: WireConfig, folder: string): BridgeConfig {
  const path = (text: string): string => resolve(folder, text);
  const { account, allowKey } = wire;
  const allow = allowKey === undefined ? {} : { allowKeyFile: path(allowKey) };
  return {
    registry: new URL(wire.registry).origin,
    authority: new URL(wire.registry).host,
    caFile: wire.ca === undefined ? undefined : path(wire.ca),
    account: account && { name: account.name, passwordFile: path(account.passwordFile) },
    engine: { ...toAddress(wire.engine, path), ...allow },
    engines: new Map(
      Object.entries(wire.engines).map(([node, endpoint]) => [node, { ...toAddress(endpoint, path), ...allow }]),
    ),
    listen: wire.listen,
    tls: wire.tls && { certFile: path(wire.tls.cert), keyFile: path(wire.tls.key) },
    store: path(wire.store),
    relay: wire.relay && { secretFile: path(wire.relay.secretFile) },
    policyKeys: wire.policyKeys,
    pins: wire.pins.map(({ gun, ...pin }) => ({ ...pin, pattern: gun.pattern })),
  };
}

function toAddress(wire: WireConfig["engine"], path: (text: string) => string): EndpointAddress {
  if (typeof wire === "string") return { kind: "unix", socket: wire.slice("unix://".length) };
  const { hostname, port } = new URL(wire.url);
  const files = { ca: path(wire.ca), cert: path(wire.cert), key: path(wire.key) };
  return { kind: "tcp", host: hostname.replace(/^\[|\]$/g, ""), port: Number(port), ...files };
}
