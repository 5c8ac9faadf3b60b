import { z } from "zod";
import { constraintSchema } from "../trust/constraint.ts";
import { durationSchema } from "../trust/require.ts";
import { readBody } from "./order-body.ts";

const word = z.string().min(1).max(1024);
const text = z.string().max(65_536);
const name = z.string().regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/, "1 to 63 letters, digits, - _ or .");
const path = z.string().regex(/^\/(?!.*(?:^|\/)\.{1,2}(?:\/|$))[^\0]*$/, "an absolute path, without . and ..");
const port = z.int().min(1).max(65_535);
const count = z.int().min(0).max(100_000);
/** `30s`, `5m`. */
const span = z.union([z.string().regex(/^[1-9]\d{0,4}s$/), durationSchema], "a number and s, m, h or d: 30s");
/** Labels that engines, stacks and the bridge itself go by. */
const labels = z.record(
  z.string().regex(/^(?!com\.docker\.|goldseal\.)[\x21-\x7e]{1,255}$/, "a label of your own"),
  text,
);

const mounted = z.strictObject({
  /** Of the secret or config. */
  source: name,
  target: word.optional(),
  uid: z
    .string()
    .regex(/^\d{1,10}$/)
    .default("0"),
  gid: z
    .string()
    .regex(/^\d{1,10}$/)
    .default("0"),
  mode: z.int().min(0).max(0o777).default(0o444),
});

/** A volume has no driver options: with those of the local driver it would be any folder of the node. */
const volume = z.strictObject({
  ...{ type: z.literal("volume"), source: name, target: path, readOnly: z.boolean().default(false) },
  /** Must be on the node; the engine's own is `local`. */
  driver: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_./:-]{0,254}$/, "a volume driver's name")
    .optional(),
});

const mount = z.discriminatedUnion("type", [
  volume,
  z.strictObject({ type: z.literal("bind"), source: path, target: path, readOnly: z.boolean().default(false) }),
  z.strictObject({ type: z.literal("tmpfs"), target: path, sizeBytes: z.int().min(1).optional() }),
]);

const amount = z.strictObject({
  cpus: z.number().positive().max(1024).optional(),
  memoryBytes: z
    .int()
    .min(4 * 1024 * 1024)
    .optional(),
});

const capability = z.string().regex(/^[A-Z_]{1,64}$/, "a capability such as NET_ADMIN");

/** What a service of the bridge's can be. A member that is not here is refused: nothing is passed on that nobody looked at. */
export const serviceSchema = z.strictObject({
  name,
  /** `host:port/org/app:tag`, `@sha256:…` or both. */
  image: word,
  /** `global`: one on every node. */
  replicas: z.union([count, z.literal("global")]).default(1),
  entrypoint: z.array(text).min(1).max(256).optional(),
  command: z.array(text).min(1).max(256).optional(),
  user: word.optional(),
  workingDirectory: path.optional(),
  hostname: name.optional(),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,254}$/, "a variable's name"), text).default({}),
  labels: labels.default({}),
  containerLabels: labels.default({}),
  secrets: z.array(mounted).max(256).default([]),
  configs: z.array(mounted).max(256).default([]),
  ports: z
    .array(
      z.strictObject({
        target: port,
        published: port.optional(),
        protocol: z.enum(["tcp", "udp", "sctp"]).default("tcp"),
        mode: z.enum(["ingress", "host"]).default("ingress"),
      }),
    )
    .max(256)
    .default([]),
  /** By name; `host` is the node's own. */
  networks: z.array(name).max(64).default([]),
  endpointMode: z.enum(["vip", "dnsrr"]).default("vip"),
  mounts: z.array(mount).max(256).default([]),
  capabilities: z
    .strictObject({ add: z.array(capability).max(64).default([]), drop: z.array(capability).max(64).default([]) })
    .default({ add: [], drop: [] }),
  readOnly: z.boolean().default(false),
  health: z
    .strictObject({
      test: z.array(text).min(1).max(64),
      interval: span,
      timeout: span,
      retries: z.int().min(1).max(100),
    })
    .optional(),
  limits: amount.default({}),
  reservations: amount.default({}),
  constraints: z.array(constraintSchema).max(64).default([]),
  maxPerNode: count.default(0),
  /** `spread` is the engine's own; `binpack` and `random`: the bridge chooses the nodes, and the engine spreads over those. */
  strategy: z.enum(["spread", "binpack", "random"]).default("spread"),
  /** A node label: first evenly over its values. */
  spreadOver: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,255}$/, "a node label's name, such as zone")
    .optional(),
  /** Of the lots of `random`; without it they are drawn anew each time. */
  seed: z.int().min(0).max(0xffff_ffff).optional(),
  /** Says what would be done, and does nothing. It is among what is signed: no one between can take it out. */
  dryRun: z.boolean().default(false),
  stopGrace: span.optional(),
  update: z
    .strictObject({
      parallelism: count.default(1),
      delay: span.optional(),
      monitor: span.default("5s"),
      order: z.enum(["stop-first", "start-first"]).default("stop-first"),
    })
    .prefault({}),
});

export type ServiceSpec = z.output<typeof serviceSchema>;

/** @throws BridgeError SPEC with everything that is wrong */
export const parseServiceSpec = (bytes: Uint8Array): ServiceSpec => readBody(bytes, serviceSchema, "the service");
