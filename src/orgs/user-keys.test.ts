import { describe, expect, it } from "vitest";
import { certificateFor } from "../notary/tuf/testing/repository.ts";
import { ecdsaKey, inCertificate, rsaKey } from "../notary/tuf/testing/test-key.ts";
import { useLab } from "./test-lab.ts";
import { type Answer, type Ask, bearer } from "./test-server.ts";
import { codeOf, idOf, keysOf, pathOf, pemOf } from "./test-user-keys.ts";

const lab = useLab();
const { rest, must, as, server } = lab;
const { add, prove, addProved } = keysOf(lab);

describe("POST /api/v1/users/{u}/keys", () => {
  it("takes docker's file: the key is unproven, under docker's id", async () => {
    const pair = ecdsaKey();

    const { status, body, headers } = await add("ann", pair, { publicKey: pemOf(pair, "role: ann\n\n") });

    expect(status).toBe(201);
    expect(headers.etag).toMatch(/^"\d+"$/);
    expect(body).toEqual({
      spkiSha256: idOf(pair),
      name: "laptop",
      algorithm: "ecdsa",
      ...{ keyId: pair.key.id, keyIds: [pair.key.id] },
      publicKey: pemOf(pair),
      state: "unproven",
      addedAt: server().clock.now.toISOString(),
      provedAt: null,
    });
    expect((await rest("GET", pathOf(pair), undefined, as("ann"))).body).toEqual(body);
    await must("DELETE", pathOf(pair));
  });

  it("takes a key that is there in another form, or under another name, for the same key", async () => {
    const pair = ecdsaKey();
    const certificate = inCertificate(pair, certificateFor("ann"));
    await addProved("member", pair);

    const again = await add("member", certificate, { name: "yubikey", publicKey: String(certificate.key.publicBytes) });
    const list = await rest("GET", "users/member/keys", undefined, as("member"));

    expect([again.status, again.body.state, again.body.name]).toEqual([200, "proved", "yubikey"]);
    expect(again.body.keyIds).toEqual([pair.key.id, certificate.key.id]);
    expect(again.body.keyId).toBe(pair.key.id);
    expect(list.body.keys.map(({ name }) => name)).toEqual(["yubikey"]);
  });

  it.each([
    ["a private key", () => String(ecdsaKey().privateKey.export({ format: "pem", type: "pkcs8" })), "private key"],
    ["a weak key", () => pemOf(rsaKey(1024)), "an RSA key of 1024 bits"],
    ["no key", () => "hello", "not PEM of a PUBLIC KEY"],
    ["too much text", () => "x".repeat(16_385), "16384"],
  ])("refuses %s and says why", async (_what, make, why) => {
    const { status, body } = await rest("POST", "users/ann/keys", { name: "x", publicKey: make() }, as("ann"));

    expect([status, body.code]).toEqual([400, "invalid-request"]);
    expect(body.detail).toContain(why);
  });

  it("gives one name to one key", async () => {
    await add("reader", ecdsaKey(), { name: "one" });

    expect(codeOf(await add("reader", ecdsaKey(), { name: "one" }))).toEqual([409, "name-taken"]);
    expect(codeOf(await add("reader", ecdsaKey(), { name: "no name\n" }))).toEqual([400, "invalid-request"]);
  });

  it("keeps 200 keys of a user and 16 forms of a key", async () => {
    const pair = ecdsaKey();
    await add("writer", pair);
    const [row] = await server().database.query<{ id: string }>("", "select id from users where name = 'writer'");
    await server().database.query(
      "",
      `insert into user_keys (user_id, spki_sha256, name, algorithm, public_key, key_ids, added_at)
       select $1, sha256(n::text::bytea), 'key' || n, 'ecdsa', '', array['x'], now() from generate_series(1, 199) n`,
      [row?.id],
    );
    const certificate = () => inCertificate(pair, certificateFor(`ann${Math.random()}`)).key.publicBytes.toString();

    const more = await add("writer", ecdsaKey(), { name: "more" });
    const forms: Answer[] = [];
    for (let form = 2; form <= 17; form++) forms.push(await add("writer", pair, { publicKey: certificate() }));

    expect(codeOf(more)).toEqual([409, "too-many-keys"]);
    expect(forms.map(({ status }) => status)).toEqual([...Array(15).fill(200), 409]);
  });
});

