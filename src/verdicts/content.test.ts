import { describe, expect, it } from "vitest";
import { AUTHORITY } from "../notary/testing/signer.ts";
import type { Digest } from "../oci/digest.ts";
import { pushBlob } from "../testing/images.ts";
import { bundle, classic } from "../trust/testing/cosign.ts";
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
