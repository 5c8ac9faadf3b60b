import { z } from "zod";
import type { RepositoryName } from "../oci/repository-name.ts";
import { matchesImage } from "../trust/image-pattern.ts";
import { durationSchema, imagePatternSchema, nameSchema, requireSchema, toSeconds } from "../trust/require.ts";
import type { Rule } from "./image.ts";

export const policyModes = ["off", "warn", "enforce"] as const;
export type PolicyMode = (typeof policyModes)[number];
export const policyOccasions = ["pull", "promotion"] as const;
/** `promotion`: into one of the repositories. */
export type PolicyOccasion = (typeof policyOccasions)[number];

/** What is put; the `require` schema is that of the signed policy document. */
export const policyBody = z.strictObject({
  repositories: z
    .array(imagePatternSchema)
    .min(1)
    .max(64)
    .describe("patterns of repositories below the organization: app, team/*, ** for all"),
  environment: nameSchema.optional().describe("what the repositories are for, such as prod; a word for people"),
  applies: z.array(z.enum(policyOccasions)).min(1).max(2).default(["pull"]).describe("promotion: into one of them"),
  mode: z
    .enum(policyModes)
    .describe("warn: a Warning header, and a record; enforce: nobody pulls what it refuses, but who may sign it"),
  require: requireSchema.describe("every row must be met"),
  maxTimestampAge: durationSchema.optional().describe("how old the server's word may be that a tag is current: 48h"),
  needsTag: z
    .boolean()
    .default(false)
    .describe("whether the image's own trust data must say that the tag is this image"),
});
export type PolicyDocument = z.infer<typeof policyBody>;

export interface Policy extends PolicyDocument {
  readonly id: number;
  readonly org: string;
  readonly name: string;
}

export function covers({ org, repositories }: Policy, repository: RepositoryName): boolean {
  return repositories.some((pattern) => matchesImage(`${org}/${pattern}`, repository));
}

export function ruleOf({ org, require, maxTimestampAge, needsTag }: Policy): Rule {
  const maxTimestampAgeSeconds = maxTimestampAge === undefined ? undefined : toSeconds(maxTimestampAge);
  return { org, requirement: { require, maxTimestampAgeSeconds, needsTag } };
}