describe("who may", () => {
  it("read: the user, system administrators and auditors; to others the user does not exist", async () => {
    const pair = ecdsaKey();
    await addProved("keeper", pair);
    const asks = (headers: Ask["headers"]) =>
      Promise.all(["users/keeper/keys", pathOf(pair, "keeper")].map((path) => rest("GET", path, undefined, headers)));
    const robot = await rest("PUT", "orgs/lab/robots/spy", { grants: [{ scope: "shut", actions: ["pull"] }] });

    for (const name of ["keeper", "root", "auditor"])
      expect((await asks(as(name))).map(({ status }) => status)).toEqual([200, 200]);
    for (const headers of [as("owner"), bearer(robot.body.secret)])
      expect((await asks(headers)).map(codeOf)).toEqual(Array(2).fill([404, "not-found"]));
    await must("DELETE", "orgs/lab/robots/spy");
  });

  it("remove: the user and system administrators", async () => {
    const pair = ecdsaKey();
    const statuses: unknown[] = [];
    for (const name of ["owner", "auditor", "wholly", "root"]) {
      await addProved("wholly", pair);
      statuses.push((await rest("DELETE", pathOf(pair, "wholly"), undefined, as(name))).status);
      await rest("DELETE", pathOf(pair, "wholly"), undefined, as("wholly"));
    }

    expect(statuses).toEqual([404, 403, 204, 204]);
  });

  it("add and prove: the user alone, by password alone", async () => {
    const pair = ecdsaKey();
    const { body } = await rest("POST", "tokens", { name: "keys" }, as("maker"));
    const token = bearer(body.secret);
    await add("maker", pair);
    const paths = [
      ["POST", "users/maker/keys", { name: "x", publicKey: pemOf(ecdsaKey()) }],
      ["POST", `${pathOf(pair, "maker")}/challenge`, undefined],
      ["PUT", `${pathOf(pair, "maker")}/proof`, { method: "ecdsa", signature: "AAAA" }],
    ] as const;
    const answers = (headers: Ask["headers"]) =>
      Promise.all(paths.map(([method, path, sent]) => rest(method, path, sent, headers)));

    for (const headers of [token, as("root"), as("auditor")])
      expect((await answers(headers)).map(codeOf)).toEqual(Array(3).fill([403, "forbidden"]));
    expect((await answers(as("owner"))).map(codeOf)).toEqual(Array(3).fill([404, "not-found"]));
    expect((await rest("DELETE", pathOf(pair, "maker"), undefined, token)).status).toBe(204);
  });

  it("remove only what is as they saw it, with If-Match", async () => {
    const pair = ecdsaKey();
    const { headers } = await add("deleter", pair);
    await prove("deleter", pair);

    const match = { ...as("deleter"), "if-match": String(headers.etag) };
    expect(codeOf(await rest("DELETE", pathOf(pair, "deleter"), undefined, match))).toEqual([
      412,
      "precondition-failed",
    ]);
  });
});

describe("the record", () => {
  it("tells of keys added, proved, removed, and of what somebody tried with another's", async () => {
    const pair = ecdsaKey();
    await addProved("signer", pair, "recorded");
    await add("none", pair, { name: "theirs" });
    await must("DELETE", pathOf(pair, "signer"));
    const about = async (query: string): Promise<unknown[]> => {
      const { body } = await rest("GET", `audit?${query}`, undefined);
      return body.entries.map(({ actor, action, outcome }) => [actor, action, outcome].join(" "));
    };

    await expect
      .poll(() => about("actor=none"))
      .toEqual(expect.arrayContaining([expect.stringContaining("none user-key-add refused")]));
    expect(await about(`target=users/signer/keys*`)).toEqual(
      [
        "signer user-key-add done",
        "signer user-key-challenge done",
        "signer user-key-prove done",
        "root user-key-delete done",
      ].reverse(),
    );
  });
});
