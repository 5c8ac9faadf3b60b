import { describe, expect, it } from "vitest";
import { type Ask, basic, bearer } from "./test-server.ts";
import { as, useTokenLab } from "./test-token-lab.ts";

const lab = useTokenLab();
const { rest, must, tokenOf } = lab;

const list = (headers: Ask["headers"], repository = "lab/app") =>
  lab
    .server()
    .send("GET", `/v2/${repository}/tags/list`, { headers: { ...headers } })
    .then(({ status }) => status);

describe("a personal token", () => {
  async function makeToken(name: string, headers = as("owner")): Promise<string> {
    const { status, body } = await rest("POST", "tokens", { name }, headers);
    expect(status).toBe(201);
    return body.secret;
  }

  it("signs its user in, by Basic and at the token service, and as a bearer to REST", async () => {
    const secret = await makeToken("everywhere");
    const password = basic("owner", secret);

    expect(secret).toMatch(/^gsp_[\w-]{43}$/);
    expect(await list(password)).toBe(200);
    expect(await list(bearer(await tokenOf(password, "repository:lab/app:pull")))).toBe(200);
    expect((await rest("GET", "users/owner", undefined, bearer(secret))).body.name).toBe("owner");
    const { body } = await rest("GET", "tokens", undefined, bearer(secret));
    expect(body.tokens[0]).toMatchObject({ name: "everywhere", lastUsedAt: expect.stringMatching(/Z$/) });
  });

  it("is nobody else's, no bearer token of the registry, and an access token is none", async () => {
    const secret = await makeToken("mine");

    expect(await list(basic("member", secret))).toBe(401);
    expect(await list(bearer(secret))).toBe(401);
    expect(await list(basic("owner", `gsp_${"A".repeat(43)}`))).toBe(401);
    const access = await tokenOf(as("owner"), "registry:catalog:*");
    expect((await rest("GET", "tokens", undefined, bearer(access))).status).toBe(401);
  });

  it("ends with its deletion, its time and its user's suspension, and so does all that was got for it", async () => {
    const seen = [];
    for (const end of [
      () => rest("DELETE", "tokens/short", undefined, as("owner")),
      () => lab.server().database.query("", "update personal_tokens set expires_at = now() where name = 'short'"),
      () => rest("PUT", "users/owner", { suspended: true }),
    ]) {
      await lab.server().database.query("", "delete from personal_tokens where name = 'short'");
      const password = basic("owner", await makeToken("short"));
      const { body } = await lab.server().send("GET", "/token?offline_token=true&scope=repository:lab/app:pull", {
        headers: password,
      });
      const renew = () =>
        lab.server().send("POST", "/token", {
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: `${new URLSearchParams({ grant_type: "refresh_token", refresh_token: body.refresh_token })}`,
        });
      const statuses = async () => [await list(password), await list(bearer(body.token)), (await renew()).status];
      const before = await statuses();
      await end();
      seen.push([before, await statuses()]);
    }
    await must("PUT", "users/owner", { suspended: false });

    expect(seen).toEqual(
      Array.from({ length: 3 }, () => [
        [200, 200, 200],
        [401, 401, 401],
      ]),
    );
  });

  it("makes no other token and changes no password of its user", async () => {
    const secret = await makeToken("humble");

    const token = await rest("POST", "tokens", { name: "child" }, bearer(secret));
    const password = await rest("PUT", "users/owner", { password: "stolen password" }, basic("owner", secret));

    expect([token.body.code, password.body.code]).toEqual(["forbidden", "forbidden"]);
    expect((await rest("POST", "tokens", { name: "humble" }, as("owner"))).body.code).toBe("name-taken");
  });
});
