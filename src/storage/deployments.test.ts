import { describe, expect, it } from "vitest";
import { parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { digestOf, OCI_INDEX, type Place, putManifest } from "../testing/images.ts";
import { mustHaveTag, RunsError } from "./deployments.ts";
import { ALL_GONE, ALL_THERE, useCollector } from "./gc/test-collector.ts";
import { deleteTagRow } from "./tag-rows.ts";

const { collect, newPlace, pushImage, statusOf, untag, statusesOf, child, app } = useCollector();

interface Wish {
  readonly place: Place;
  readonly digest: string;
  readonly service?: string;
  readonly environment?: string;
  readonly state?: string;
}

const put = (deployed: readonly object[], as = "admin") =>
  app().ask("PUT", "/api/v1/cluster-agent/digests", { as, body: JSON.stringify({ deployed }) });
const entry = ({ place, digest, service = "web", environment = "prod", state = "running" }: Wish) => {
  return { environment, service, repository: place.repository, digest, state };
};
async function deploy(...wishes: readonly Wish[]): Promise<unknown> {
  const answer = await put(wishes.map(entry));
  expect(answer.status).toBe(200);
  return JSON.parse(answer.body.toString());
}
const remove = async (path: string, as = "alice") => {
  const answer = await app().ask("DELETE", path, { as });
  const { errors, ...problem } = answer.body.length === 0 ? {} : JSON.parse(answer.body.toString());
  return { status: answer.status, ...(errors?.[0] ?? problem) };
};
const endLease = () => app().database.query("", "update pins set until = now(); update deployments set until = now()");
async function history(digest: string): Promise<{ kind: string; detail: { where: string; until: string | null } }[]> {
  const { body } = await app().ask("GET", `/api/v1/history?digest=${digest}`, { as: "alice" });
  return JSON.parse(body.toString()).history;
}
const whereOf = async (digest: string) =>
  (await history(digest)).flatMap(({ detail }) => (detail.where === undefined ? [] : [detail.where]));

/** For a row that another transaction holds. */
async function somebodyWaits(): Promise<void> {
  const text = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  while ((await app().database.query("", text)).length === 0);
}

describe("PUT /api/v1/cluster-agent/digests", () => {
  it("keeps from the collector what no tag names, with all that an index lists, until the next list", async () => {
    const place = newPlace();
    const [arm, amd, free] = [
      await pushImage(place, "arm"),
      await pushImage(place, "amd"),
      await pushImage(place, "free"),
    ];
    const index = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child(arm), child(amd)] });
    await putManifest(place, "both", index, { contentType: OCI_INDEX });
    for (const tag of ["arm", "amd", "free", "both"]) await untag(place, tag);

    expect(await deploy({ place, digest: digestOf(index) })).toEqual({ kept: 1, missing: [] });
    await collect();

    expect(await statusOf(place, `manifests/${digestOf(index)}`)).toBe(200);
    for (const image of [arm, amd]) expect(await statusesOf(place, image)).toEqual(ALL_THERE);
    expect(await statusesOf(place, free)).toEqual(ALL_GONE);
    await deploy();
    await collect();
    expect(await statusOf(place, `manifests/${digestOf(index)}`)).toBe(404);
    for (const image of [arm, amd]) expect(await statusesOf(place, image)).toEqual(ALL_GONE);
  });

  it("keeps what may be rolled back to, and lets go of all when the bridge is silent for too long", async () => {
    const place = newPlace();
    const old = await pushImage(place, "old");
    await untag(place, "old");
    await deploy({ place, digest: old.digest, state: "rollback" });
    await collect();
    expect(await statusesOf(place, old)).toEqual(ALL_THERE);
    const [pin] = await app().database.query<{ days: number; owner: string }>(
      "",
      "select extract(epoch from until - now()) / 86400 as days, owner from pins where kind = 'deployment'",
    );
    expect(pin?.owner).toBe("prod/web");
    expect(Math.round(Number(pin?.days))).toBe(7);

    await endLease();
    await collect();

    expect(await statusesOf(place, old)).toEqual(ALL_GONE);
  });

  it("replaces the list as a whole, the same list again changes nothing but the lease", async () => {
    const place = newPlace();
    const [one, two] = [await pushImage(place, "one"), await pushImage(place, "two")];
    await deploy({ place, digest: one.digest }, { place, digest: two.digest, service: "api" });
    const rows = () => app().database.query("", "select * from deployments where ended_at is null order by id");
    const before = await rows();

    await endLease();
    await deploy({ place, digest: one.digest }, { place, digest: two.digest, service: "api" });

    const strip = (all: object[]) => all.map((row) => ({ ...row, until: undefined }));
    expect(strip(await rows())).toEqual(strip(before));
    expect(await whereOf(one.digest)).toEqual(["runs in prod as web"]);
    await deploy({ place, digest: two.digest, service: "api" });
    expect(await whereOf(one.digest)).toEqual(["ran in prod as web"]);
    expect(await whereOf(two.digest)).toEqual(["runs in prod as api"]);
  });

  it("answers what no repository has, and keeps the rest", async () => {
    const place = newPlace();
    const there = await pushImage(place, "there");
    const nowhere = { ...place, repository: "alice/nowhere" };

    const answer = await deploy(
      { place, digest: there.digest },
      { place, digest: digestOf("gone"), service: "api" },
      { place: nowhere, digest: there.digest, service: "db" },
    );

    expect(answer).toEqual({
      kept: 1,
      missing: [
        { repository: place.repository, digest: digestOf("gone") },
        { repository: "alice/nowhere", digest: there.digest },
      ],
    });
    expect((await remove(`/v2/${place.repository}/manifests/${there.digest}`)).status).toBe(409);
  });

  it("refuses what is no such list, and keeps the one before", async () => {
    const place = newPlace();
    const kept = await pushImage(place, "kept");
    const good = entry({ place, digest: kept.digest });
    await deploy({ place, digest: kept.digest });

    const answers = [
      await put([good, { ...good, state: "rollback" }]),
      await put([{ ...good, digest: "sha256:abc" }]),
      await put([{ ...good, state: "paused" }]),
      await put([{ ...good, more: 1 }]),
      await put(Array.from({ length: 10_001 }, (_, index) => ({ ...good, service: `s${index}` }))),
      await app().ask("PUT", "/api/v1/cluster-agent/digests", { as: "admin", body: " ".repeat(4 * 1024 * 1024 + 1) }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 413]);
    expect(await whereOf(kept.digest)).toEqual(["runs in prod as web"]);
  });

  it("takes thousands of entries", async () => {
    const place = newPlace();
    const { digest } = await pushImage(place, "many");
    const list = Array.from({ length: 3_000 }, (_, index) => entry({ place, digest, service: `s${index}` }));

    for (const round of [1, 2]) {
      const answer = await put(list);
      expect([round, JSON.parse(answer.body.toString())]).toEqual([round, { kept: 3_000, missing: [] }]);
    }
    await deploy();
  });

  it("goes one after the other: of two lists at once one is there whole", async () => {
    const place = newPlace();
    const images = [await pushImage(place, "a"), await pushImage(place, "b")];
    const lists = images.map(({ digest }) => [entry({ place, digest }), entry({ place, digest, service: "api" })]);

    await Promise.all([...lists, ...lists, ...lists].map((list) => put(list)));

    const rows = await app().database.query<{ digest: string }>(
      "",
      "select digest from deployments where ended_at is null",
    );
    expect(rows).toHaveLength(2);
    expect(new Set(rows.map(({ digest }) => digest)).size).toBe(1);
  });
});

