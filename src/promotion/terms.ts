import { z } from "zod";
import { isJsonObject, type Json } from "../oci/json.ts";
import type { Tag } from "../oci/reference.ts";
import { isRepositoryName } from "../oci/repository-name.ts";
import { requireRowSchema, teamSchema } from "../trust/require.ts";
import { isTagTemplate } from "./tag-template.ts";

const OPERATORS = ["equals", "starts", "ends", "contains", "one-of", "not-one-of"] as const;

/** All rules of a policy must match. @see Docker Trusted Registry 2.3, "Create promotion policies" */
const ruleSchema = z.strictObject({
  field: z.literal("tag").describe("of the source"),
  operator: z.enum(OPERATORS).describe("holds for one of the values; not-one-of for none of them"),
  values: z.array(z.string().min(1).max(128)).min(1).max(64),
});

const approvalRowSchema = z.strictObject({
  team: teamSchema.refine((text) => text.includes("/"), "an organization and its team: ops/release"),
  k: z.int().min(1).max(64).describe("so many different members, none of them who asks"),
});

/** What a promotion must meet. */
export const gatesSchema = z.strictObject({
  approvals: z.array(approvalRowSchema).max(16).default([]),
  require: z
    .array(requireRowSchema)
    .max(32)
    .default([])
    .describe("who must have signed; evidence is looked for at the source"),
});

export const termsSchema = gatesSchema.extend({
  rules: z.array(ruleSchema).max(32).default([]).describe("all must match; none: every tag"),
  targetRepository: z.string().refine(isRepositoryName, "<user or organization>/<name>"),
  tagTemplate: z
    .string()
    .max(128)
    .refine(isTagTemplate, "a tag, in which %n is the source's and %Y %m %d %H %M %S %j … the time (UTC)")
    .default("%n"),
});

export type Rule = z.infer<typeof ruleSchema>;
export type ApprovalRow = z.infer<typeof approvalRowSchema>;
export type Gates = z.infer<typeof gatesSchema>;
export type Terms = z.infer<typeof termsSchema>;

/** Of whoever may do it on both sides. */
export const NO_GATES: Gates = { approvals: [], require: [] };

const SIGNATURES = /^sha(256|512)-[0-9a-f]{64,128}/;

/** What belongs to an image by its name goes where the image goes, and nowhere by itself. */
export function matchesRules(rules: readonly Rule[], tag: Tag): boolean {
  return !SIGNATURES.test(tag) && rules.every((rule) => matches(rule, tag));
}

function matches({ operator, values }: Rule, tag: string): boolean {
  switch (operator) {
    case "equals":
    case "one-of":
      return values.includes(tag);
    case "not-one-of":
      return !values.includes(tag);
    case "starts":
      return values.some((value) => tag.startsWith(value));
    case "ends":
      return values.some((value) => tag.endsWith(value));
    case "contains":
      return values.some((value) => tag.includes(value));
  }
}

/** Whether two are the same, in whatever order their members stand. */
export function isSame(one: Json, other: Json): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isJsonObject(value)) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((name) => [name, sorted(value[name] ?? null)]));
}
