import { describe, expect, it } from "vitest";
import { digestOf, OCI_MANIFEST, pathOf } from "../../testing/images.ts";
import { openTestApp } from "../../testing/open-test-app.ts";
import { basic, bearer } from "../test-server.ts";
import { passwordOf, root, useDirectory } from "./test-directory.ts";
import { changePassword, hasSlapd } from "./test-slapd.ts";

describe.skipIf(!hasSlapd)("sign-in by a directory (skipped without slapd: conformance/provision)", () => {
  const { configure, newSource, ping, server, slapd } = useDirectory();

  it("takes the directory's password and no other, and makes the user at the first sign-in", async () => {
    expect(await ping("ann", "guess")).toBe(401);
    expect((await server().send("GET", "/api/v1/users/ann", { headers: root })).status).toBe(404);

    expect(await ping("ann", passwordOf("ann"))).toBe(200);

    expect((await server().send("GET", "/api/v1/users/ann", { headers: root })).status).toBe(200);
    expect(await ping("ann", "")).toBe(401);
    expect(await ping("ann", "guess")).toBe(401);
  });

  it("folds names, and signs one person in by any spelling", async () => {
    const { body } = await server().send("GET", "/v2/", { headers: basic("Cid.Long", passwordOf("Cid.Long")) });

    expect(body.actor).toBe("cid-long");
    expect(await ping("cid-long", passwordOf("Cid.Long"))).toBe(200);
    expect(await ping("CID.LONG", passwordOf("Cid.Long"))).toBe(200);
    const rows = await server().database.query("", "select 1 from users where name like 'cid%'");
    expect(rows).toHaveLength(1);
  });

  it("refuses a name that folds to somebody else's, and admin", async () => {
    expect(await ping("dup.name", passwordOf("dup.name"))).toBe(200);
    expect(await ping("dup-name", passwordOf("dup-name"))).toBe(401);
    expect(await ping("admin", passwordOf("admin"))).toBe(401);
  });

  it("leaves local users to their own password", async () => {
    expect(await ping("local", "local's own password")).toBe(200);
    expect(await ping("local", passwordOf("local"))).toBe(401);
  });

  it("does not let LDAP read a name as a pattern or a filter", async () => {
    for (const name of ["*", "an*", "ann)(uid=*", "ann)(|(uid=*)", "ann\0", " ann", "\\61nn"]) {
      expect(await ping(name, passwordOf("ann")), name).toBe(401);
    }
  });

  it("limits guesses at a directory's user as at any other, by all spellings together", async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 11; n++) statuses.push(await ping(n % 2 === 0 ? "Cid.Long" : "cid-long", `guess ${n}`));

    expect(statuses).toEqual([...Array<number>(10).fill(401), 429]);
  });

  it("does not let a local password be set beside the directory's", async () => {
    const body = JSON.stringify({ password: "a password of my own" });
    const answer = await server().send("PUT", "/api/v1/users/ann", {
      headers: basic("ann", passwordOf("ann")),
      body,
    });

    expect([answer.status, answer.body.code]).toEqual([403, "forbidden"]);
    expect(await ping("ann", "a password of my own")).toBe(401);
  });

  it("takes tokens, and for an hour the last good password, while the directory is down", async () => {
    await ping("ann", passwordOf("ann"));
    const { body } = await server().send("GET", "/token?offline_token=true", {
      headers: basic("ann", passwordOf("ann")),
      from: newSource(),
    });
    const refresh = `grant_type=refresh_token&refresh_token=${body.refresh_token}`;
    const form = { headers: { "content-type": "application/x-www-form-urlencoded" }, body: refresh };
    await slapd().stop();

    const byToken = (await server().send("GET", "/v2/", { headers: bearer(body.token) })).status;
    const renewed = (await server().send("POST", "/token", form)).status;
    const inGrace = await ping("ann", passwordOf("ann"));
    const guessed = await ping("ann", "guess");
    const unknown = await ping("nobody", "guess");
    const local = await ping("local", "local's own password");
    server().clock.now = new Date(server().clock.now.getTime() + 3_600_000);
    const afterGrace = await ping("ann", passwordOf("ann"));
    await slapd().start();

    expect({ byToken, renewed, inGrace, guessed, unknown, local, afterGrace }).toEqual({
      ...{ byToken: 200, renewed: 200, inGrace: 200, local: 200 },
      ...{ guessed: 503, unknown: 503, afterGrace: 503 },
    });
    expect(await ping("ann", passwordOf("ann"))).toBe(200);
  });

  it("lets a push end that began before the directory stopped, a new token in the middle included", async () => {
    await using app = await openTestApp({ GOLDSEAL_LDAP: await configure("push.yaml") });
    const scope = "scope=repository:ann/app:pull,push";
    const tokenOf = async (authorization: string) => {
      const { body } = await app.ask("GET", `/token?${scope}`, { headers: { authorization } });
      return bearer(JSON.parse(body.toString()).token);
    };
    const password = basic("ann", passwordOf("ann")).authorization;
    const first = await tokenOf(password);
    const begun = await app.ask("POST", "/v2/ann/app/blobs/uploads/", { headers: first });
    await slapd().stop();

    const layer = "layer of a long push";
    const put = await app.ask("PUT", `${pathOf(begun)}?digest=${digestOf(layer)}`, { headers: first, body: layer });
    const second = await tokenOf(password);
    const config = { mediaType: OCI_MANIFEST, digest: digestOf(layer), size: layer.length };
    const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [config] };
    const named = await app.ask("PUT", "/v2/ann/app/manifests/v1", {
      headers: { ...second, "content-type": OCI_MANIFEST },
      body: JSON.stringify(manifest),
    });
    await slapd().start();

    expect([begun.status, put.status, named.status]).toEqual([202, 201, 201]);
  });

  it("forgets the old password when the directory says it changed", async () => {
    await ping("ann", passwordOf("ann"));
    await slapd().modify((client) => changePassword(client, "ann", "new password of ann"));
    expect(await ping("ann", passwordOf("ann"))).toBe(401);
    await slapd().stop();

    const old = await ping("ann", passwordOf("ann"));
    await slapd().start();

    expect(old).toBe(503);
    expect(await ping("ann", "new password of ann")).toBe(200);
    await slapd().modify((client) => changePassword(client, "ann", passwordOf("ann")));
  });
});
