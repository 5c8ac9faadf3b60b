import { describe, expect, it } from "vitest";
import { AUTHORITY } from "../notary/testing/signer.ts";
import type { Digest } from "../oci/digest.ts";
import { FsBlobStore } from "../storage/fs-blob-store.ts";
import { pushBlob } from "../testing/images.ts";
import { bundle, classic } from "../trust/testing/cosign.ts";
import { createIsContent } from "./content.ts";
import { openSmallBlobs, type ReadSmallBlob } from "./cosign-reader.ts";
import { useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";
import { pullsOf } from "./testing/pulls.ts";

const { lab } = useLab();
const { repository, statusOf } = pullsOf(lab);

describe("a policy", () => {
  it("holds back content alone: no list, no blob, no signature, no trust data", async () => {
    const of = await repository("free");
    const image = await lab().push(of, "v1");
    const artifact = { ...image, digest: image.digest as Digest, mediaType: undefined };
    const { mallory } = { mallory: lab().keys.bob };
    const [sig, referrer] = [
      await lab().attach(of, image, classic(mallory, artifact), "tag"),
      await lab().attach(of, image, bundle(mallory, artifact), "referrer"),
    ];
    const list = await lab().index(of, image.digest.replace(":", "-"), referrer);
    await lab().found(of);
    await putPolicy(lab(), "gold", goldPolicy("free"));
    const get = async (path: string) => (await lab().app.ask("GET", path, { as: "bob" })).status;
    const { config, layers } = JSON.parse(image.bytes.toString());

    const free = [
      ...[`${of}/tags/list`, `${of}/referrers/${image.digest}`, `${of}/blobs/${config.digest}`],
      ...[`${of}/blobs/${layers[0].digest}`, `${AUTHORITY}/${of}/_trust/tuf/timestamp.json`],
      ...[sig.digest, `${image.digest.replace(":", "-")}.sig`, referrer.digest, list.digest].map(
        (reference) => `${of}/manifests/${reference}`,
      ),
    ];

    expect(await Promise.all(free.map((path) => get(`/v2/${path}`)))).toEqual(free.map(() => 200));
    expect(await statusOf(of, "v1")).toBe(403);
  });

  it("takes no image for a signature, whatever it calls itself", async () => {
    const of = await repository("disguised");
    const place = { app: lab().app, as: "admin", repository: of };
    const descriptor = async (text: string, mediaType: string) => ({
      ...{ mediaType, digest: await pushBlob(place, text), size: Buffer.byteLength(text) },
    });
    const config = await descriptor("{}", "application/vnd.oci.image.config.v1+json");
    const simple = "application/vnd.dev.cosign.simplesigning.v1+json";
    const image = (...layers: object[]) =>
      JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers });
    const tag = `sha256-${"11".repeat(32)}.sig`;
    const push = (reference: string, text: string) =>
      lab().put(of, reference, text, "application/vnd.oci.image.manifest.v1+json");
    const disguised = [
      await push(tag, image(await descriptor("{} and then a program", simple))),
      await push("", image(await descriptor("{}", simple), await descriptor("\x1f\x8b", simple))),
      await push("", image()),
    ];
    const json = await push("", image(await descriptor("{}", "application/spdx+json")));
    const mixed = await lab().index(of, "mixed", json, disguised[0] as never);
    await putPolicy(lab(), "gold", goldPolicy("disguised"));

    const references = [tag, ...[...disguised, mixed, json].map(({ digest }) => digest)];

    expect(await Promise.all(references.map((reference) => statusOf(of, reference)))).toEqual([
      ...[403, 403, 403, 403, 403],
      200,
    ]);
  });
});

describe("whether something could be run of it", () => {
  const OCI = "application/vnd.oci.image.manifest.v1+json";
  const none = `sha256:${"11".repeat(32)}` as Digest;

  /** A repository with a manifest of JSON alone, and how it is asked about things in there. */
  async function open(name: string) {
    const of = await repository(name);
    const place = { app: lab().app, as: "admin", repository: of };
    const part = async (text: string) => ({
      ...{ mediaType: "application/spdx+json", digest: await pushBlob(place, text), size: Buffer.byteLength(text) },
    });
    const parts = { config: await part("{}"), layers: [await part(`{"of": "${name}"}`)] };
    const json = await lab().put(of, "", JSON.stringify({ schemaVersion: 2, mediaType: OCI, ...parts }), OCI);
    const [row] = await lab().app.database.query<{ id: number }>("", "select id from repositories where name = $1", [
      of,
    ]);
    const read = openSmallBlobs(await FsBlobStore.open(lab().app.blobsFolder));
    const asked: Digest[] = [];
    let isAway = false;
    const readBlob: ReadSmallBlob = async (blob) => {
      asked.push(blob.digest);
      return isAway ? undefined : read(blob);
    };
    const isContent = createIsContent(lab().app.database, readBlob);
    return {
      ...{ of, json, asked },
      ask: (digest: string) => isContent({ repositoryId: row?.id ?? 0, digest: digest as Digest }),
      setAway: (state: boolean) => {
        isAway = state;
      },
    };
  }

  it("is asked of its blobs once, unless one cannot be read", async () => {
    const { json, ask, asked, setAway } = await open("asked");
    setAway(true);
    expect([await ask(json.digest), await ask(json.digest)]).toEqual([true, true]);
    setAway(false);
    asked.length = 0;

    expect([await ask(json.digest), await ask(json.digest)]).toEqual([false, false]);

    expect(asked).toHaveLength(2);
  });

  it("is so of what is not there, cannot be read as a manifest, or lists lists of lists", async () => {
    const { of, json, ask } = await open("nested");
    const list = await lab().index(of, "list", json);
    const lists = await lab().put(
      of,
      "lists",
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json" },
        manifests: [
          {
            ...{ mediaType: "application/vnd.oci.image.index.v1+json", digest: list.digest, size: list.bytes.length },
          },
        ],
      }),
      "application/vnd.oci.image.index.v1+json",
    );

    expect([await ask(none), await ask(lists.digest), await ask(list.digest)]).toEqual([true, true, false]);

    const other = await open("unread");
    const text =
      "update manifests set media_type = 'application/vnd.docker.distribution.manifest.v1+json' where digest = $1";
    await lab().app.database.query("", text, [other.json.digest]);
    expect(await other.ask(other.json.digest)).toBe(true);
  });
});
