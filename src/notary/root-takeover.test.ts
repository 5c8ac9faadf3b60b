import { describe, expect, it } from "vitest";
import { pushParts, putManifest } from "../testing/images.ts";
import { entriesOf, readAs } from "./testing/readers.ts";
import { multipart, openSigner } from "./testing/signer.ts";
import { useStates } from "./testing/states.ts";
import { composeTakeOver, keyOf, toSigner } from "./testing/take-over.ts";
import { TargetsDraft } from "./tuf/compose.ts";
import { spkiOf } from "./tuf/key.ts";
import { TARGETS } from "./tuf/names.ts";
import { remember } from "./tuf/testing/reader.ts";
import { ecdsaKey } from "./tuf/testing/test-key.ts";

const { app, rest, push } = useStates();

async function put(path: string, sent: unknown, as = "alice") {
  const asked = { as, body: JSON.stringify(sent) };
  const { status, body } = await app().ask("PUT", `/api/v1/orgs/alice/repositories/${path}`, asked);
  return { status, body: JSON.parse(body.toString()) };
}

/** Trust data that the server founded. */
async function founded(repository: string) {
  await put(repository, { visibility: "private" });
  await put(`${repository}/auto-sign/all`, { tags: ["*"] });
  await push(repository, "1");
  const trusted = await readAs(app(), "alice", `alice/${repository}`);
  if (trusted === undefined) throw new Error("nothing was founded");
  return trusted;
}

const heldKeys = async (repository: string) =>
  app().database.query(
    "",
    "select role, sealed is null as gone from trust_founding_keys where gun = $1 order by role",
    [`registry.test/alice/${repository}`],
  );

describe("PUT /api/v1/orgs/{org}/repositories/{repo}/trust/root", () => {
  it("hands the root to people: who trusted the server's follows, and its keys are gone", async () => {
    const before = await founded("handed");
    const keys = { root: ecdsaKey(), targets: ecdsaKey() };

    const { status, body } = await put(
      "handed/trust/root",
      await composeTakeOver(app(), "alice", "alice/handed", { keys }),
    );

    expect([status, body]).toEqual([200, { heldBy: "people", version: 2, keyIds: [keys.root.key.id] }]);
    expect((await rest("handed/trust/root")).body).toEqual(body);
    expect(await heldKeys("handed")).toEqual([
      { role: "root", gone: true },
      { role: "targets", gone: true },
    ]);
    // One who remembers the server's root walks to people's.
    const after = await readAs(app(), "alice", "alice/handed", { known: remember(before) });
    expect(after?.root.version).toBe(2);
    expect(spkiOf(keyOf(after as never, "targets"))).toBe(spkiOf(keys.targets.key));
    // What the server signs by delegation it signs still, and people sign what is theirs.
    const { digest } = await push("handed", "2");
    expect(entriesOf(await readAs(app(), "alice", "alice/handed"))["targets/goldseal-auto"]?.["2"]).toBe(digest);
    const targets = after?.roles.get(TARGETS)?.targets;
    const next = new TargetsDraft(TARGETS, targets, targets?.version ?? 0).finish(new Date(), [toSigner(keys.targets)]);
    const headers = { "content-type": "multipart/form-data; boundary=boundary-of-a-test" };
    const publish = await app().ask("POST", "/v2/registry.test/alice/handed/_trust/tuf/", {
      ...{ as: "alice", headers, body: multipart([{ filename: "targets", bytes: next.bytes }]) },
    });
    expect(publish.status).toBe(200);
  });

  it("is refused a second time, and where people held it from the start", async () => {
    await founded("once");
    const first = await composeTakeOver(app(), "alice", "alice/once");
    expect((await put("once/trust/root", first)).status).toBe(200);

    const again = await put("once/trust/root", await composeTakeOver(app(), "alice", "alice/once"));

    expect(again).toMatchObject({ status: 409, body: { code: "trust-refused" } });
    expect(again.body.detail).toBe(
      "this server does not hold the root of registry.test/alice/once: its owners rotate it themselves",
    );
  });

  it("takes no root that leaves a key of the server's, skips a version, or is not signed by its own key", async () => {
    const trusted = await founded("half");
    const compose = (options: object) => composeTakeOver(app(), "alice", "alice/half", options);
    const good = await compose({});
    const unsigned = JSON.parse(Buffer.from(good.root, "base64").toString());
    unsigned.signatures = [];

    const answers = [
      await put("half/trust/root", await compose({ listed: keyOf(trusted, "targets") })),
      await put("half/trust/root", await compose({ version: 3 })),
      await put("half/trust/root", { ...good, root: Buffer.from(JSON.stringify(unsigned)).toString("base64") }),
      await put("half/trust/root", { ...good, targets: (await compose({})).targets }),
      await put("half/trust/root", { root: "AAAA", targets: "AAAA" }),
      await put("half/trust/root", { root: good.root }),
      await put("half/trust/root", { ...good, root: "no base64!" }),
    ];

    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(
      Array.from({ length: 7 }, () => [400, "invalid-request"]),
    );
    expect(answers[0]?.body.detail).toContain("the new root still lists a key of this server for targets");
    expect(await heldKeys("half")).toEqual([
      { role: "root", gone: false },
      { role: "targets", gone: false },
    ]);
    expect((await rest("half/trust/root")).body).toMatchObject({ heldBy: "server", version: 1 });
  });

  it("tells whoever composed it before others published to read again", async () => {
    await founded("late");
    const composed = await composeTakeOver(app(), "alice", "alice/late", { version: 1 });

    expect(await put("late/trust/root", composed)).toMatchObject({
      status: 412,
      body: { code: "precondition-failed" },
    });
  });

  it("is for those who administer the repository; whose the root is, is for those who pull", async () => {
    await founded("whose");
    await put("whose", { visibility: "public" });
    const composed = await composeTakeOver(app(), "alice", "alice/whose");

    expect((await put("whose/trust/root", composed, "bob")).status).toBe(403);
    expect((await rest("whose/trust/root", "bob")).body.heldBy).toBe("server");
    await put("bare", { visibility: "private" });
    expect((await rest("bare/trust/root")).status).toBe(404);
    expect((await put("bare/trust/root", composed)).body.code).toBe("trust-refused");
  });
});

describe("people who found trust data where the server did before", () => {
  it("hold its root, though the server has keys of the old one", async () => {
    await founded("anew");
    await rest("anew/auto-sign/all", "alice", "DELETE");
    await app().ask("DELETE", "/v2/registry.test/alice/anew/_trust/tuf/", { as: "alice" });
    await openSigner(app(), "alice/anew");

    expect((await rest("anew/trust/root")).body.heldBy).toBe("people");
    const place = { app: app(), as: "alice", repository: "alice/anew" };
    expect((await putManifest(place, "2", (await pushParts(place)).manifest)).status).toBe(201);
  });
});
