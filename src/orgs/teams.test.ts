import { describe, expect, it } from "vitest";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { unconfirmed } from "../storage/test-database.ts";
import { PEOPLE, useLab } from "./test-lab.ts";
import { bearer } from "./test-server.ts";

const { rest, must, as, server } = useLab();

const OPERATIONS = {
  list: ["GET", "tags/list"],
  pull: ["GET", "manifests/x"],
  push: ["PUT", "tags/list"],
  untag: ["DELETE", "tags/list"],
  delete: ["DELETE", "blobs/x"],
  sign: ["POST", "sign"],
  promote: ["POST", "promote"],
  admin: ["POST", "admin"],
} as const;

async function allowed(who: string, repository: string): Promise<string> {
  const entries = Object.entries(OPERATIONS).map(async ([name, [method, rest]]) => {
    const { status } = await server().send(method, `/v2/${repository}/${rest}`, { headers: as(who) });
    return status === 200 ? [name] : [];
  });
  return (await Promise.all(entries)).flat().join(" ");
}

const ALL = "list pull push untag delete sign promote admin";
const WRITE = "list pull push untag";
describe("rights of teams", () => {
  it.each([
    ["none", "list pull", "", ""],
    ["member", "list pull", "", ""],
    ["reader", "list pull", "list pull", ""],
    ["writer", "list pull", WRITE, ""],
    ["signer", "list pull", "list pull sign promote", ""],
    ["deleter", "list pull", "list pull untag delete", ""],
    ["keeper", "list pull", ALL, ""],
    ["wholly", WRITE, WRITE, WRITE],
    ["maker", ALL, ALL, ALL],
    ["owner", ALL, ALL, ALL],
    ["root", ALL, ALL, ALL],
    ["auditor", "list", "list", "list"],
  ])("%s may do in the public, the granted and another repository: %s | %s | %s", async (who, open, shut, second) => {
    expect([await allowed(who, "lab/open"), await allowed(who, "lab/shut"), await allowed(who, "lab/second")]).toEqual([
      open,
      shut,
      second,
    ]);
    const elsewhere = who === "root" ? ALL : who === "auditor" ? "list" : "";
    expect(await allowed(who, "other/shut")).toBe(elsewhere);
  });

  it.each([
    ["wholly", "list pull untag"],
    ["writer", ""],
    ["keeper", ""],
    ["member", ""],
    ["maker", ALL],
    ["owner", ALL],
  ])("%s may do with a repository that is not there: %s", async (who, expected) => {
    expect(await allowed(who, "lab/new")).toBe(expected);
  });

  it("add up: the highest wins, and leaving one team leaves the rest", async () => {
    await must("PUT", "orgs/lab/teams/reader/members/writer", {});
    const both = await allowed("writer", "lab/shut");
    await must("DELETE", "orgs/lab/teams/writer/members/writer");
    const one = await allowed("writer", "lab/shut");
    await must("DELETE", "orgs/lab/teams/reader/members/writer");
    const none = await allowed("writer", "lab/shut");
    await must("PUT", "orgs/lab/teams/writer/members/writer", {});

    expect([both, one, none]).toEqual([WRITE, "list pull", ""]);
  });

  it("are gone in the very next request, for a token too, when a grant, a team or a membership is", async () => {
    const query = "scope=repository:lab/shut:pull,push";
    const { body } = await server().send("GET", `/token?${query}`, { headers: as("writer") });
    const push = async () =>
      (await server().send("PUT", "/v2/lab/shut/tags/list", { headers: bearer(body.token) })).status;
    const seen = [await push()];

    await must("DELETE", "orgs/lab/teams/writer/grants/shut");
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer/grants/shut", { level: "read-write" });
    seen.push(await push());
    await must("DELETE", "orgs/lab/members/writer");
    seen.push(await push());
    await must("PUT", "orgs/lab/members/writer", { role: "member" });
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer/members/writer", {});
    seen.push(await push());
    await must("DELETE", "orgs/lab/teams/writer");
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer", {});
    await must("PUT", "orgs/lab/teams/writer/members/writer", {});
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer/grants/shut", { level: "read-write" });

    expect(seen).toEqual([200, 403, 200, 403, 403, 200, 403, 403]);
  });

  it("show in the catalog exactly what may be listed", async () => {
    const names = ["lab/open", "lab/second", "lab/shut", "other/shut"];
    for (const who of [...PEOPLE, "root", "auditor"]) {
      const listed = await server().send("GET", "/v2/_catalog", { headers: as(who) });
      const may = await Promise.all(names.map(async (name) => (await allowed(who, name)).startsWith("list")));
      expect([who, listed.body.repositories]).toEqual([who, names.filter((_, index) => may[index])]);
      const inLab = await rest("GET", "orgs/lab/repositories?limit=1000", undefined, as(who));
      expect(inLab.body.repositories.map(({ name }: { name: string }) => name)).toEqual(
        listed.body.repositories.filter((name: string) => name.startsWith("lab/")),
      );
    }
  });

  it("page the catalog without counting what is hidden", async () => {
    const first = await rest("GET", "orgs/lab/repositories?limit=1", undefined, as("reader"));
    const second = await server().send("GET", first.body.next, { headers: as("reader") });

    expect(first.body.repositories).toEqual([{ name: "lab/open", visibility: "public" }]);
    expect(first.headers.link).toBe(`<${first.body.next}>; rel="next"`);
    expect(second.body).toEqual({ repositories: [{ name: "lab/shut", visibility: "private" }] });
  });

  it("let a read-write token delete a tag when it asked for delete, never without, and no manifest ever", async () => {
    const token = async (actions: string) =>
      (await server().send("GET", `/token?scope=repository:lab/shut:${actions}`, { headers: as("writer") })).body;
    const [pushing, deleting] = [await token("pull,push"), await token("pull,push,delete")];
    const send = async (body: { token: string }, path: string) =>
      (await server().send("DELETE", `/v2/lab/shut/${path}`, { headers: bearer(body.token) })).status;

    expect(deleting.scope).toBe("repository:lab/shut:pull,push,delete");
    expect([await send(pushing, "tags/list"), await send(pushing, "blobs/x")]).toEqual([401, 401]);
    expect([await send(deleting, "tags/list"), await send(deleting, "blobs/x")]).toEqual([200, 403]);
  });

  it("make the repository of a first push with the organization's default visibility", async () => {
    await must("PUT", "orgs/other", { defaultVisibility: "public" });
    const admission = { repositoryId: undefined, mayCreate: true };

    await server().repositories.ensure(parseRepositoryName("other/made"), admission, unconfirmed);

    expect(await server().repositories.find(parseRepositoryName("other/made"))).toMatchObject({ visibility: "public" });
    await must("PUT", "orgs/other", {});
    await server().database.query("", "delete from repositories where name = 'other/made'");
  });

  it("do not let a push that was judged for one repository land in another of its name", async () => {
    const name = parseRepositoryName("lab/shut");

    const push = server().repositories.ensure(name, { repositoryId: 4711, mayCreate: false }, unconfirmed);

    await expect(push).rejects.toMatchObject({ code: "NAME_UNKNOWN" });
  });
});
