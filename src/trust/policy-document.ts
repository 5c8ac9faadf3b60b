import { z } from "zod";
import { VerificationError } from "../notary/tuf/error.ts";
import { canonicalKeyId, type Key, spkiOf } from "../notary/tuf/key.ts";
import { keyOfSpki } from "../notary/tuf/public-key-file.ts";
import { constraintSchema, findContradiction, toText } from "./constraint.ts";
import { TrustError } from "./error.ts";
import {
  durationSchema,
  imagePatternSchema,
  nameSchema,
  type RequireRow,
  requireSchema,
  teamSchema,
  toSeconds,
} from "./require.ts";
import { findBase64, readStrict } from "./strict-json.ts";

/** What an environment lets a service's specification say beyond its image; absent is forbidden. */
const specLimitsSchema = z.strictObject({
  command: z.boolean().optional(),
  entrypoint: z.boolean().optional(),
  user: z.boolean().optional(),
  hostNetwork: z.boolean().optional(),
  /** Folders of the node, with all that is in them. */
  bindMounts: z.array(z.string().regex(/^\/(?!.*(?:^|\/)\.{1,2}(?:\/|$)).*$/, "an absolute path")).optional(),
  capabilities: z.array(z.string().regex(/^[A-Z_]{1,64}$/, "a capability such as NET_ADMIN")).optional(),
  secrets: z.array(z.string().min(1).max(64)).optional(),
  /** A config can lie on any file of the image, and be what runs. */
  configs: z.array(z.string().min(1).max(64)).optional(),
  /** Of the kernel, for the container's own namespaces. */
  sysctls: z.array(z.string().regex(/^[a-z0-9_./-]{1,128}$/, "a name such as net.core.somaxconn")).optional(),
  ulimits: z.boolean().optional(),
  /** Those that send logs elsewhere. */
  logDrivers: z.array(z.string().min(1).max(128)).optional(),
});

export type SpecLimits = z.infer<typeof specLimitsSchema>;

/** Where services of an environment may run. */
const placementSchema = z.strictObject({
  /** Every service must have these among its own: whoever orders it has to know where it runs. */
  require: z.array(constraintSchema).max(32).default([]),
  /** Every service gets these beside its own. */
  inject: z.array(constraintSchema).max(32).default([]),
  /** Only where the engine itself says that it maps the users of its containers to others of the node. */
  usernsOnly: z.boolean().default(false),
});

export type PlacementRules = z.output<typeof placementSchema>;

/** `freeze`: nothing new is deployed there; `replace`: by the newest that is trusted; `remove`: the service goes. */
const onTrustLostSchema = z.enum(["alert", "freeze", "replace", "remove"]);
export type OnTrustLost = z.infer<typeof onTrustLostSchema>;

const onUnmanagedSchema = z.enum(["alert", "remove"]);
export type OnUnmanaged = z.infer<typeof onUnmanagedSchema>;

const rightSchema = z.enum(["view", "operate", "deploy"]);
export type EnvironmentRight = z.infer<typeof rightSchema>;

const keyIdSchema = z.string().regex(/^[0-9a-f]{64}$/, "a key id of 64 lower-case hex digits");

const environmentSchema = z.strictObject({
  images: z.array(imagePatternSchema).min(1).max(256),
  require: requireSchema,
  /** How long ago the server may have signed an image's timestamp: an attacker can hold back the news no longer. */
  maxTimestampAge: durationSchema.optional(),
  operators: z.array(keyIdSchema).max(256),
  specLimits: specLimitsSchema.default({}),
  rights: z.record(teamSchema, rightSchema),
  placement: placementSchema.prefault({}),
  /** When what runs there is signed no longer as it must be. */
  onTrustLost: onTrustLostSchema.default("alert"),
  /** When somebody went round the bridge. */
  onUnmanaged: onUnmanagedSchema.default("alert"),
});

const documentSchema = z.strictObject({
  version: z.int().min(1),
  expires: z.iso.datetime({ offset: true }),
  environments: z.record(nameSchema, environmentSchema),
  teams: z.record(teamSchema, z.array(nameSchema).max(1024)),
  keys: z.record(keyIdSchema, z.strictObject({ spki: z.string(), user: nameSchema })),
});

type WireDocument = z.infer<typeof documentSchema>;
type WireEnvironment = z.output<typeof environmentSchema>;

