import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import type { Tag } from "../oci/reference.ts";
import { eachAtOnce } from "../storage/in-groups.ts";
import type { NamedTag, TagDigests } from "../storage/tag-digests.ts";
import { isSignatureTag } from "./content.ts";
import type { JudgedImage, JudgeImage, Rule } from "./image.ts";
import { checkNames, keyOf, type PoliciesApiDeps } from "./policies-api.ts";
import { covers, type PolicyDocument, policyBody, ruleOf } from "./policy-schema.ts";

export interface SimulateApiDeps extends Pick<PoliciesApiDeps, "findUnknownTeams" | "belongsTo"> {
  readonly judgeImage: JudgeImage;
  readonly tags: TagDigests;
}

const MANAGE: Access = { kind: "org-admin", right: "manage" };

/** Tags that are looked at for one answer, and how many of them at the same time. */
const page = 500;
const width = 4;

const refusedSchema = z.strictObject({
  repository: z.string(),
  tag: z.string(),
  digest: z.string(),
  missing: z.array(z.string()).describe("why, a sentence each"),
});

const simulationSchema = z.strictObject({
  judged: z.int().describe("tags of the repositories that it covers, on this page"),
  refused: z.array(refusedSchema),
  next: z.string().optional(),
});

const simulateQuery = z.object({
  after: z
    .string()
    .max(400)
    .regex(/^[^:\0]+:[^:\0]+$/, "what an answer called next")
    .optional()
    .describe("the last repository and tag of the page before"),
});

/** What a policy would do, before it does it. */
export const simulateOperations = (deps: SimulateApiDeps): RestOperation[] => [
  bodyOperation(["policy-simulate", "POST", "/api/v1/orgs/<org>/policies/<policy>/simulate", MANAGE], {
    summary: `What a policy would refuse now, of everything that is tagged. It need not be there yet, and nothing is changed;
      the mode makes no difference.`,
    body: policyBody,
    query: simulateQuery,
    answers: { 200: simulationSchema },
    act: simulate(deps),
  }),
];

function simulate(deps: SimulateApiDeps) {
  return async (request: Request, body: PolicyDocument): Promise<Reply> => {
    const { org, name } = keyOf(request);
    await checkNames(deps, request, { org, body });
    const [repository = "", tag = ""] = readQuery(request, simulateQuery).after?.split(":") ?? [];
    const some = await deps.tags.pageOfNamespace(org, { after: { repository, tag }, limit: page });
    const policy = { ...body, id: 0, org, name };
    const covered = some.filter((one) => covers(policy, one.repository) && !isSignatureTag(one.tag));
    const refused = await findRefused(deps, covered, ruleOf(policy));
    const last = some.at(-1);
    const wire = { judged: covered.length, refused };
    if (last === undefined || some.length < page) return json(200, wire);
    return json(200, {
      ...wire,
      next: `${request.path}?${new URLSearchParams({ after: `${last.repository}:${last.tag}` })}`,
    });
  };
}

async function findRefused({ judgeImage }: SimulateApiDeps, tags: readonly NamedTag[], rule: Rule) {
  const verdicts = new Map<NamedTag, JudgedImage>();
  await eachAtOnce(tags, width, async (one) => {
    const verdict = await judgeImage({ ...one, tag: one.tag as Tag }, rule).catch(unlessGone);
    if (verdict !== undefined) verdicts.set(one, verdict);
  });
  return tags.flatMap((one) => {
    const verdict = verdicts.get(one);
    return verdict === undefined || verdict.allowed ? [] : [{ ...one, missing: verdict.missing }];
  });
}

/** Deleted since it was listed. */
function unlessGone(error: unknown): undefined {
  if (error instanceof OciError && (error.code === "MANIFEST_UNKNOWN" || error.code === "NAME_UNKNOWN"))
    return undefined;
  throw error;
}
