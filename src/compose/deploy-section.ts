import { z } from "zod";
import { bytes, decimal, labels, oneOrMore, section, span, text, texts, whole } from "./shapes.ts";

const updateConfig = {
  parallelism: whole.optional(),
  delay: span.optional(),
  failure_action: z
    .enum(["pause", "rollback"], "pause or rollback: the bridge does not go on with what fails")
    .optional(),
  monitor: span.optional(),
  max_failure_ratio: decimal.optional(),
  order: z.enum(["stop-first", "start-first"]).optional(),
};

const generic = section({ discrete_resource_spec: section({ kind: z.string(), value: whole }) }).transform(
  ({ discrete_resource_spec: { kind, value } }) => ({ kind, value }),
);

/** The member `deploy` of a service. */
export const deploySection = section({
  mode: z
    .enum(["replicated", "global"], "replicated or global: jobs end, and the bridge waits for services that run")
    .default("replicated"),
  replicas: whole.optional(),
  labels: labels.default({}),
  endpoint_mode: z.enum(["vip", "dnsrr"]).optional(),
  resources: section({
    limits: section({ cpus: decimal.optional(), memory: bytes.optional(), pids: whole.optional() }).optional(),
    reservations: section({
      cpus: decimal.optional(),
      memory: bytes.optional(),
      generic_resources: z.array(generic).optional(),
    }).optional(),
  }).optional(),
  restart_policy: section({
    condition: z.enum(["none", "on-failure", "any"]).optional(),
    delay: span.optional(),
    max_attempts: whole.optional(),
    window: span.optional(),
  }).optional(),
  update_config: section(updateConfig).optional(),
  rollback_config: section({ ...updateConfig, failure_action: z.enum(["pause", "continue"]).optional() }).optional(),
  placement: section({
    constraints: texts.optional(),
    preferences: z.array(section({ spread: text })).optional(),
    max_replicas_per_node: whole.optional(),
  }).optional(),
});

export type DeploySection = z.output<typeof deploySection>;

const ulimit = z.union(
  [whole.transform((both) => ({ soft: both, hard: both })), z.strictObject({ soft: whole, hard: whole })],
  "a whole number, or soft and hard",
);

export const ulimits = z.record(z.string(), ulimit);
export const capabilities = oneOrMore.transform((names) =>
  names.map((name) => name.toUpperCase().replace(/^CAP_/, "")),
);