export interface Environment {
  readonly images: readonly string[];
  readonly require: readonly RequireRow[];
  readonly maxTimestampAgeSeconds: number | undefined;
  /** Ids of the keys whose orders count. */
  readonly operators: ReadonlySet<string>;
  readonly specLimits: SpecLimits;
  /** By team. */
  readonly rights: ReadonlyMap<string, EnvironmentRight>;
  readonly placement: PlacementRules;
  readonly onTrustLost: OnTrustLost;
  readonly onUnmanaged: OnUnmanaged;
}

export interface PolicyKey {
  readonly key: Key;
  /** {@link spkiOf} of the key. */
  readonly spki: string;
  readonly user: string;
}

/** `goldseal.policy/v1`, checked as a whole: every name in it is defined in it. */
export interface PolicyDocument {
  readonly version: number;
  readonly expiresAt: Date;
  readonly environments: ReadonlyMap<string, Environment>;
  /** Users by team. */
  readonly teams: ReadonlyMap<string, ReadonlySet<string>>;
  /** By canonical key id. */
  readonly keys: ReadonlyMap<string, PolicyKey>;
}

/** @throws TrustError MALFORMED, POLICY */
export function parsePolicyDocument(payload: Uint8Array): PolicyDocument {
  const wire = readStrict(payload, documentSchema, "the policy document");
  const document: PolicyDocument = {
    version: wire.version,
    expiresAt: new Date(wire.expires),
    environments: new Map(Object.entries(wire.environments).map(([name, entry]) => [name, toEnvironment(entry)])),
    teams: new Map(Object.entries(wire.teams).map(([team, users]) => [team, new Set(users)])),
    keys: new Map(Object.entries(wire.keys).map(([keyId, entry]) => [keyId, toPolicyKey(keyId, entry)])),
  };
  for (const [name, environment] of document.environments)
    checkEnvironment(`environments.${name}`, environment, document);
  return document;
}

function toEnvironment({ maxTimestampAge, operators, rights, ...rest }: WireEnvironment): Environment {
  return {
    ...rest,
    maxTimestampAgeSeconds: maxTimestampAge === undefined ? undefined : toSeconds(maxTimestampAge),
    operators: new Set(operators),
    rights: new Map(Object.entries(rights)),
  };
}

/** The id is computed, never believed: who reads by id and who reads by key must see the same person. */
function toPolicyKey(keyId: string, { spki: text, user }: WireDocument["keys"][string]): PolicyKey {
  const key = readKey(keyId, text);
  if (canonicalKeyId(key) !== keyId) throw wrong(`keys.${keyId}`, `its key has the id ${canonicalKeyId(key)}`);
  return { key, spki: spkiOf(key) ?? "", user };
}

/** Only the normal spelling: in another one the same key would have another id (hardening M1). */
function readKey(keyId: string, text: string): Key {
  const spki = findBase64(text);
  try {
    const key = spki && keyOfSpki(spki);
    if (spki && key?.getMaterial().spki.equals(spki)) return key;
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    throw new TrustError("MALFORMED", `keys.${keyId}.spki: ${cause.message}`, { cause });
  }
  throw new TrustError("MALFORMED", `keys.${keyId}.spki: not a public key in base64`);
}

/** A name that leads nowhere is a typing error that would refuse, or allow, something else than was meant. */
function checkEnvironment(where: string, environment: Environment, document: PolicyDocument): void {
  for (const keyId of environment.operators) {
    if (!document.keys.has(keyId)) throw wrong(`${where}.operators`, `keys has no ${keyId}`);
  }
  for (const team of environment.rights.keys()) {
    if (!document.teams.has(team)) throw wrong(`${where}.rights`, `there is no team ${team}`);
  }
  for (const [index, row] of environment.require.entries()) checkRow(`${where}.require.${index}`, row, document);
  checkPlacement(`${where}.placement`, environment.placement);
}

function checkPlacement(where: string, { require, inject }: PlacementRules): void {
  const found = findContradiction([...require, ...inject]);
  if (found !== undefined) throw wrong(where, `no node can be both ${found.map(toText).join(" and ")}`);
}

/** As with a TUF threshold (hardening N08): what nobody can ever meet is a mistake, and is said so before it is signed. */
function checkRow(where: string, { team, k }: RequireRow, { teams, keys }: PolicyDocument): void {
  const holders = new Set([...keys.values()].map(({ user }) => user));
  if (team === undefined) return;
  const users = teams.get(team);
  if (users === undefined) throw wrong(where, `there is no team ${team}`);
  const able = [...users].filter((user) => holders.has(user));
  if (able.length < k) throw wrong(where, `asks for ${k} of team ${team}, of which ${able.length} have a key`);
}

function wrong(where: string, why: string): TrustError {
  return new TrustError("POLICY", `${where}: ${why}`);
}
