import { describe, expect, it } from "vitest";
import { parseDigest } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { putManifest } from "../testing/images.ts";
import { mustHaveTag, RunsError } from "./deployments.ts";
import { deleteTagRow } from "./tag-rows.ts";
import { useDeployments } from "./test-deployments.ts";

const { app, newPlace, pushImage, statusOf, deploy, remove, endLease, history } = useDeployments();

/** For a row that another transaction holds. */
async function somebodyWaits(): Promise<void> {
  const text = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  while ((await app().database.query("", text)).length === 0);
}

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
