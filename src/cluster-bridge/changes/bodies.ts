import { z } from "zod";
import { findBase64 } from "../../trust/strict-json.ts";
import { isWholeSubnet } from "./subnet.ts";

export const nameSchema = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/, "1 to 63 letters, digits, - _ or .");

const labelName = z.string().regex(/^(?!com\.docker\.|goldseal\.)[\x21-\x7e]{1,255}$/, "a label of your own");
const labelValue = z.string().max(65_536);

/** Labels that engines, stacks and the bridge itself go by are not for orders to set. */
export const labelsSchema = z.record(labelName, labelValue).default({});

/** What no order may make: engines have these. */
const OWN_NETWORKS = ["bridge", "host", "none", "ingress", "docker_gwbridge"];

const subnetSchema = z.string().refine(isWholeSubnet, "a subnet such as 10.20.0.0/24, without bits beside its prefix");

export const networkSchema = z.strictObject({
  name: nameSchema.refine((name) => !OWN_NETWORKS.includes(name), "an engine's own network"),
  attachable: z.boolean().default(false),
  internal: z.boolean().default(false),
  encrypted: z.boolean().default(false),
  /** Of IPv4, which is all that overlays of 20.10 have; none: the cluster chooses. */
  subnets: z.array(subnetSchema).max(8).default([]),
  labels: labelsSchema,
});
export type NetworkBody = z.output<typeof networkSchema>;

const base64 = (maxBytes: number) =>
  z.string().refine((text) => {
    const bytes = findBase64(text);
    return bytes !== undefined && bytes.length > 0 && bytes.length <= maxBytes;
  }, `1 to ${maxBytes} bytes in base64`);

/**
 * The order is over a hash of the whole body, which the registry sees: with a salt it tells nothing of a
 * short secret.
 */
const sealed = (maxBytes: number) =>
  z.strictObject({
    name: nameSchema,
    data: base64(maxBytes),
    labels: labelsSchema,
    salt: z.string().max(256).optional(),
  });

/** As much as an engine takes; of configs as much as an order holds. */
export const secretSchema = sealed(500 * 1024);
export const configSchema = sealed(700 * 1024);
export type SealedBody = z.output<typeof secretSchema>;

export const removeSchema = z.strictObject({ name: nameSchema });

export const nodeSchema = z
  .strictObject({
    /** Its host name or its id. */
    node: z.string().min(1).max(255),
    /** null removes one; what is not named stays. */
    labels: z.record(labelName, labelValue.nullable()).default({}),
    availability: z.enum(["active", "pause", "drain"]).optional(),
    role: z.enum(["manager", "worker"]).optional(),
  })
  .refine(
    ({ labels, availability, role }) => Object.keys(labels).length > 0 || (availability ?? role) !== undefined,
    "nothing is to change",
  );
export type NodeBody = z.output<typeof nodeSchema>;
