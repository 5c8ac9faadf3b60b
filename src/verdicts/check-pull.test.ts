import { describe, expect, it } from "vitest";
import { AUTHORITY } from "../notary/testing/signer.ts";
import { ANONYMOUS } from "../oci/access.ts";
import { parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { createCheckPull, type Pull } from "./check-pull.ts";
import { openJudge } from "./testing/judge.ts";
import { useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";
import { pullsOf } from "./testing/pulls.ts";

const { lab } = useLab();
const { repository } = pullsOf(lab);
const nobody = { actor: ANONYMOUS } as never;

/** `ops/<name>:v1` under a policy, on a clock of its own, and how often its content was looked at. */
async function open(name: string, rest: object, isSigned: boolean) {
  const of = await repository(name);
  const image = await lab().push(of, "v1");
  if (isSigned) await lab().sign(await lab().found(of), "alice", "v1", image);
  await putPolicy(lab(), name, goldPolicy(name, rest));
  await lab().settled(of);
  const clock = { now: new Date(), looks: 0 };
  const now = () => clock.now;
  const { judge, verdicts, watch } = await openJudge(lab(), now);
  const check = createCheckPull({
    ...{
      judge,
      verdicts,
      watch,
      now,
      authority: AUTHORITY,
      maySign: async () => false,
      recordWarning: () => undefined,
    },
    isContent: async () => clock.looks++ >= 0,
  });
  const [row] = await lab().app.database.query<{ id: number; watch: string }>(
    "",
    `select r.id, w.version || '.' || p.version as watch from repositories r
     join verdict_repositories w on w.repository_id = r.id cross join verdict_people p where r.name = $1`,
    [of],
  );
  const pull: Pull = {
    ...{
      repositoryId: row?.id ?? 0,
      repository: parseRepositoryName(of),
      tag: parseTag("v1"),
      watch: row?.watch ?? "",
    },
    digest: parseDigest(image.digest),
  };
  return { clock, check, pull };
}

describe("whoever pulls what is allowed", () => {
  it("waits for nothing once that is known, until it ends", async () => {
    const { clock, check, pull } = await open("known", { maxTimestampAge: "48h" }, true);
    expect(await check(nobody, pull)).toEqual([]);
    expect(clock.looks).toBe(0);
    const [row] = await lab().app.database.query<{ until: Date }>(
      "",
      "select until from verdicts where repository_id = $1 and tag = 'v1' and until is not null",
      [pull.repositoryId],
    );
    const until = row?.until.getTime() ?? 0;

    expect(check(nobody, pull)).toBeUndefined();
    clock.now = new Date(until - 1);
    expect(check(nobody, pull)).toBeUndefined();
    clock.now = new Date(until);
    expect(await check(nobody, pull)).toEqual([]);
    clock.now = new Date(until + 1);
    await expect(check(nobody, pull)).rejects.toMatchObject({ code: "DENIED" });
  });

  it("is judged anew where another version was read, or none", async () => {
    const { check, pull } = await open("anew", {}, true);
    await check(nobody, pull);

    expect(await check(nobody, { ...pull, watch: "" })).toEqual([]);
    expect(await check(nobody, { ...pull, watch: "" })).toEqual([]);
    expect(check(nobody, pull)).toBeUndefined();
    expect(await check(nobody, { ...pull, watch: `${pull.watch}0` })).toEqual([]);
  });
});

describe("whoever pulls what is refused", () => {
  it("is one of many who ask one question, and is told the same afterwards", async () => {
    const { clock, check, pull } = await open("refused", {}, false);
    const ask = () => check(nobody, pull)?.catch((error: unknown) => error);

    const answers = [...(await Promise.all([ask(), ask(), ask()])), await ask()];

    expect(answers).toMatchObject(Array.from({ length: 4 }, () => ({ code: "DENIED" })));
    expect(clock.looks).toBe(1);
  });

  it("asks each time where no version says what that rests on", async () => {
    const { clock, check, pull } = await open("unversioned", {}, false);
    const ask = () => check(nobody, { ...pull, watch: "" })?.catch((error: unknown) => error);

    const answers = [await ask(), await ask()];

    expect(answers).toMatchObject([{ code: "DENIED" }, { code: "DENIED" }]);
    expect(clock.looks).toBe(2);
  });
});

describe("whoever is only warned", () => {
  it("is told no names of people without signing in", async () => {
    const { check, pull } = await open("warned", { mode: "warn", require: [{ team: "gold", k: 2 }] }, true);
    const bob = { actor: { kind: "user", id: 1, name: "bob" } } as never;

    const [told] = (await check(nobody, pull)) ?? [];
    const [seen] = (await check(bob, pull)) ?? [];

    expect(told).toMatch(/is not signed by 2 people of team gold/);
    expect(seen).toMatch(/must be signed by 2 people of team gold .*, and is by alice;/);
  });
});
