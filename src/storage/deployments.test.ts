import { describe, expect, it } from "vitest";
import { digestOf, OCI_INDEX, putManifest } from "../testing/images.ts";
import { ALL_GONE, ALL_THERE } from "./gc/test-collector.ts";
import { useDeployments } from "./test-deployments.ts";

const { app, collect, newPlace, pushImage, statusOf, untag, statusesOf, child, ...cluster } = useDeployments();
const { put, entry, deploy, remove, endLease, history } = cluster;
const whereOf = async (digest: string) =>
  (await history(digest)).flatMap(({ detail }) => (detail.where === undefined ? [] : [detail.where]));

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
