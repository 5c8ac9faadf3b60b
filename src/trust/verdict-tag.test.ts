import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { DAY_MS, inDays } from "../notary/tuf/testing/repository.ts";
import { NAME, signed } from "./testing/signed.ts";
import { alice, bob, carol, spkiOfPair } from "./testing/signers.ts";
import { type Case, image, indexOf, NOW, other, row, signedSet, subjectOf, verdictOf } from "./testing/world.ts";

const digest = image.digest;

describe("judge, asked for the tag,", () => {
  const asked = { needsTag: true };
  const sign = `; sign it: goldseal trust sign ${NAME}`;
  const cosigned = [{ format: "cosign" as const, spki: spkiOfPair(alice), digest, statement: undefined }];

  it.each<[string, Case, string]>([
    [
      "cosign alone, which binds no tag",
      { more: cosigned, requirement: asked },
      `the trust data of ${NAME} says nothing of it${sign}`,
    ],
    [
      "cosign alone, which is never fresh",
      { more: cosigned, requirement: { maxTimestampAgeSeconds: 3600 } },
      `the trust data of ${NAME} says nothing of it${sign}`,
    ],
    [
      "a tag that docker's role says is something else",
      {
        more: cosigned,
        sets: [
          signedSet({
            roles: {
              "targets/releases": { says: { "1.4": other }, by: [bob] },
              "targets/a": { says: { "1.4": image }, by: [alice] },
            },
          }),
        ],
        requirement: asked,
      },
      `the trust data of ${NAME} says that 1.4 is ${other.digest}${sign}`,
    ],
    [
      "a tag that another GUN speaks of",
      {
        more: cosigned,
        sets: [signedSet({ repository: "qa/app", roles: { "targets/a": { says: { "1.4": image }, by: [alice] } } })],
        requirement: asked,
      },
      `the trust data of ${NAME} says nothing of it${sign}`,
    ],
    [
      "a child where the tag is its index",
      {
        more: cosigned,
        sets: [signed([bob])],
        subject: subjectOf("ops/app:1.4", [indexOf(image), image]),
        requirement: asked,
      },
      `the trust data of ${NAME} says that 1.4 is ${digest}${sign}`,
    ],
    [
      "a timestamp that is too old by a second",
      {
        more: cosigned,
        sets: [signed([alice])],
        requirement: { maxTimestampAgeSeconds: 60 },
        now: new Date(NOW.getTime() + 60_001),
      },
      `the trust data of ${NAME} has a timestamp from ${NOW.toISOString()}, which is too old here${sign}`,
    ],
    [
      "a timestamp from the future",
      {
        more: cosigned,
        sets: [
          signedSet({
            roles: { "targets/a": { says: { "1.4": image }, by: [alice] } },
            timestamp: put(["expires"], inDays(15.1).toISOString()),
          }),
        ],
        requirement: asked,
      },
      `the trust data of ${NAME} has a timestamp that was made in the future${sign}`,
    ],
    [
      "a set that ran out since",
      { more: cosigned, sets: [signed([alice])], requirement: asked, now: new Date(NOW.getTime() + 15 * DAY_MS) },
      `the trust data of ${NAME} has expired at ${inDays(14).toISOString()}${sign}`,
    ],
    [
      "a clock that is none",
      { more: cosigned, sets: [signed([alice])], requirement: asked, now: new Date(Number.NaN) },
      `the trust data of ${NAME} has expired at ${inDays(14).toISOString()}${sign}`,
    ],
    [
      "a digest that no tag is",
      { more: cosigned, sets: [signed([bob], { "1.4": other })], subject: subjectOf("ops/app"), requirement: asked },
      `the trust data of registry.example.com:5000/ops/app@${digest} says nothing of it; sign it: goldseal trust sign registry.example.com:5000/ops/app@${digest}`,
    ],
  ])("refuses %s", async (_attack, given, sentence) => {
    expect(await verdictOf(given)).toMatchObject({ allowed: false, missing: [sentence] });
  });

  it("refuses another tag's binding, whoever hands it over", async () => {
    const binding = {
      gun: "registry.example.com:5000/ops/app" as never,
      tag: "1.3",
      role: "targets/a" as never,
      digest,
      expiresAt: inDays(1),
      freshAt: NOW,
    };

    expect((await verdictOf({ more: cosigned, binding, requirement: asked })).missing).toEqual([
      `the trust data of ${NAME} says that 1.3 is ${digest}${sign}`,
    ]);
  });

  it("takes a clock of the server that is a day ahead", async () => {
    const set = signedSet({
      roles: { "targets/a": { says: { "1.4": image }, by: [alice] } },
      timestamp: put(["expires"], inDays(15).toISOString()),
    });

    expect((await verdictOf({ sets: [set], requirement: asked })).allowed).toBe(true);
  });

  it("takes any tag's word for an image named by digest, and the index's for its child", async () => {
    const index = indexOf(image);

    expect(
      (
        await verdictOf({
          sets: [signed([alice], { zz: other, "1.4": index })],
          subject: subjectOf("ops/app", [index, image]),
          requirement: asked,
        })
      ).allowed,
    ).toBe(true);
  });
});

describe("judge says until when:", () => {
  const roles = (days: number) => ({
    "targets/a": { says: { "1.4": image }, by: [alice] },
    "targets/b": { says: { "1.4": image }, by: [bob], change: put(["expires"], inDays(days).toISOString()) },
  });

  it.each<[string, Case, Date | undefined]>([
    ["the timestamp's end", { sets: [signedSet({ roles: roles(20) })], rows: [row({ k: 2 })] }, inDays(14)],
    ["the end of the one that is needed", { sets: [signedSet({ roles: roles(3) })], rows: [row({ k: 2 })] }, inDays(3)],
    ["the later of two of which one is enough", { sets: [signedSet({ roles: roles(3) })] }, inDays(14)],
    [
      "the earliest of all rules",
      { sets: [signedSet({ roles: roles(3) })], rows: [row(), row({ team: "ops" })] },
      inDays(3),
    ],
    [
      "the end of targets above",
      { sets: [signedSet({ roles: roles(20), targets: put(["expires"], inDays(2).toISOString()) })] },
      inDays(2),
    ],
    [
      "when the timestamp gets too old",
      { sets: [signedSet({ roles: roles(20) })], requirement: { maxTimestampAgeSeconds: 86_400 } },
      inDays(1),
    ],
    [
      "nothing for what does not run out",
      { more: [{ format: "cosign", spki: spkiOfPair(alice), digest, statement: undefined }] },
      undefined,
    ],
    [
      "the binding's end, when it alone runs out",
      {
        more: [{ format: "cosign", spki: spkiOfPair(alice), digest, statement: undefined }],
        sets: [signed([carol])],
        requirement: { needsTag: true },
      },
      inDays(14),
    ],
  ])("%s", async (_what, given, until) => {
    const verdict = await verdictOf(given);

    expect([verdict.allowed, verdict.until]).toEqual([true, until]);
  });
});
