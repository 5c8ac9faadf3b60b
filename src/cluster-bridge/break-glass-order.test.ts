import { beforeEach, describe, expect, it } from "vitest";
import { drop, put } from "../notary/tuf/testing/loose.ts";
import type { Repository } from "../notary/tuf/testing/repository.ts";
import { BREAK_GLASS_TYPE } from "../trust/break-glass-statement.ts";
import { signEnvelope } from "../trust/dsse.ts";
import { alice, bob, signerOf } from "../trust/testing/signers.ts";
import { image, other } from "../trust/testing/world.ts";
import { deputy, officer } from "./testing/bridge-lab.ts";
import { type Ordering, QUICK, useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
let repository: Repository;
beforeEach(() => {
  repository = lab().lab.found("ops/app");
  lab().lab.sign(repository, "1", image);
});

function statement(change: (said: Record<string, unknown>) => void = () => undefined, by = [officer, deputy]): Buffer {
  const said = {
    ...{ environment: "prod", image: lab().name(other.digest), reason: "the signer's token is broken, INC-1234" },
    ...{ issued: "2026-11-22T11:00:00Z", expires: "2026-11-22T19:00:00Z" },
  };
  change(said);
  return signEnvelope(BREAK_GLASS_TYPE, Buffer.from(JSON.stringify(said)), by.map(signerOf));
}

const deploy = (how: Ordering, more: object = {}) =>
  lab().order("service.deploy", { name: "web", image: lab().name(other.digest), update: QUICK, ...more }, how);

describe("service.deploy with a break-glass statement", () => {
  it("runs what nobody signed, with the statement and its reason in the journal", async () => {
    const outcome = await deploy({ breakGlass: statement() });

    expect(outcome).toEqual({ kind: "deployed", pinned: lab().name(other.digest) });
    expect(lab().engine.images).toEqual({ web: lab().name(other.digest) });
    const journal = await lab().journal();
    expect(journal[0]).toMatchObject({ event: "break-glass", environment: "prod", image: lab().name(other.digest) });
    expect(journal.find(({ event }) => event === "intent")).toMatchObject({
      ...{ user: "alice", because: "break-glass: the signer's token is broken, INC-1234" },
    });
  });

  it.each<[string, () => Ordering, object, string, RegExp]>([
    ["no statement", () => ({}), {}, "UNSIGNED", /nothing that is signed/],
    ["one signature of two", () => ({ breakGlass: statement(undefined, [officer]) }), {}, "POLICY", /signed by 1 of/],
    ["operators' signatures", () => ({ breakGlass: statement(undefined, [alice, bob]) }), {}, "POLICY", /signed by 0/],
    ["no envelope", () => ({ breakGlass: Buffer.from("{}") }), {}, "POLICY", /payloadType/],
    [
      "another image's",
      () => ({ breakGlass: statement(put(["image"], lab().name(image.digest))) }),
      {},
      "POLICY",
      /the statement is for/,
    ],
    [
      "another environment's",
      () => ({ breakGlass: statement(put(["environment"], "test")) }),
      {},
      "POLICY",
      /the statement is for .* in test/,
    ],
    [
      "an expired one",
      () => ({ breakGlass: statement(put(["expires"], "2026-11-22T12:00:00Z")) }),
      {},
      "POLICY",
      /expired at/,
    ],
    ["a tag in the order", () => ({ breakGlass: statement() }), { image: "1" }, "POLICY", /the statement is for/],
    [
      "a command that the environment forbids",
      () => ({ breakGlass: statement() }),
      { command: ["sh"] },
      "SPEC",
      /a command of its own/,
    ],
    ["an order by nobody who may", () => ({ breakGlass: statement(), by: bob }), {}, "ORDER", /bob/],
    [
      "an order for something else",
      () => ({ breakGlass: statement(), claims: { spec: "0".repeat(64) } }),
      {},
      "ORDER",
      /another specification/,
    ],
  ])("is refused with %s, and the engine hears nothing", async (_what, how, more, code, reason) => {
    const tagged = "image" in more ? { image: lab().name("1") } : {};

    const outcome = await deploy(how(), { ...more, ...tagged });

    expect(outcome).toMatchObject({ kind: "refuse", code, reason: expect.stringMatching(reason) });
    expect(lab().engine.asked.filter((line) => line.startsWith("POST"))).toEqual([]);
    expect((await lab().events()).at(-1)).toBe("refused");
  });

  it("is watched and rolled back like any other, to what is signed", async () => {
    await lab().deploy("1");
    lab().engine.broken.add(lab().name(other.digest));

    expect(await deploy({ breakGlass: statement() })).toMatchObject({
      ...{ kind: "failed", rolledBackTo: lab().name(image.digest) },
    });
  });

  it("is nothing to roll back to later: it was let by, not signed", async () => {
    await deploy({ breakGlass: statement() });
    await lab().deploy("1");

    expect(await lab().order("service.rollback", { name: "web" })).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
  });

  it("is finished by the next bridge while the statement is good, and no longer", async () => {
    for (const [hour, event] of [
      ["12:00", "converged"],
      ["19:01", "abandoned"],
    ] as const) {
      lab().engine.services.clear();
      lab().lab.now = new Date("2026-11-22T12:00:00Z");
      await lab().restart((name) => {
        if (name === "bridge.afterIntent") throw new Error("killed");
      });
      await expect(deploy({ breakGlass: statement() })).rejects.toThrow("killed");
      lab().lab.now = new Date(`2026-11-22T${hour}:00Z`);
      await lab().restart();

      lab().bridge.start();

      await expect.poll(() => lab().events()).toContain(event);
    }
    expect(lab().engine.images).toEqual({});
  });

  it("stands in for signatures alone: what is signed needs none, and loses nothing by one", async () => {
    const signed = statement(put(["image"], lab().name(image.digest)));
    repository.publish([repository.part("targets/a", drop(["targets", "1"]))]);

    const outcome = await lab().order(
      "service.deploy",
      { name: "web", image: lab().name(image.digest), update: QUICK },
      { breakGlass: signed },
    );

    expect(outcome).toMatchObject({ kind: "deployed" });
  });
});
