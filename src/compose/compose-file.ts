import { z } from "zod";
import { ComposeError } from "./error.ts";
import { whyRefused } from "./refused-keys.ts";
import { serviceSection } from "./service-section.ts";
import { isMap, labels, section, text, yesOrNo } from "./shapes.ts";

/** `external: true`, or as older files have it `external: {name: x}`. */
const external = z
  .union([yesOrNo, section({ name: z.string() })], "true, false or a name")
  .default(false)
  .transform((value) => (isMap(value) ? value.name : value));

/** A top-level entry: nothing after its name is an empty one. */
const entry = <S extends z.ZodRawShape>(shape: S) =>
  z.preprocess((value) => value ?? {}, section({ name: z.string().optional(), external, ...shape }));

const network = entry({
  driver: z.literal("overlay", "a network of services is an overlay").optional(),
  driver_opts: z.record(z.string(), z.union([text, z.boolean().transform(String)], "text")).optional(),
  attachable: yesOrNo.optional(),
  internal: yesOrNo.optional(),
  labels: labels.optional(),
  ipam: section({
    driver: z.literal("default").optional(),
    config: z.array(section({ subnet: z.string() })).default([]),
  }).optional(),
});

const volume = entry({ driver: z.string().optional(), labels: labels.optional() });

/** What it holds comes from a file, or a variable, of whoever deploys, or stands there. */
const content = entry({
  file: z.string().optional(),
  environment: z.string().optional(),
  content: z.string().optional(),
  labels: labels.optional(),
});

const composeFile = section({
  /** Long without a meaning. */
  version: text.optional(),
  name: z.string().optional(),
  services: z.record(z.string(), serviceSection),
  networks: z.record(z.string(), network).default({}),
  volumes: z.record(z.string(), volume).default({}),
  secrets: z.record(z.string(), content).default({}),
  configs: z.record(z.string(), content).default({}),
});

export type ComposeFile = z.output<typeof composeFile>;
export type NetworkEntry = z.output<typeof network>;
export type VolumeEntry = z.output<typeof volume>;
export type ContentEntry = z.output<typeof content>;

/** @throws ComposeError with everything that a Swarm cannot do, or that is wrong, and where it stands */
export function parseComposeFile(value: unknown): ComposeFile {
  const parsed = composeFile.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ComposeError(parsed.error.issues.flatMap(toFaults));
}

function toFaults(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => `${[...path, key].join(".")}: ${whyRefused(key)}`);
  return [`${path.join(".") || "the file"}: ${issue.message}`];
}
