import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { RequireRow } from "../trust/require.ts";
import type { JudgedImage, JudgeImage } from "./image.ts";
import type { PolicyJudge } from "./judge-policies.ts";
import { type Policy, ruleOf } from "./policy-schema.ts";

/** An image that is to be another repository's too. */
export interface PromotionQuestion {
  readonly source: RepositoryName;
  /** Undefined: asked for by digest alone. */
  readonly sourceTag: Tag | undefined;
  readonly destination: RepositoryName;
  readonly digest: Digest;
  /** Of the promotion itself, judged where the image is now; may be empty. */
  readonly require: readonly RequireRow[];
}

/** One thing that was asked of the image, and the verdict. */
export interface PromotionVerdict {
  readonly gate: string;
  readonly allowed: boolean;
  /** People whose signatures counted. */
  readonly who: readonly string[];
  /** Why not, a sentence each; of a policy that only warns too. */
  readonly missing: readonly string[];
}

/** @throws OciError NAME_UNKNOWN, MANIFEST_UNKNOWN for the source */
export type JudgePromotion = (question: PromotionQuestion) => Promise<readonly PromotionVerdict[]>;

/**
 * What the promotion asks, and then every policy that covers the destination and applies to promotion. Those look at the image
 * as one of the destination, where no tag of it is signed yet: so its tag and the age of that are not asked for.
 */
export function createJudgePromotion(judgeImage: JudgeImage, policies: Pick<PolicyJudge, "applying">): JudgePromotion {
  return async ({ source, sourceTag, destination, digest, require }) => {
    const own = { require, maxTimestampAgeSeconds: undefined, needsTag: false };
    const asked = async (): Promise<PromotionVerdict[]> => {
      if (require.length === 0) return [];
      const image = { repository: source, tag: sourceTag, digest };
      return [toVerdict("promotion", await judgeImage(image, { org: namespaceOf(source), requirement: own }))];
    };
    const byPolicy = async (policy: Policy): Promise<PromotionVerdict> => {
      const image = { repository: destination, heldBy: source, tag: undefined, digest };
      const { org, requirement } = ruleOf(policy);
      const verdict = await judgeImage(image, { org, requirement: { ...own, require: requirement.require } });
      const { allowed, ...rest } = toVerdict(`policy ${policy.name} of ${org}`, verdict);
      return { ...rest, allowed: allowed || policy.mode === "warn" };
    };
    const applying = await policies.applying(destination, "promotion", undefined);
    return [...(await asked()), ...(await Promise.all(applying.map(byPolicy)))];
  };
}

function toVerdict(gate: string, { allowed, rows, missing }: JudgedImage): PromotionVerdict {
  return { gate, allowed, who: [...new Set(rows.flatMap(({ who }) => who))].sort(), missing };
}
