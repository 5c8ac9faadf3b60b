import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { RequireRow } from "../trust/require.ts";
import type { JudgedImage, JudgeImage } from "./image.ts";
import type { PolicyJudge } from "./judge-policies.ts";
import { ruleOf } from "./policy-schema.ts";

/** An image on its way from one repository to another. */
export interface ImageOnItsWay {
  readonly source: RepositoryName;
  /** Undefined: by digest alone. */
  readonly sourceTag: Tag | undefined;
  readonly destination: RepositoryName;
  readonly digest: Digest;
  /** What the promotion itself asks for. */
  readonly require: readonly RequireRow[];
}

/** What one gate makes of it. */
export interface GateVerdict {
  readonly gate: string;
  readonly allowed: boolean;
  /** People whose signatures counted. */
  readonly who: readonly string[];
  /** Why not, a sentence each; of a policy that only warns, too. */
  readonly missing: readonly string[];
}

/**
 * Whether an image may be promoted: by what the promotion asks for, of the image as it is at the source, and by the policies
 * that say who may come into the destination. There the image has no tag yet, so nothing is asked of that: which digest the tag is,
 * and since when, the promotion itself will say.
 */
export type JudgePromotion = (image: ImageOnItsWay) => Promise<readonly GateVerdict[]>;

export function createJudgePromotion(deps: {
  readonly judge: Pick<PolicyJudge, "applying">;
  readonly judgeImage: JudgeImage;
}): JudgePromotion {
  return async ({ source, sourceTag: tag, destination, digest, require }) => {
    const policies = await deps.judge.applying(destination, "promotion", undefined);
    const ofPolicies = policies.map(async (policy) => {
      const requirement = { ...ruleOf(policy).requirement, needsTag: false, maxTimestampAgeSeconds: undefined };
      const image = { repository: destination, heldBy: source, tag: undefined, digest };
      const verdict = await deps.judgeImage(image, { org: policy.org, requirement });
      return toGate(`policy ${policy.org}/${policy.name}`, verdict, policy.mode === "warn");
    });
    if (require.length === 0) return Promise.all(ofPolicies);
    const requirement = { require, needsTag: false, maxTimestampAgeSeconds: undefined };
    const own = await deps.judgeImage({ repository: source, tag, digest }, { org: namespaceOf(source), requirement });
    return [toGate("signatures", own, false), ...(await Promise.all(ofPolicies))];
  };
}

function toGate(gate: string, { allowed, rows, missing }: JudgedImage, isWarning: boolean): GateVerdict {
  const who = [...new Set(rows.flatMap((row) => row.who))].sort();
  return { gate, allowed: allowed || isWarning, who, missing: [...missing] };
}
