import { z } from "zod";
import { findBase64 } from "../../trust/strict-json.ts";
import { clusterName, ownLabels, serviceShape } from "../service-spec.ts";

/** Of a thing in its stack; in the cluster it is `STACK_KEY`. */
const key = z.string().regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,38}[a-zA-Z0-9])?$/, "1 to 40 letters, digits, - _ or .");
export const stackName = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_-]{0,30}[a-zA-Z0-9])?$/, "1 to 32 letters, digits, - or _");

const externalEntry = z.strictObject({ external: clusterName });

/** Something of the stack's own; or `external`: there already, by its name in the cluster. */
function entry<S extends z.ZodRawShape>(shape: S) {
  const own = z.strictObject({ name: clusterName.optional(), ...shape });
  return z.unknown().transform((value, context): z.output<typeof externalEntry> | z.output<typeof own> => {
    const isExternal = typeof value === "object" && value !== null && Object.hasOwn(value, "external");
    const parsed = (isExternal ? externalEntry : own).safeParse(value);
    if (parsed.success) return parsed.data as z.output<typeof externalEntry> | z.output<typeof own>;
    for (const issue of parsed.error.issues) context.addIssue({ ...issue });
    return z.NEVER;
  });
}

/** An overlay. Options of its driver that reach no further than it. */
const network = entry({
  driverOptions: z
    .strictObject({
      encrypted: z.string().max(16).optional(),
      "com.docker.network.driver.mtu": z
        .string()
        .regex(/^\d{2,5}$/)
        .optional(),
      "com.docker.network.driver.overlay.vxlanid_list": z
        .string()
        .regex(/^\d{1,8}(,\d{1,8})*$/)
        .optional(),
    })
    .default({}),
  attachable: z.boolean().default(false),
  internal: z.boolean().default(false),
  labels: ownLabels.default({}),
  subnets: z
    .array(z.union([z.cidrv4(), z.cidrv6()], "a subnet such as 10.9.0.0/24"))
    .max(16)
    .default([]),
});

const volume = entry({
  driver: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_./:-]{0,254}$/, "the name of a volume driver")
    .optional(),
  labels: ownLabels.default({}),
});

const content = (maxBytes: number) =>
  entry({
    labels: ownLabels.default({}),
    /** Standard base64. */
    data: z
      .string()
      .refine((text) => (findBase64(text)?.length ?? maxBytes + 1) <= maxBytes, `base64 of at most ${maxBytes} bytes`),
  });

const serviceEntry = serviceShape.omit({ name: true, dryRun: true });
export type StackService = z.input<typeof serviceEntry>;

/** Looked at, and left as it was written: that is what is on record. */
const service = z.unknown().transform((value, context): StackService => {
  const parsed = serviceEntry.safeParse(value);
  for (const issue of parsed.error?.issues ?? []) context.addIssue({ ...issue });
  return parsed.success ? (value as StackService) : z.NEVER;
});

/** Swarm's limits of what a secret and a config hold. */
const [MAX_SECRET_BYTES, MAX_CONFIG_BYTES] = [500 * 1024, 1000 * 1024];
const some = <T>(value: z.ZodType<T>, most: number) =>
  z.record(key, value).refine((found) => Object.keys(found).length <= most, `at most ${most}`);

/**
 * Several services and what they need, as one order. Services are as single ones, but name networks, secrets, configs and volumes
 * by their keys in here. `goldseal stack deploy` makes it of a compose file.
 */
export const stackSchema = z.strictObject({
  name: stackName,
  /** Remove what the stack has in the cluster, and not in here. */
  prune: z.boolean().default(false),
  services: some(service, 256).refine((found) => Object.keys(found).length > 0, "at least one service"),
  networks: some(network, 64).default({}),
  volumes: some(volume, 256).default({}),
  secrets: some(content(MAX_SECRET_BYTES), 256).default({}),
  configs: some(content(MAX_CONFIG_BYTES), 256).default({}),
});

export type StackSpec = z.output<typeof stackSchema>;
