import { z } from "zod";
import { isNamespaceName } from "../oci/repository-name.ts";
import { isGunTemplate, isImagePattern } from "./image-pattern.ts";

/** `client-key`: a person held the key. `server-attested`: a server says who was signed in; it is worth what the server is. */
export type EvidenceClass = "client-key" | "server-attested";

/** Of a user, team or environment. */
export const nameSchema = z
  .string()
  .refine(isNamespaceName, "a name is 2 to 32 of a-z and 0-9, with single - or _ between");
/** `qa`, or `acme/qa` where teams of several organizations stand side by side. */
export const teamSchema = z.string().refine(isTeam, "a team, or an organization and its team: acme/qa");
export const imagePatternSchema = z
  .string()
  .refine(isImagePattern, "an image pattern is a repository such as ops/app, where * is one component and ** several");

/** One rule: `k` different people must have signed. Every rule of a list must be met. */
export const requireRowSchema = z.strictObject({
  /** Whose signatures count; absent: everybody's whose key is proved, and the server's where the class takes it. */
  team: teamSchema.optional(),
  k: z.int().min(1).max(64),
  class: z.enum(["client-key", "server-attested", "either"]).default("client-key"),
  /** The repository in whose trust data signatures are looked for, `qa/{name}`; absent: the image's own. */
  gun: z
    .string()
    .refine(isGunTemplate, "a repository such as qa/{name}, where {name} is the image's path without its first part")
    .optional(),
});

export type RequireRow = z.infer<typeof requireRowSchema>;

/** Without a rule everything would pass: there is no such policy. */
export const requireSchema = z.array(requireRowSchema).min(1).max(32);

/** `48h`, `90m`, `14d`. */
export const durationSchema = z.string().regex(/^[1-9]\d{0,4}[mhd]$/, "a number and m, h or d: 48h");

/** @param duration of {@link durationSchema} */
export function toSeconds(duration: string): number {
  const unit = duration.endsWith("m") ? 60 : duration.endsWith("h") ? 3600 : 86_400;
  return Number(duration.slice(0, -1)) * unit;
}

function isTeam(text: string): boolean {
  const parts = text.split("/");
  return parts.length <= 2 && parts.every(isNamespaceName);
}
