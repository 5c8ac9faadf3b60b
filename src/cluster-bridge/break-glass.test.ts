import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import type { TestKey } from "../notary/tuf/testing/test-key.ts";
import { BREAK_GLASS_TYPE } from "../trust/break-glass-statement.ts";
import { signEnvelope } from "../trust/dsse.ts";
import { alice, signerOf } from "../trust/testing/signers.ts";
import { image, other } from "../trust/testing/world.ts";
import { breakGlass } from "./break-glass.ts";
import { Journal } from "./journal.ts";
import { deputy, officer, useBridgeLab } from "./testing/bridge-lab.ts";

const lab = useBridgeLab();
const pinned = (digest = image.digest) => `${lab().registry.authority}/ops/app@${digest}`;

interface Try {
  readonly change?: (statement: Record<string, unknown>) => void;
  readonly by?: readonly TestKey[];
  readonly type?: string;
  readonly asked?: { readonly image: string; readonly environment: string };
}

async function attempt({ change = () => undefined, by = [officer, deputy], type = BREAK_GLASS_TYPE, asked }: Try = {}) {
  const statement = {
    ...{ environment: "prod", image: pinned(), reason: "the signer's token is broken, INC-1234" },
    ...{ issued: "2026-11-22T11:00:00Z", expires: "2026-11-22T19:00:00Z" },
  };
  change(statement);
  const envelope = signEnvelope(type, Buffer.from(JSON.stringify(statement)), by.map(signerOf));
  const { authority, clock } = await lab().start();
  const journal = await Journal.open(lab().folder, () => lab().now);
  const deps = { authority, clock, journal, keys: [officer.key, deputy.key], threshold: 2 };
  const answer = await breakGlass(deps, envelope, asked ?? { image: pinned(), environment: "prod" });
  await journal.close();
  return { answer, records: journal.records };
}

describe("breakGlass", () => {
  it("takes what the holders of the policy keys signed, and has it in the journal before it counts", async () => {
    const { answer, records } = await attempt();

    expect(answer).toMatchObject({ kind: "break-glass", repository: "ops/app", digest: image.digest });
    expect(records).toEqual([
      expect.objectContaining({
        ...{ event: "break-glass", environment: "prod", image: pinned() },
        ...{ reason: "the signer's token is broken, INC-1234", expires: "2026-11-22T19:00:00Z" },
      }),
    ]);
  });

  it.each<[string, () => Try, RegExp]>([
    ["one signature of two", () => ({ by: [officer] }), /signed by 1 of the keys that count, 2 must/],
    ["an operator's signature", () => ({ by: [officer, alice] }), /signed by 1 of the keys that count/],
    ["a policy document", () => ({ type: "goldseal.policy/v1" }), /holds goldseal.policy\/v1/],
    ["an expired one", () => ({ change: put(["expires"], "2026-11-22T12:00:00Z") }), /expired at/],
    ["one for longer than a day", () => ({ change: put(["expires"], "2026-11-23T11:00:01Z") }), /24 hours at most/],
    ["one from the future", () => ({ change: put(["issued"], "2026-11-22T12:05:01Z") }), /in the future/],
    ["one without a reason", () => ({ change: put(["reason"], "") }), /reason/],
    ["one for a tag", () => ({ change: put(["image"], pinned().replace(/@.*/, ":1.4")) }), /by its digest alone/],
    [
      "one for a tag and a digest",
      () => ({ change: put(["image"], pinned().replace("@", ":1@")) }),
      /by its digest alone/,
    ],
    ["one for another host", () => ({ change: put(["image"], `evil/ops/app@${image.digest}`) }), /is no image of/],
    [
      "one for another image",
      () => ({ asked: { image: pinned(other.digest), environment: "prod" } }),
      /the statement is for/,
    ],
    [
      "one for another environment",
      () => ({ asked: { image: pinned(), environment: "test" } }),
      /the statement is for/,
    ],
    ["a member more", () => ({ change: put(["forever"], true) }), /forever/],
  ])("refuses %s, and writes nothing down", async (_what, what, reason) => {
    const { answer, records } = await attempt(what());

    expect(answer).toMatchObject({ kind: "refuse", reason: expect.stringMatching(reason) });
    expect(records).toEqual([]);
  });
});
