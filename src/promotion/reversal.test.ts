import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutRecord } from "../testing/without-record.ts";
import { type Lab, openLab } from "./testing/lab.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
  for (const user of ["dora", "olga"]) await lab.addUser(user);
  await lab.join("dev", "builders", "dora", { on: "*", level: "admin" });
  await lab.join("ops", "writers", "olga", { on: "*", level: "read-write", extra: ["promote"] });
});

afterAll(async () => {
  expect(lab.app.errors()).toEqual([]);
  await lab[Symbol.asyncDispose]();
});

async function promote(source: string, destination: string): Promise<number> {
  return Number((await lab.must(201, "POST", "promotions", { body: { source, destination } })).id);
}
const reverse = (id: number, as = "olga") => lab.rest("POST", `promotions/${id}/reversal`, { as, body: {} });
const trusted = async (repository: string, tag: string) => {
  const [org, repo] = repository.split("/");
  const { body } = await lab.rest("GET", `orgs/${org}/repositories/${repo}/tags/${tag}/trust`);
  return { state: body.state, signed: (body.signed as { digest?: string } | null)?.digest };
};

describe("POST promotions/{id}/reversal", () => {
  it("lets tag and trust data be what they were before, with a statement beside the first", async () => {
    const [one, two] = [await lab.push("dev/app", "1", "one"), await lab.push("dev/app", "2", "two")];
    await promote("dev/app:1", "ops/app:gold");
    const id = await promote("dev/app:2", "ops/app:gold");
    expect(await trusted("ops/app", "gold")).toEqual({ state: "signed", signed: two });

    const { status, body } = await reverse(id);

    expect([status, body.state, body.reason]).toEqual([200, "reversed", "reversed by olga"]);
    expect(await lab.tagDigest("ops/app", "gold")).toBe(one);
    expect(await trusted("ops/app", "gold")).toEqual({ state: "signed", signed: one });
    const { body: list } = await lab.app.ask("GET", `/v2/ops/app/referrers/${two}`, { as: "admin" });
    const types = JSON.parse(list.toString()).manifests.map(
      ({ annotations }: { annotations: Record<string, string> }) => annotations["in-toto.io/predicate-type"],
    );
    expect(types.sort()).toEqual(["urn:goldseal:promotion:v1", "urn:goldseal:reversal:v1"]);
    expect((await reverse(id)).body.code).toBe("not-done");
  });

  it("takes away a tag that was not there before", async () => {
    await lab.push("dev/new", "1", "one");
    const id = await promote("dev/new:1", "ops/new:gold");

    expect((await reverse(id)).status).toBe(200);

    expect(await lab.tagDigest("ops/new", "gold")).toBeUndefined();
    expect((await trusted("ops/new", "gold")).signed).toBeUndefined();
  });

  it("is refused once the tag is something else, to whoever may not, and for what is gone", async () => {
    await lab.push("dev/moved", "1", "one");
    const first = await promote("dev/moved:1", "ops/moved:gold");
    expect((await reverse(first, "dora")).body.code).toBe("not-found");
    await lab.push("ops/moved", "gold", "pushed over it");
    expect((await reverse(first)).body.code).toBe("tag-moved");
    const over = await lab.tagDigest("ops/moved", "gold");
    const second = await promote("dev/moved:1", "ops/moved:gold");
    await lab.must(200, "PUT", "orgs/ops/repositories/moved/immutable-tags", { body: { patterns: ["gold"] } });
    expect((await reverse(second)).body.code).toBe("immutable-tag");
    await lab.must(200, "PUT", "orgs/ops/repositories/moved/immutable-tags", { body: { patterns: [] } });
    await lab.app.ask("DELETE", `/v2/ops/moved/manifests/${over}`, { as: "admin" });

    expect((await reverse(second)).body.code).toBe("previous-gone");
    expect((await lab.must(200, "GET", `promotions/${second}`)).state).toBe("done");
  });

  it("is on record, with the change or not at all", async () => {
    await lab.push("dev/record", "1", "one");
    const id = await promote("dev/record:1", "ops/record:gold");
    const { database } = lab.app;

    const failed = await withoutRecord(database, () => reverse(id));

    expect([failed.status, (await lab.must(200, "GET", `promotions/${id}`)).state]).toEqual([507, "done"]);

    await reverse(id);
    const rows = await database.query(
      "",
      "select actor, target from audit_log where action = 'promotion-reverse' and target = 'ops/record'",
    );
    expect(rows).toEqual([{ actor: "olga", target: "ops/record" }]);
  });
});

describe("GET /api/v1/history", () => {
  it("shows one image through all repositories, to each what they may see", async () => {
    const digest = await lab.push("dev/story", "1", "story", "dora");
    const id = await promote("dev/story:1", "ops/story:gold");
    await reverse(id);

    const all = await lab.must(200, "GET", "history?image=dev/story:1");
    const kinds = (history: unknown) =>
      (history as { kind: string; repository: string; by: string[] }[])
        .filter(({ kind }) => kind !== "attached")
        .map(({ kind, repository, by }) => `${kind} ${repository} ${by}`);
    expect(all.digest).toBe(digest);
    expect(kinds(all.history).filter((text) => !/ $/.test(text))).toEqual([
      "pushed dev/story dora",
      "promoted ops/story admin",
      "reversed ops/story olga",
    ]);
    // The server's two roles, whose keys are nobody's.
    expect(kinds(all.history).filter((text) => / $/.test(text))).toEqual([
      ...["signed ops/story ", "signed ops/story "],
      ...["revoked ops/story ", "revoked ops/story "],
    ]);
    const ofOlga = await lab.must(200, "GET", `history?digest=${digest}`, { as: "olga" });
    expect(kinds(ofOlga.history).filter((text) => text.includes("dev/story"))).toEqual([]);
    const promoted = (ofOlga.history as { kind: string; from: string | null }[]).find(
      ({ kind }) => kind === "promoted",
    );
    expect(promoted?.from).toBeNull();
    expect((await lab.must(200, "GET", `history?digest=${digest}`, { as: "bob" })).history).toEqual([]);
    expect((await lab.rest("GET", "history?image=dev/story:1", { as: "bob" })).status).toBe(404);
    expect((await lab.rest("GET", "history")).status).toBe(400);
  });

  it("keeps the order of what happened in one millisecond", async () => {
    const digest = await lab.push("dev/quick", "1", "quick", "dora");
    await reverse(await promote("dev/quick:1", "ops/quick:gold"));
    await lab.app.database.query("", "update image_history set at = now() where digest = $1", [digest]);

    const { history } = await lab.must(200, "GET", `history?digest=${digest}`);

    const kinds = (history as { kind: string }[]).map(({ kind }) => kind);
    expect(kinds.filter((kind) => /^(pushed|promoted|reversed)$/.test(kind))).toEqual([
      "pushed",
      "promoted",
      "reversed",
    ]);
  });
});
