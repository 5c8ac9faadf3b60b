import { describe, expect, it } from "vitest";
import { type Key, spkiOf } from "../notary/tuf/key.ts";
import { certificateFor } from "../notary/tuf/testing/repository.ts";
import {
  ecdsaKey,
  ed25519Key,
  inCertificate,
  rsaKey,
  signBytes,
  type TestKey,
} from "../notary/tuf/testing/test-key.ts";
import { type PossessionClaim, possessionMessage } from "../trust/possession.ts";
import { useLab } from "./test-lab.ts";
import { type Answer, type Ask, bearer, publicUrl } from "./test-server.ts";

const { rest, must, as, server } = useLab();

const pemOf = (pair: TestKey, role = ""): string =>
  String(pair.publicKey.export({ format: "pem", type: "spki" })).replace("KEY-----\n", `KEY-----\n${role}`);
const idOf = ({ key }: { readonly key: Key }): string => String(spkiOf(key));
const pathOf = (pair: TestKey, user = "ann"): string => `users/${user}/keys/${idOf(pair)}`;

function add(user: string, pair: TestKey, { name = "laptop", publicKey = pemOf(pair) } = {}, headers = as(user)) {
  return rest("POST", `users/${user}/keys`, { name, publicKey }, headers);
}

async function challenge(user: string, pair: TestKey): Promise<string> {
  const answer = await rest("POST", `${pathOf(pair, user)}/challenge`, undefined, as(user));
  if (answer.status !== 201) throw new Error(answer.text);
  return String(answer.body.challenge);
}

/** @param change what the signed claim says otherwise */
async function sendProof(user: string, pair: TestKey, asked: string, change: Partial<PossessionClaim> = {}) {
  const claim = { server: publicUrl, user, spkiSha256: idOf(pair), challenge: asked, ...change };
  const signature = signBytes(pair.privateKey, pair.method, possessionMessage(claim)).toString("base64");
  return rest("PUT", `${pathOf(pair, user)}/proof`, { method: pair.method, signature }, as(user));
}

const prove = async (user: string, pair: TestKey) => sendProof(user, pair, await challenge(user, pair));

async function addProved(user: string, pair: TestKey, name = idOf(pair).slice(0, 8)): Promise<void> {
  const statuses = [(await add(user, pair, { name })).status, (await prove(user, pair)).status];
  if (String(statuses) !== "201,200") throw new Error(`the key was not proved: ${statuses}`);
}

const codeOf = ({ status, body }: Answer) => [status, body?.code];

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

