import { afterEach, describe, expect, it } from "vitest";
import { AUTHORITY } from "../notary/testing/signer.ts";
import { useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";
import { pullsOf } from "./testing/pulls.ts";

const { lab } = useLab();

const { repository, pull, statusOf } = pullsOf(lab);

afterEach(async () => {
  const { body } = await lab().must("GET", "orgs/ops/policies");
  for (const { name } of body.policies) await lab().must("DELETE", `orgs/ops/policies/${name}`);
});

describe("a pull under a policy", () => {
  it("is refused with what is missing and the command that mends it, until it is signed", async () => {
    const of = await repository("plain");
    const image = await lab().push(of, "v1");
    const signer = await lab().found(of);
    expect(await statusOf(of, "v1")).toBe(200);

    await putPolicy(lab(), "gold", goldPolicy("plain"));
    const refused = [await pull(of, "v1"), await pull(of, image.digest)];
    await lab().sign(signer, "alice", "v1", image);
    const allowed = [await pull(of, "v1"), await pull(of, image.digest)];
    await lab().unsign(signer, "alice");

    const sentence = `${image.digest} must be signed by one person of team gold with their own key, and is by nobody; one of them signs it with: goldseal trust sign`;
    expect(refused.map(({ status, code, message }) => [status, code, message])).toEqual([
      [403, "DENIED", `${AUTHORITY}/${of}:v1 is refused by policy gold of ops: ${sentence} ${AUTHORITY}/${of}:v1`],
      [
        403,
        "DENIED",
        `${AUTHORITY}/${of}@${image.digest} is refused by policy gold of ops: ${sentence} ${AUTHORITY}/${of}@${image.digest}`,
      ],
    ]);
    expect(allowed.map(({ status, text }) => [status, text])).toEqual([
      [200, image.bytes.toString()],
      [200, image.bytes.toString()],
    ]);
    expect(await statusOf(of, "v1")).toBe(403);
  });

  it("is the same for a HEAD, and for who has the bytes already, and is never to be kept", async () => {
    const of = await repository("head");
    const image = await lab().push(of, "v1");
    const before = await pull(of, image.digest);
    await putPolicy(lab(), "gold", goldPolicy("head"));

    const known = await lab().app.ask("GET", `/v2/${of}/manifests/v1`, {
      as: "bob",
      headers: { "if-none-match": `"${image.digest}"` },
    });
    const heads = [await pull(of, "v1", "bob", "HEAD"), await pull(of, "v1", "admin", "HEAD")];
    const signed = await pull(of, image.digest, "admin");

    expect([known.status, ...heads.map(({ status }) => status)]).toEqual([403, 403, 200]);
    expect(before.headers["cache-control"]).toBe("private, max-age=31536000, immutable");
    expect(signed.headers["cache-control"]).toBe("private, no-cache");
  });

  it("lets whoever may sign read what they must sign, by right, whatever program they use", async () => {
    const of = await repository("rights");
    await lab().push(of, "v1");
    await lab().must("PUT", "orgs/ops/teams/gold/grants/rights", { level: "read-write" });
    await lab().must("PUT", "orgs/ops/robots/reader", { grants: [{ scope: "rights", actions: ["pull", "push"] }] });
    const { body: signer } = await lab().must("PUT", "orgs/ops/robots/signer", {
      grants: [{ scope: "rights", actions: ["pull", "sign"] }],
    });
    await putPolicy(lab(), "gold", goldPolicy("rights"));
    const asCosign = () =>
      lab().app.ask("GET", `/v2/${of}/manifests/v1`, { as: "alice", headers: { "user-agent": "cosign/v2.6.5" } });
    const asRobot = () =>
      lab().app.ask("GET", `/v2/${of}/manifests/v1`, {
        headers: { authorization: `Basic ${Buffer.from(`ops+signer:${signer.secret}`).toString("base64")}` },
      });

    const without = [(await asCosign()).status, await statusOf(of, "v1", "bob"), await statusOf(of, "v1", null)];
    await lab().must("PUT", "orgs/ops/teams/gold/grants/rights", { level: "read-only", extra: ["sign"] });
    const withRight = [await asCosign(), await asRobot()];

    expect(without).toEqual([403, 403, 403]);
    expect(withRight.map(({ status }) => status)).toEqual([200, 200]);
    expect(withRight[0]?.headers.warning).toMatch(/^299 - ".* is refused by policy gold of ops: sha256:/);
  });

  it("tells who did not sign in no names of people", async () => {
    const of = await repository("strangers");
    const image = await lab().push(of, "v1");
    const signer = await lab().found(of);
    await lab().sign(signer, "alice", "v1", image);
    await putPolicy(lab(), "gold", goldPolicy("strangers", { require: [{ team: "gold", k: 2 }], needsTag: true }));
    await lab().push(of, "v2", "other");

    const [known, unknown] = [await pull(of, "v1"), await pull(of, "v1", null)];
    const untold = await pull(of, "v2", null);

    expect(known.message).toMatch(/and is by alice;/);
    expect([unknown.status, unknown.message]).toEqual([
      403,
      `${AUTHORITY}/${of}:v1 is refused by policy gold of ops: ${image.digest} is not signed by 2 people of team gold with their own key, as it must be; one of them signs it with: goldseal trust sign ${AUTHORITY}/${of}:v1`,
    ]);
    expect(untold.message).toMatch(/policy gold of ops: the trust data of .* says nothing of it; sign it: .*; sha256:/);
  });

  it("is refused where the tag must be signed and there is no trust data at all", async () => {
    const of = await repository("bare");
    await lab().push(of, "v1");
    await putPolicy(lab(), "gold", goldPolicy("bare", { needsTag: true, maxTimestampAge: "48h" }));

    const { status, message } = await pull(of, "v1");

    expect([status, message]).toEqual([
      403,
      expect.stringMatching(/: the trust data of .*:v1 says nothing of it; sign it: goldseal trust sign /),
    ]);
  });

  it("warns in mode warn, puts that on record once, and asks for nothing in mode off", async () => {
    const of = await repository("warn");
    await lab().push(of, "v1");
    await putPolicy(lab(), "gold", goldPolicy("warn", { mode: "warn" }));
    await lab().settled(of);
    const warned = [await pull(of, "v1"), await pull(of, "v1"), await pull(of, "v1", "alice", "HEAD")];
    await putPolicy(lab(), "gold", goldPolicy("warn", { mode: "off" }));
    const off = await pull(of, "v1");

    const { body } = await lab().must("GET", `audit?action=policy-warning&target=${of}`);
    expect(warned.map(({ status, headers }) => [status, headers.warning])).toEqual(
      Array.from({ length: 3 }, () => [
        200,
        expect.stringMatching(
          /^299 - "registry\.test\/ops\/warn:v1 is not what is asked for by policy gold of ops: sha/,
        ),
      ]),
    );
    expect([off.status, off.headers.warning]).toEqual([200, undefined]);
    expect(body.entries.map(({ actor, detail }: never) => [actor, (detail as { policy: string }).policy])).toEqual([
      ["bob", "gold"],
    ]);
  });

  it("needs all policies that cover the repository, and none of those that do not, or are for promotion", async () => {
    const of = await repository("many/deep");
    const image = await lab().push(of, "v1");
    const signer = await lab().found(of);
    await lab().sign(signer, "alice", "v1", image);
    await putPolicy(lab(), "one", goldPolicy("many/*"));
    await putPolicy(lab(), "other", goldPolicy("*", { require: [{ k: 9 }] }));
    await putPolicy(lab(), "promote", goldPolicy("**", { applies: ["promotion"], require: [{ k: 9 }] }));
    const first = await statusOf(of, "v1");
    await putPolicy(lab(), "two", goldPolicy("**", { require: [{ k: 2 }] }));
    await putPolicy(lab(), "three", goldPolicy("many/d*p", { require: [{ k: 3 }] }));

    const { status, message } = await pull(of, "v1");

    expect([first, status]).toEqual([200, 403]);
    expect(message).toMatch(/policy three of ops: .* 3 people .*; and .* policy two of ops: .* 2 people/);
    expect(message).not.toMatch(/policy (one|other|promote)/);
  });

  it("judges a pull by tag by the tag, and one by digest by the digest", async () => {
    const of = await repository("moved");
    const [old, fresh] = [await lab().push(of, "v1"), await lab().push(of, "v2")];
    const signer = await lab().found(of);
    await lab().sign(signer, "alice", "v1", old);
    await putPolicy(lab(), "gold", goldPolicy("moved"));
    await lab().put(of, "v2", old.bytes.toString(), "application/vnd.oci.image.manifest.v1+json");
    await lab().put(of, "v1", fresh.bytes.toString(), "application/vnd.oci.image.manifest.v1+json");

    const statuses = await Promise.all(
      [old.digest, fresh.digest, "v1", "v2"].map((reference) => statusOf(of, reference)),
    );

    expect(statuses).toEqual([200, 403, 403, 403]);
  });

  it("allows a platform's manifest through the signed index that lists it, and no other", async () => {
    const of = await repository("index");
    const [amd, arm, stray] = [await lab().push(of, "amd"), await lab().push(of, "arm"), await lab().push(of, "stray")];
    const index = await lab().index(of, "v1", amd, arm);
    const signer = await lab().found(of);
    await putPolicy(lab(), "gold", goldPolicy("index"));
    const before = await Promise.all(["v1", amd.digest].map((reference) => statusOf(of, reference)));
    await lab().sign(signer, "alice", "v1", index);
    await lab().index(of, "v2", amd, stray);

    const after = ["v1", index.digest, amd.digest, arm.digest, "amd", stray.digest, "v2"];

    expect(before).toEqual([403, 403]);
    expect(await Promise.all(after.map((reference) => statusOf(of, reference)))).toEqual([
      ...[200, 200, 200, 200],
      ...[403, 403, 403],
    ]);
  });

  it("takes what the server signed as part of a push for its word, and for nobody's own key", async () => {
    const of = await repository("auto");
    await lab().must("PUT", "orgs/ops/repositories/auto/auto-sign/all", { tags: ["v*"] });
    await putPolicy(lab(), "gold", goldPolicy("auto", { require: [{ k: 1, class: "either" }], needsTag: true }));
    await lab().push(of, "v1");
    await lab().push(of, "latest", "other");
    const served = await Promise.all([statusOf(of, "v1"), statusOf(of, "latest")]);

    await putPolicy(lab(), "gold", goldPolicy("auto", { require: [{ k: 1 }] }));

    expect(served).toEqual([200, 403]);
    expect((await pull(of, "v1")).message).toMatch(/one person with their own key, and is by nobody;/);
  });

  it("tells of some policies where many refuse, in headers that clients can read", async () => {
    const of = await repository("wordy");
    await lab().push(of, "v1");
    const rows = Array.from({ length: 32 }, (_, index) => ({ team: "gold", k: index + 1 }));
    for (let index = 0; index < 8; index++) await putPolicy(lab(), `p${index}`, goldPolicy("wordy", { require: rows }));

    const [refused, warned] = [await pull(of, "v1"), await pull(of, "v1", "admin")];

    expect(refused.message.match(/is refused by policy/g)).toHaveLength(4);
    expect(String(warned.headers.warning).length).toBeLessThan(4_100);
    expect(warned.status).toBe(200);
  });

  it("hides what is hidden before it says what is missing", async () => {
    await lab().must("PUT", "orgs/ops/repositories/secret", { visibility: "private" });
    await lab().push("ops/secret", "v1");
    await putPolicy(lab(), "gold", goldPolicy("**"));

    const [hidden, missing] = [await pull("ops/secret", "v1"), await pull("ops/nothing", "v1")];

    expect([hidden.status, hidden.code]).toEqual([404, "NAME_UNKNOWN"]);
    expect([hidden.status, hidden.message]).toEqual([missing.status, missing.message]);
    expect(await statusOf("ops/secret", "v2", "admin")).toBe(404);
  });

  it("puts a refusal on record with its rule path", async () => {
    const of = await repository("record");
    const image = await lab().push(of, "v1");
    await putPolicy(lab(), "gold", goldPolicy("record"));
    await pull(of, "v1");

    const { body } = await lab().must("GET", `audit?outcome=refused&target=${of}`);

    expect(body.entries[0]).toMatchObject({
      ...{ actor: "bob", action: "pull" },
      detail: {
        why: "policy",
        verdict: { policies: [{ policy: "gold", missing: [expect.stringContaining(image.digest)] }] },
      },
    });
  });
});
