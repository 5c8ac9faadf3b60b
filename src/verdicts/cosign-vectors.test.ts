import { beforeAll, describe, expect, it } from "vitest";
import { spkiOf } from "../notary/tuf/key.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { pushBlob } from "../testing/images.ts";
import type { SignatureManifest } from "../trust/cosign-evidence.ts";
import type { Artifact } from "../trust/subject.ts";
import { vector, vectorImages, vectorKeys } from "../trust/testing/cosign.ts";
import { openJudge } from "./testing/judge.ts";
import { useLab } from "./testing/lab.ts";

const { lab } = useLab();
const query = (text: string, values: unknown[] = []) => lab().app.database.query("", text, values);

/** carol's keys are those that cosign signed with; nobody has mallory's. Their private halves were thrown away. */
beforeAll(async () => {
  await lab().user("carol");
  await lab().join("ops", "gold", "carol");
  for (const [name, key] of vectorKeys) {
    const spki = spkiOf(key);
    if (name === "mallory" || spki === undefined) continue;
    const values = [Buffer.from(spki, "hex"), name, key.type, key.publicBytes, key.id];
    await query(
      "insert into key_owners (user_id, spki_sha256, since) select id, $1, now() from users where name = 'carol'",
      [values[0]],
    );
    await query(
      `insert into user_keys (user_id, spki_sha256, name, algorithm, public_key, key_ids, added_at, proved_at)
       select id, $1, $2, $3, $4, array[$5], now(), now() from users where name = 'carol'`,
      values,
    );
  }
});

/** As it was pushed once: its own bytes, whatever they reference. */
async function store(repository: string, { bytes }: Artifact, tag?: string): Promise<void> {
  const text = Buffer.from(bytes);
  const json = JSON.parse(text.toString());
  const digest = digestOf(text);
  const mediaType = json.mediaType ?? "application/vnd.oci.image.manifest.v1+json";
  await query(
    `insert into manifests (repository_id, digest, media_type, content, size, subject_digest, artifact_type)
     select id, $2, $3, $4, $5, $6, $7 from repositories where name = $1 on conflict do nothing`,
    [repository, digest, mediaType, text, text.length, json.subject?.digest ?? null, json.artifactType ?? null],
  );
  if (tag === undefined) return;
  await query(
    "insert into tags (repository_id, name, manifest_digest) select id, $2, $3 from repositories where name = $1",
    [repository, tag, digest],
  );
}

/** cosign v2 tags what it signed with; v3 gives it a subject. */
async function storeSignatures(repository: string, version: string, signatures: readonly SignatureManifest[]) {
  for (const { artifact, blobs } of signatures) {
    for (const bytes of blobs.values()) await pushBlob({ app: lab().app, as: "admin", repository }, Buffer.from(bytes));
    const [payload] = blobs.values();
    const meant = version === "v2" && payload && JSON.parse(Buffer.from(payload).toString()).critical?.image;
    const digest: string | undefined = meant ? meant["docker-manifest-digest"] : undefined;
    await store(repository, artifact, digest && `${digest.replace(":", "-")}.sig`);
  }
}

let count = 0;

/** Who counts for the image and the index, signed as in the vector. */
async function judged(version: string, name: string) {
  const repository = `ops/vector-${++count}`;
  await lab().push(repository, "any");
  const { image, index } = vectorImages;
  await store(repository, image);
  await store(repository, index);
  for (const child of JSON.parse(Buffer.from(index.bytes).toString()).manifests)
    await query(
      `insert into manifest_children (repository_id, manifest_digest, child_digest)
       select r.id, $2, m.digest from repositories r join manifests m on m.repository_id = r.id and m.digest = $3 where r.name = $1`,
      [repository, index.digest, child.digest],
    );
  await storeSignatures(repository, version, vector(version, name));
  const { judgeImage } = await openJudge(lab());
  const requirement = {
    ...{ maxTimestampAgeSeconds: undefined, needsTag: false },
    require: [{ team: "gold", k: 1, class: "client-key" as const }],
  };
  const judge = (digest: Digest) =>
    judgeImage({ repository: parseRepositoryName(repository), tag: undefined, digest }, { org: "ops", requirement });
  const verdicts = await Promise.all([judge(image.digest), judge(index.digest)]);
  return verdicts.map(({ allowed, rows }) => (allowed ? rows[0]?.who.join() : "nobody"));
}

describe.each(["v2", "v3"])("what cosign %s pushed", (version) => {
  it.each([
    ["p256", "carol", "nobody"],
    ["rsa", "carol", "nobody"],
    ["p384", "nobody", "nobody"],
    ["ed25519", "nobody", "nobody"],
    ["two signers", "carol", "nobody"],
    ["annotated", "carol", "nobody"],
    ["index", "nobody", "carol"],
    ["index and children", "carol", "carol"],
    ["certificate", "nobody", "nobody"],
    ["attestation", "nobody", "nobody"],
  ])("%s: the image is by %s, the index by %s", async (name, image, index) => {
    const isChild = JSON.parse(Buffer.from(vectorImages.index.bytes).toString()).manifests.some(
      ({ digest }: { digest: string }) => digest === vectorImages.image.digest,
    );
    // Through the index that lists it, where that is signed.
    const expected = isChild && index === "carol" ? "carol" : image;

    expect(await judged(version, name)).toEqual([expected, index]);
  });
});
