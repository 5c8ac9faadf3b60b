import { beforeAll, describe, expect, it } from "vitest";
import { parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { requireSchema } from "../trust/require.ts";
import { createJudgePromotion, type PromotionQuestion } from "./judge-promotion.ts";
import { openJudge } from "./testing/judge.ts";
import { type Pushed, useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";

const { lab } = useLab();
let image: Pushed;

beforeAll(async () => {
  image = await lab().push("qa/app", "1.4");
  await lab().sign(await lab().found("qa/app"), "bob", "1.4", image);
  const tested = { require: [{ team: "qa/testers", k: 1, gun: "qa/{name}" }], maxTimestampAge: "48h", needsTag: true };
  await putPolicy(lab(), "tested", goldPolicy("app", { ...tested, applies: ["promotion"] }));
  await putPolicy(lab(), "warned", goldPolicy("app", { mode: "warn", applies: ["pull", "promotion"] }));
  await putPolicy(lab(), "gold", goldPolicy("gold", { applies: ["promotion"] }));
  await putPolicy(lab(), "pulls", goldPolicy("**", { require: [{ k: 9 }] }));
  await putPolicy(lab(), "off", goldPolicy("**", { mode: "off", applies: ["promotion"], require: [{ k: 9 }] }));
});

async function ask(destination: string, require: object[] = [], more: Partial<PromotionQuestion> = {}) {
  const { judgeImage, judge } = await openJudge(lab());
  const verdicts = await createJudgePromotion(
    judgeImage,
    judge,
  )({
    ...{ source: parseRepositoryName("qa/app"), sourceTag: parseTag("1.4"), digest: parseDigest(image.digest) },
    destination: parseRepositoryName(destination),
    require: require.length === 0 ? [] : requireSchema.parse(require),
    ...more,
  });
  return verdicts.map(({ gate, allowed, who, missing }) => [gate, allowed, who.join(), missing.length]);
}

describe("judgePromotion", () => {
  it("asks the policies of the destination, before the image is there", async () => {
    expect(await ask("ops/app")).toEqual([
      ["policy tested of ops", true, "bob", 0],
      ["policy warned of ops", true, "", 1],
    ]);
    expect(await ask("ops/gold")).toEqual([["policy gold of ops", false, "", 1]]);
    expect(await ask("ops/free")).toEqual([]);
  });

  it("asks what the promotion itself asks where the image is, under the tag that it has there", async () => {
    const testers = [{ team: "testers", k: 1 }];

    expect(await ask("ops/free", testers)).toEqual([["promotion", true, "bob", 0]]);
    expect(await ask("ops/free", [{ team: "testers", k: 2 }])).toEqual([["promotion", false, "bob", 1]]);
    expect(await ask("ops/free", testers, { sourceTag: parseTag("1.5") })).toEqual([["promotion", false, "", 1]]);
    expect(await ask("ops/free", testers, { sourceTag: undefined })).toEqual([["promotion", true, "bob", 0]]);
  });

  it("throws where there is no such image", async () => {
    const digest = parseDigest(`sha256:${"11".repeat(32)}`);

    await expect(ask("ops/app", [], { digest })).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
  });
});