describe("a proof of possession", () => {
  it.each([
    ["ECDSA", ecdsaKey()],
    ["RSA", rsaKey()],
    ["Ed25519", ed25519Key()],
    ["a certificate's key", inCertificate(ecdsaKey(), certificateFor("ann"))],
  ])("by %s makes the key count", async (what, pair) => {
    const name = what.replaceAll(/\W/g, "-");
    const publicKey = pair.key.type.endsWith("x509") ? pair.key.publicBytes.toString() : pemOf(pair);
    await add("ann", pair, { name, publicKey });

    const { status, body } = await prove("ann", pair);

    expect([status, body.state, body.provedAt]).toEqual([200, "proved", server().clock.now.toISOString()]);
  });

  it("is of one server, user, key and challenge, and the challenge outlives what was wrong", async () => {
    const [pair, other] = [ecdsaKey(), ecdsaKey()];
    await add("ann", pair, { name: "strict" });
    const asked = await challenge("ann", pair);

    const wrong = [
      await sendProof("ann", pair, asked, { server: "https://other.test:5443" }),
      await sendProof("ann", pair, asked, { user: "member" }),
      await sendProof("ann", pair, asked, { spkiSha256: idOf(other) }),
      await sendProof("ann", pair, "00".repeat(32)),
      await sendProof("ann", { ...pair, privateKey: other.privateKey }, asked),
      await sendProof("ann", { ...pair, method: "eddsa", privateKey: ed25519Key().privateKey }, asked),
    ];

    expect(wrong.map(codeOf)).toEqual(wrong.map(() => [400, "bad-proof"]));
    expect((await rest("GET", pathOf(pair), undefined, as("ann"))).body.state).toBe("unproven");
    expect((await sendProof("ann", pair, asked)).status).toBe(200);
  });

  it("uses its challenge up", async () => {
    const pair = ecdsaKey();
    await add("ann", pair, { name: "once" });
    const asked = await challenge("ann", pair);

    const twice = [await sendProof("ann", pair, asked), await sendProof("ann", pair, asked)];

    expect(twice.map(codeOf)).toEqual([
      [200, undefined],
      [409, "no-challenge"],
    ]);
  });

  it("is taken for five minutes, over the newest challenge alone", async () => {
    const pair = ecdsaKey();
    await add("ann", pair, { name: "slow" });
    const first = await challenge("ann", pair);
    const second = await challenge("ann", pair);

    const outdated = await sendProof("ann", pair, first);
    server().clock.now = new Date(server().clock.now.getTime() + 300_000);
    const late = await sendProof("ann", pair, second);
    const third = await challenge("ann", pair);
    server().clock.now = new Date(server().clock.now.getTime() + 299_999);
    const justInTime = await sendProof("ann", pair, third);

    expect([outdated, late, justInTime].map(codeOf)).toEqual([
      [400, "bad-proof"],
      [409, "no-challenge"],
      [200, undefined],
    ]);
  });

  it("that was recorded proves nothing after the key was removed and added again", async () => {
    const pair = ecdsaKey();
    await add("ann", pair, { name: "replay" });
    const asked = await challenge("ann", pair);
    await sendProof("ann", pair, asked);
    await must("DELETE", pathOf(pair));
    const again = await add("ann", pair, { name: "replay" });

    const replayed = await sendProof("ann", pair, asked);
    await challenge("ann", pair);
    const withNew = await sendProof("ann", pair, asked);

    expect([again.status, again.body.state]).toEqual([201, "unproven"]);
    expect([replayed, withNew].map(codeOf)).toEqual([
      [409, "no-challenge"],
      [400, "bad-proof"],
    ]);
  });

  it("of a key that is not there is not found", async () => {
    const pair = ecdsaKey();

    expect(codeOf(await rest("POST", `${pathOf(pair)}/challenge`, undefined, as("ann")))).toEqual([404, "not-found"]);
    expect(codeOf(await sendProof("ann", pair, "00".repeat(32)))).toEqual([404, "not-found"]);
    expect(codeOf(await rest("GET", "users/ann/keys/laptop", undefined, as("ann")))).toEqual([404, "not-found"]);
  });
});

describe("a key of two people", () => {
  it("is whose proof is first; a bare claim keeps nobody out", async () => {
    const pair = ecdsaKey();
    const claims = [await add("member", pair, { name: "stolen" }), await add("ann", pair, { name: "own" })];
    const asked = await challenge("member", pair);

    const proved = await prove("ann", pair);
    const late = await sendProof("member", pair, asked);
    const asking = await rest("POST", `${pathOf(pair, "member")}/challenge`, undefined, as("member"));

    expect(claims.map(({ status }) => status)).toEqual([201, 201]);
    expect(proved.status).toBe(200);
    expect([late, asking].map(codeOf)).toEqual([
      [409, "key-taken"],
      [409, "key-taken"],
    ]);
  });

  it("belongs to one of them when both prove at once", async () => {
    const pair = ecdsaKey();
    for (const user of ["ann", "member"]) await add(user, pair, { name: "race" });
    const [own, other] = [await challenge("ann", pair), await challenge("member", pair)];

    const answers = await Promise.all([sendProof("ann", pair, own), sendProof("member", pair, other)]);

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const owners = await server().database.query("", "select 1 from key_owners where spki_sha256 = decode($1, 'hex')", [
      idOf(pair),
    ]);
    expect(owners.length).toBe(1);
  });

  it("stays its owner's after removal: another is refused without a name, the owner proves again", async () => {
    const pair = ecdsaKey();
    await addProved("ann", pair);
    await must("DELETE", pathOf(pair));

    const other = await add("member", pair, { name: "mine-now" });
    const gone = await rest("GET", pathOf(pair), undefined, as("ann"));
    await addProved("ann", pair);

    expect(codeOf(other)).toEqual([409, "key-taken"]);
    expect(other.text).not.toContain("ann");
    expect(codeOf(gone)).toEqual([404, "not-found"]);
  });

  it("outlives its owner, and is not inherited with the name", async () => {
    const pair = ecdsaKey();
    await must("PUT", "users/leaver", { password: "leaver's password" });
    await addProved("leaver", pair);
    await must("DELETE", "users/leaver");
    await must("PUT", "users/leaver", { password: "leaver's password" });

    const answers = [await add("leaver", pair), await add("ann", pair, { name: "found" })];

    expect(answers.map(codeOf)).toEqual([
      [409, "key-taken"],
      [409, "key-taken"],
    ]);
    await must("DELETE", "users/leaver");
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
