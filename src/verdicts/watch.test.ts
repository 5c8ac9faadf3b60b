import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { OCI_MANIFEST } from "../testing/images.ts";
import { PoliciesStore } from "./policies-store.ts";
import type { ImageVerdict } from "./policy-verdict.ts";
import { type Pushed, useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";
import { VerdictsStore } from "./verdicts-store.ts";
import { type Stamp, WatchStore } from "./watch-store.ts";

const { lab } = useLab();

const query = <R extends Record<string, unknown>>(text: string, values: unknown[] = []) =>
  lab().app.database.query<R>("", text, values);
const idOf = async (name: string) =>
  Number((await query<{ id: string }>("select id from repositories where name = $1", [name]))[0]?.id);
const stampOf = async (name: string) => new WatchStore(lab().app.database).read(await idOf(name));
const keptOf = async (name: string) =>
  (await query("select 1 from verdicts v join repositories r on r.id = v.repository_id where r.name = $1", [name]))
    .length;
const pull = async (name: string) => (await lab().app.ask("HEAD", `/v2/${name}/manifests/v1`, { as: "admin" })).status;

/** No round has anything to do there. */
async function untilJudged(name: string): Promise<void> {
  const text = `select w.judged_version = w.version and w.judged_people = p.version as judged
    from verdict_repositories w cross join verdict_people p where w.repository_id = $1`;
  const id = await idOf(name);
  await expect.poll(async () => (await query(text, [id]))[0]?.judged).toBe(true);
}

async function watched(name: string, policy: object): Promise<Pushed> {
  const image = await lab().push(`ops/${name}`, "v1");
  await putPolicy(lab(), name, goldPolicy(name, policy));
  await lab().settled(`ops/${name}`);
  return image;
}

describe("what verdicts rest on", () => {
  it("has another version after every change of a table that people and policies are read from", async () => {
    const texts = await Promise.all(
      ["../orgs/people-who-sign.ts", "policies-store.ts"].map((file) =>
        readFile(join(import.meta.dirname, file), "utf8"),
      ),
    );
    const named = texts.flatMap((text) =>
      [...text.matchAll(/\b(?:from|join) ([a-z_]+) [a-z]+\b/g)].map(([, table]) => table),
    );
    const triggers = await query<{ name: string }>(
      `select c.relname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid where t.tgname = 'verdict_people_changed'`,
    );

    // What is only locked, or is no table.
    const read = new Set(named.filter((table) => !["repositories", "namespaces", "asked"].includes(table ?? "")));
    expect(read.size).toBe(6);
    expect(triggers.map(({ name }) => name).sort()).toEqual([...read].sort());
  });

  it("is counted where a policy is, from the first repository of a name on, and nowhere else", async () => {
    await lab().push("qa/quiet", "v1");
    await putPolicy(lab(), "early", goldPolicy("early"));
    await lab().push("ops/early", "v1");
    await lab().settled("ops/early");
    const first = await stampOf("ops/early");
    await lab().push("ops/early", "v2");
    const second = await stampOf("ops/early");
    await lab().push("ops/elsewhere", "v1");
    await lab().settled("ops/elsewhere");

    expect(await stampOf("qa/quiet")).toBe(undefined);
    expect(second?.version).not.toBe(first?.version);
    expect(await stampOf("ops/early")).toEqual(second);
    await lab().must("DELETE", "orgs/ops/policies/early");
    expect([
      await stampOf("ops/early"),
      await query("select 1 from verdict_sources where source like 'ops/ear%'"),
    ]).toEqual([undefined, []]);
  });

  it("is relied on once every transaction is over that may not have seen it, and judged in each pull until then", async () => {
    await lab().push("ops/barrier", "v1");
    const [begun, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const old = lab().app.database.transaction(async (sql) => {
      await sql.query("", "select pg_current_xact_id()");
      begun.resolve();
      await over.promise;
    });
    await begun.promise;
    await putPolicy(lab(), "barrier", goldPolicy("barrier"));

    const during = [await pull("ops/barrier"), await pull("ops/barrier")];
    const [stamp, kept] = [await stampOf("ops/barrier"), await keptOf("ops/barrier")];
    over.resolve();
    await old;
    const keptAfterwards = async () => {
      await pull("ops/barrier");
      return keptOf("ops/barrier");
    };

    expect([during, stamp, kept]).toEqual([[200, 200], undefined, 0]);
    // Transactions of other databases count too, of test files beside this one.
    await expect.poll(keptAfterwards).toBe(1);
  });
});

describe("VerdictsStore.put", () => {
  const note = { rows: [], signatures: [], missing: [], told: [], refusals: [] };

  async function open(name: string) {
    // One that judges nothing by itself: what is kept is what the test puts.
    const { digest, bytes } = await watched(name, { mode: "off" });
    await lab().put(`ops/${name}`, "x", bytes.toString(), OCI_MANIFEST);
    await untilJudged(`ops/${name}`);
    const turns: ImageVerdict[] = [];
    const { database } = lab().app;
    const store = new VerdictsStore(database, async (_, turn) => void turns.push(turn));
    const policy = await new PoliciesStore(database).find({ org: "ops", name });
    const repository = parseRepositoryName(`ops/${name}`);
    const image = {
      repositoryId: await idOf(`ops/${name}`),
      repository,
      tag: parseTag("x"),
      digest: parseDigest(digest),
    };
    const put = (allowed: boolean, stamp: Stamp | undefined, of = image) => {
      if (policy === undefined || stamp === undefined) throw new Error("nothing to put");
      return store.put([{ allowed, until: undefined, note, policy, image: of }], stamp, new Date());
    };
    const found = async (stamp: Stamp | undefined) =>
      stamp && (await store.find([image], stamp, new Date())).map(({ allowed }) => allowed);
    return { put, found, turns, image, stamp: () => stampOf(`ops/${name}`) };
  }

  it("keeps nothing that was judged before something changed", async () => {
    const { put, found, turns, stamp } = await open("stale");
    const first = await stamp();
    await put(true, first);
    const kept = await found(first);

    await lab().push("ops/stale", "v2");
    await put(false, first);
    await put(true, await stamp());
    await lab().must("PUT", "orgs/ops/teams/new-team", {});
    await put(false, { ...(await stamp()), people: first?.people } as Stamp);

    expect([kept, turns]).toEqual([[true], []]);
    expect(await found(first)).toEqual([]);
  });

  it("puts on record once that a tag's verdict turned, whoever finds it out, and not that of a digest", async () => {
    const { put, turns, stamp, image } = await open("turned");
    await put(true, await stamp());
    await put(true, await stamp(), { ...image, tag: undefined } as never);

    const now = await stamp();
    await Promise.all([put(false, now), put(false, now), put(false, now)]);
    await put(false, now, { ...image, tag: undefined } as never);
    const other = { ...image, digest: parseDigest(`sha256:${"22".repeat(32)}`) };
    await put(false, now, other);
    await put(true, now);

    expect(turns.map(({ allowed, image: { digest } }) => [allowed, digest === image.digest])).toEqual([
      [false, true],
      [true, true],
    ]);
    expect(await query("select 1 from verdicts where digest = $1", [other.digest])).toEqual([]);
  });

  it("keeps no verdict beyond its end", async () => {
    const { put, stamp, image } = await open("ends");
    await put(true, await stamp());
    await query("update verdicts set until = now() - interval '1 second' where tag = 'x'");

    const store = new VerdictsStore(lab().app.database, async () => undefined);

    expect(await store.find([image], (await stamp()) as Stamp, new Date())).toEqual([]);
  });
});
