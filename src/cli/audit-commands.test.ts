import { describe, expect, it } from "vitest";
import { basic } from "../orgs/test-server.ts";
import { useCli } from "./test-cli.ts";

const { goldseal, server } = useCli();

describe("goldseal --json", () => {
  it("prints secrets and lists as JSON", async () => {
    const { out } = await goldseal("user add json-user --json");

    expect(JSON.parse(out)).toEqual({ user: "json-user", secret: expect.stringMatching(/^[\w-]{24}$/) });
    await goldseal("repository create alice/json");
    expect((await goldseal("directory list --json")).out).toBe("");
  });
});

describe("goldseal audit, with names that strangers typed", () => {
  it("shows control characters and obeys none", async () => {
    await server().send("GET", "/v2/", { headers: basic("\u001b[2J\nnobody\u202e", "guess") });
    const { out } = await goldseal("audit search --action sign-in --outcome refused");

    expect(out).toContain("\\u001b[2J\\u000anobody\\u202e");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what must not be there
    expect(out).not.toMatch(/[\u001b\u202e]/);
  });
});

describe("goldseal token-keys", () => {
  it("rotates the keys and prints the id of the new one", async () => {
    const { out } = await goldseal("token-keys rotate");

    const { body } = await server().send("GET", "/token/jwks.json");
    expect(body.keys.map(({ kid }: { kid: string }) => kid)).toContain(out.trim());
  });
});

describe("goldseal audit", () => {
  it("shows what was refused to whom, and writes it out line by line", async () => {
    await server().send("PUT", "/v2/admin/app/tags/list", { headers: basic("alice", "alice's password") });

    const search = "--actor alice --action push --outcome refused";
    const shown = await goldseal(`audit search ${search}`);
    const asJson = await goldseal(`audit search ${search} --limit 1 --json`);
    const written = await goldseal(`audit export ${search}`);

    expect(shown.out).toMatch(
      /^2026-11-22T12:00:00.700Z {2}refused {2}alice {2}push {2}admin\/app {2}from 127.0.0.1 {2}[a-z2-9]{16}\n$/,
    );
    const [entry] = JSON.parse(asJson.out).entries;
    expect(entry).toMatchObject({ actor: "alice", target: "admin/app" });
    expect(
      written.out
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual([entry]);
  });

  it("says what is wrong with a search", async () => {
    const shown = await goldseal("audit search --since yesterday");
    const written = await goldseal("audit export --since yesterday");

    expect([shown.status, written.status]).toEqual([1, 1]);
    for (const { err } of [shown, written])
      expect(err).toMatch(/since: a date or time such as .* \(400 invalid-request\)/);
  });
});

describe("goldseal why", () => {
  it("says by what rule somebody may do something, or what is missing", async () => {
    const may = await goldseal("why alice push alice/app");
    const mayNot = await goldseal("why alice push admin/app");

    expect(may.out).toBe("allowed: alice may push alice/app: it is the user's own namespace\n");
    expect(mayNot.out).toMatch(/^refused: alice may not push admin\/app: no rule gives any right here/);
  });

  it("resolves the decision id of an error message", async () => {
    const refused = await server().send("PUT", "/v2/admin/app/tags/list", {
      headers: basic("alice", "alice's password"),
    });
    const id = /decision (\w+)\)/.exec(refused.body.errors[0].message)?.[1];

    const { status, out } = await goldseal(`why ${id}`);

    expect(status).toBe(0);
    expect(out).toMatch(
      /alice was refused: push admin\/app, from 127\.0\.0\.1\nalice has no right to push to admin\/app/,
    );
    expect(out).toMatch(/no rule gave any right then\n$/);
    expect(JSON.parse((await goldseal(`why ${id} --json`)).out)).toMatchObject({
      decision: id,
      detail: { why: "hidden" },
    });
  });

  it("knows how it is used", async () => {
    expect((await goldseal("why alice push")).err).toMatch(/why DECISION.*\n.*why USER ACTION REPOSITORY/);
    expect((await goldseal("why me")).status).toBe(2);
    expect((await goldseal("why --help")).out).toContain("goldseal why USER ACTION REPOSITORY [--json]");
  });
});
