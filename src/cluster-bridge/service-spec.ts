import { z } from "zod";
import { constraintSchema } from "../trust/constraint.ts";
import { durationSchema } from "../trust/require.ts";
import { readBody } from "./order-body.ts";

const word = z.string().min(1).max(1024);
const text = z.string().max(65_536);
/** Of whatever a cluster has. */
export const clusterName = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/, "1 to 63 letters, digits, - _ or .");
const name = clusterName;
/**
 * Nodes expand Go templates in where a mount is from and in where it lies: what was looked at here would be another path there. In
 * variables they tell a task its node or number, and nothing is decided by those.
 */
const path = z
  .string()
  .regex(
    /^(?!.*\/\.{1,2}(?:\/|$))(?!.*(?:\{\{|\}\}))\/\P{Cc}*$/su,
    "an absolute path, without ., .., templates ({{ or }}) and control characters",
  );
const port = z.int().min(1).max(65_535);
const count = z.int().min(0).max(100_000);
/** `500ms`, `30s`, `5m`. */
const span = z.union([z.string().regex(/^[1-9]\d{0,6}m?s$/), durationSchema], "a number and ms, s, m, h or d: 30s");
/** None of those that engines, stacks and the bridge itself go by. */
export const ownLabels = z.record(
  z.string().regex(/^(?!com\.docker\.|goldseal\.)[\x21-\x7e]{1,255}$/, "a label of your own"),
  text,
);
const labels = ownLabels;

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
  type: z.literal("volume"),
  /** Absent: a new one for every task. */
  source: name.optional(),
  target: path,
  readOnly: z.boolean().default(false),
  /** Must be on the node; the engine's own is `local`. */
  driver: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_./:-]{0,254}$/, "a volume driver's name")
    .optional(),
  /** Of the volume, where this makes it. */
  labels: labels.optional(),
  /** It begins empty, without what the image has there. */
  noCopy: z.boolean().default(false),
});

const mount = z.discriminatedUnion("type", [
  volume,
  z.strictObject({ type: z.literal("bind"), source: path, target: path, readOnly: z.boolean().default(false) }),
  z.strictObject({
    type: z.literal("tmpfs"),
    target: path,
    sizeBytes: z.int().min(1).optional(),
    mode: z.int().min(0).max(0o1777).optional(),
  }),
]);

const resources = {
  cpus: z.number().positive().max(1024).optional(),
  memoryBytes: z
    .int()
    .min(4 * 1024 * 1024)
    .optional(),
};
const limits = z.strictObject({ ...resources, pids: z.int().min(1).max(4_194_304).optional() });
/** `generic`: what a node says it has, such as graphics cards. */
const reservations = z.strictObject({
  ...resources,
  generic: z
    .array(z.strictObject({ kind: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/), value: z.int().min(1).max(1_000_000) }))
    .max(64)
    .default([]),
});

const restart = z.strictObject({
  condition: z.enum(["none", "on-failure", "any"]).default("any"),
  delay: z.union([z.literal("0s"), span]).default("5s"),
  /** 0: as often as it takes. */
  maxAttempts: count.default(0),
  /** How long it must run to count as restarted. */
  window: span.optional(),
});

const alias = z.string().regex(/^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?$/, "a name of one host");
const ulimit = z.strictObject({ soft: z.int().min(-1), hard: z.int().min(-1) });
const dns = z.strictObject({
  servers: z
    .array(z.union([z.ipv4(), z.ipv6()], "an IP address"))
    .max(16)
    .default([]),
  search: z.array(word).max(32).default([]),
  options: z.array(word).max(32).default([]),
});

const capability = z.string().regex(/^[A-Z_]{1,64}$/, "a capability such as NET_ADMIN");

/** How tasks are replaced. */
const pace = z.strictObject({
  /** How many at a time; 0: all. */
  parallelism: count.default(1),
  delay: span.optional(),
  monitor: span.default("5s"),
  /** How many of its tasks may fail: 0.2 is every fifth. */
  maxFailureRatio: z.number().min(0).max(1).optional(),
  order: z.enum(["stop-first", "start-first"]).default("stop-first"),
});

/** What a service of the bridge's can be. A member that is not here is refused: nothing is passed on that nobody looked at. */
export const serviceShape = z.strictObject({
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
  /** By network: other names that the service has there. */
  networkAliases: z.record(name, z.array(alias).max(64)).default({}),
  endpointMode: z.enum(["vip", "dnsrr"]).default("vip"),
  mounts: z.array(mount).max(256).default([]),
  capabilities: z
    .strictObject({ add: z.array(capability).max(64).default([]), drop: z.array(capability).max(64).default([]) })
    .default({ add: [], drop: [] }),
  readOnly: z.boolean().default(false),
  health: z
    .strictObject({
      /** Absent: the image's, at this pace. `["NONE"]`: none. */
      test: z.array(text).min(1).max(64).optional(),
      interval: span.optional(),
      timeout: span.optional(),
      startPeriod: span.optional(),
      retries: z.int().min(1).max(100).optional(),
    })
    .optional(),
  limits: limits.default({}),
  reservations: reservations.prefault({}),
  restart: restart.optional(),
  init: z.boolean().optional(),
  tty: z.boolean().default(false),
  openStdin: z.boolean().default(false),
  stopSignal: z
    .string()
    .regex(/^(?:SIG)?[A-Z0-9+-]{1,16}$|^[1-9]\d?$/, "a signal such as SIGTERM")
    .optional(),
  /** `name:address`. */
  hosts: z
    .array(z.string().regex(/^[A-Za-z0-9_.-]{1,253}:[0-9A-Fa-f.:]{2,45}$/, "name:address"))
    .max(256)
    .default([]),
  dns: dns.optional(),
  sysctls: z.record(z.string().regex(/^[a-z0-9_./-]{1,128}$/, "a name such as net.core.somaxconn"), word).default({}),
  ulimits: z.record(z.string().regex(/^[a-z]{1,16}$/, "a name such as nofile"), ulimit).default({}),
  logging: z.strictObject({ driver: word, options: z.record(word, text).default({}) }).optional(),
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
  update: pace.prefault({}),
  /** At which pace this comes back; absent: at that of `update`. */
  rollback: pace.optional(),
});

export const serviceSchema = serviceShape.superRefine(({ networks, networkAliases }, context) => {
  for (const network of Object.keys(networkAliases).filter((one) => !networks.includes(one)))
    context.addIssue({ code: "custom", path: ["networkAliases", network], message: "it is not on this network" });
});

export type ServiceSpec = z.output<typeof serviceSchema>;

/** @throws BridgeError SPEC with everything that is wrong */
export const parseServiceSpec = (bytes: Uint8Array): ServiceSpec => readBody(bytes, serviceSchema, "the service");