describe("what the cluster runs", () => {
  const use = (environment: string, service: string, state = "running") => ({ environment, service, state });

  it("is not deleted by its digest, and the refusal names the services", async () => {
    const place = newPlace();
    const { digest } = await pushImage(place, "v1");
    await deploy(
      { place, digest, service: "web" },
      { place, digest, service: "api" },
      { place, digest, service: "web", environment: "test", state: "rollback" },
    );

    const answer = await remove(`/v2/${place.repository}/manifests/${digest}`);

    expect(answer).toEqual({
      status: 409,
      code: "DENIED",
      message:
        `${digest} runs as prod/api, prod/web, and is what test/web would be rolled back to; ` +
        "remove the service there, or deploy another image, first",
      detail: { services: [use("prod", "api"), use("prod", "web"), use("test", "web", "rollback")] },
    });
    await deploy();
    expect((await remove(`/v2/${place.repository}/manifests/${digest}`)).status).toBe(202);
  });

  it("keeps its last tag; others can be deleted, and any can be moved", async () => {
    const place = newPlace();
    const v1 = await pushImage(place, "v1");
    await putManifest(place, "latest", JSON.stringify(v1.image.manifest));
    await deploy({ place, digest: v1.digest });

    expect((await remove(`/v2/${place.repository}/manifests/v1`)).status).toBe(202);
    expect(await remove(`/v2/${place.repository}/manifests/latest`)).toMatchObject({
      ...{ status: 409, code: "DENIED", detail: { services: [use("prod", "web")] } },
      message: "what latest alone names runs as prod/web; remove the service there, or deploy another image, first",
    });
    expect(await statusOf(place, "manifests/latest")).toBe(200);
    await pushImage(place, "latest", { annotations: { moved: "on" } });
    expect(await statusOf(place, `manifests/${v1.digest}`)).toBe(200);
  });

  it("keeps one of two tags that are deleted at the same moment", async () => {
    const place = newPlace();
    const v1 = await pushImage(place, "v1");
    await putManifest(place, "v2", JSON.stringify(v1.image.manifest));
    await deploy({ place, digest: v1.digest });
    const [repository, digest] = [parseRepositoryName(place.repository), parseDigest(v1.digest)];
    const [checked, may] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const removeTag = (tag: string, wait: () => Promise<void>) =>
      app().database.transaction(async (sql) => {
        await deleteTagRow(sql, repository, parseTag(tag));
        await mustHaveTag(sql, repository, digest);
        await wait();
      });

    const first = removeTag("v1", async () => {
      checked.resolve();
      await may.promise;
    });
    await checked.promise;
    const second = removeTag("v2", async () => undefined);
    second.catch(() => undefined);
    await Promise.race([second, somebodyWaits()]).catch(() => undefined);
    may.resolve();

    await first;
    await expect(second).rejects.toBeInstanceOf(RunsError);
  });

  it("keeps its repository, and the repository's name", async () => {
    const place = newPlace();
    const { digest } = await pushImage(place, "v1");
    await deploy({ place, digest });
    const [, name = ""] = place.repository.split("/");
    const path = `/api/v1/orgs/alice/repositories/${name}`;
    const detail = `${place.repository} runs as prod/web; remove the service there, or deploy another image, first`;

    const body = JSON.stringify({ name: `alice/${name}-new` });
    const renamed = await app().ask("POST", `${path}/rename`, { as: "alice", body });

    expect(await remove(path)).toMatchObject({ status: 409, code: "in-use", detail });
    expect([renamed.status, JSON.parse(renamed.body.toString())]).toMatchObject([409, { code: "in-use", detail }]);
    await deploy();
    expect((await remove(path)).status).toBe(204);
  });

  it("is named to readers alone", async () => {
    const place = newPlace();
    const { digest } = await pushImage(place, "v1");
    await deploy({ place, digest });
    const scope = place.repository.slice("alice/".length);
    await app().database.query(
      "",
      `with b as (insert into robots (org, name) values ('alice', 'cleaner') returning id),
       s as (insert into robot_secrets (robot_id, secret_hash) select id, sha256($1) from b)
       insert into robot_grants (robot_id, org, repository_id, actions)
       select b.id, 'alice', r.id, array['delete'] from b join repositories r on r.name = 'alice/' || $2`,
      [Buffer.from(`gsb_${"a".repeat(43)}`), scope],
    );
    const authorization = `Basic ${Buffer.from(`alice+cleaner:gsb_${"a".repeat(43)}`).toString("base64")}`;

    const { status, body } = await app().ask("DELETE", `/v2/${place.repository}/manifests/${digest}`, {
      headers: { authorization },
    });

    expect([status, JSON.parse(body.toString()).errors]).toEqual([
      409,
      [
        {
          code: "DENIED",
          message: `${digest} is in use on the cluster; remove the service there, or deploy another image, first`,
        },
      ],
    ]);
  });

  it("can be deleted once the bridge has been silent for too long", async () => {
    const place = newPlace();
    const { digest } = await pushImage(place, "v1");
    await deploy({ place, digest });
    await endLease();

    expect((await history(digest)).at(-1)).toMatchObject({
      kind: "deployed",
      detail: { where: "ran in prod as web", until: expect.any(String) },
    });
    expect((await remove(`/v2/${place.repository}/manifests/${digest}`)).status).toBe(202);
  });
});
