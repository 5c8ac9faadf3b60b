import { describe, expect, it } from "vitest";
import { openSigner } from "./testing/signer.ts";
import { sign, taken, targetOf, useStates } from "./testing/states.ts";
import { canonicalKeyId } from "./tuf/key.ts";
import { drop, put } from "./tuf/testing/loose.ts";
import { ecdsaKey } from "./tuf/testing/test-key.ts";

const { app, rest } = useStates();

describe("GET …/trust/history", () => {
  const kinds = (body: { signatures: { kind: string; tag: string }[] }) =>
    body.signatures.map(({ kind, tag }) => `${kind} ${tag}`);

  it("tells what was signed, signed anew and revoked, newest first, by whom and when", async () => {
    const signer = await openSigner(app(), "alice/history");
    const [one, two] = [`sha256:${"01".repeat(32)}`, `sha256:${"02".repeat(32)}`];
    await sign(signer, "v1", targetOf(one));
    await sign(signer, "v1", targetOf(one));
    await sign(signer, "v1", targetOf(two));
    await taken(signer, [signer.part("targets", drop(["targets", "v1"]))]);

    const { body } = await rest("history/trust/history");

    const keyIds = [canonicalKeyId(signer.repository.keys.targets.key)];
    const of = {
      tag: "v1",
      role: "targets",
      policy: null,
      keyIds,
      users: [],
      id: expect.stringMatching(/^\d+$/),
      at: expect.any(String),
    };
    expect(body.signatures).toEqual([
      { ...of, kind: "revoked", digest: two, previous: null, version: 6 },
      { ...of, kind: "re-signed", digest: two, previous: one, version: 5 },
      { ...of, kind: "signed", digest: one, previous: null, version: 3 },
    ]);
  });

  it("goes page by page, and by tag", async () => {
    const signer = await openSigner(app(), "alice/pages");
    for (const tag of ["a", "b", "c"]) await sign(signer, tag, targetOf(`sha256:${"01".repeat(32)}`));
    await sign(signer, "a", targetOf(`sha256:${"02".repeat(32)}`));

    const first = await rest("pages/trust/history?limit=3");
    const { body: second } = await rest(first.body.next.replace(/.*repositories\//, ""));
    const { body: ofTag } = await rest("pages/trust/history?tag=a&limit=1");
    const { body: rest1 } = await rest(ofTag.next.replace(/.*repositories\//, ""));

    expect(kinds(first.body)).toEqual(["re-signed a", "signed c", "signed b"]);
    expect([kinds(second), second.next]).toEqual([["signed a"], undefined]);
    expect([kinds(ofTag), kinds(rest1), rest1.next]).toEqual([["re-signed a"], ["signed a"], undefined]);
    expect(first.headers.link).toBe(`<${first.body.next}>; rel="next"`);
  });

  it("keeps nothing of a publish that was refused", async () => {
    const signer = await openSigner(app(), "alice/refused");
    const part = signer.repository.part("targets", put(["targets", "v1"], targetOf(`sha256:${"01".repeat(32)}`)), [
      ecdsaKey(),
    ]);

    expect((await signer.publish([part])).status).toBe(400);
    expect((await rest("refused/trust/history")).body).toEqual({ signatures: [] });
  });

  it("outlives the trust data, and goes with the repository: who has the name next sees none of it", async () => {
    const signer = await openSigner(app(), "alice/gone");
    await sign(signer, "v1", targetOf(`sha256:${"01".repeat(32)}`));
    expect((await signer.ask("DELETE", "", "admin")).status).toBe(200);

    const kept = await rest("gone/trust/history");
    await app().ask("DELETE", "/api/v1/orgs/alice/repositories/gone", { as: "admin" });
    await app().ask("PUT", "/api/v1/orgs/alice/repositories/gone", { as: "admin", body: '{"visibility":"private"}' });

    expect(kinds(kept.body)).toEqual(["deleted null", "signed v1"]);
    expect((await rest("gone/trust/history")).body).toEqual({ signatures: [] });
  });

  it.each(["after=x", "limit=0", "tags=v1", "after=9999999999999999999"])("refuses ?%s", async (query) => {
    await openSigner(app(), `alice/bad-${query.replace(/\W.*/, "")}-${query.length}`);

    expect((await rest(`bad-${query.replace(/\W.*/, "")}-${query.length}/trust/history?${query}`)).status).toBe(400);
  });
});
