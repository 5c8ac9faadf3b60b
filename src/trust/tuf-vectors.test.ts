/** What docker trust, notary and goldseal trust sign made of one image in Goldseal: conformance/trust/make-tuf-vectors.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { spkiOf } from "../notary/tuf/key.ts";
import { parseGun } from "../notary/tuf/names.ts";
import { parsePublicKeyFile } from "../notary/tuf/public-key-file.ts";
import { readTrusted } from "../notary/tuf/trusted-metadata.ts";
import { digestOf } from "../oci/digest.ts";
import { parseTag } from "../oci/reference.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import type { People } from "./people.ts";
import { openSubject, type Subject } from "./subject.ts";
import { artifact, person, requirement, row } from "./testing/world.ts";
import { findTagBinding, findTufEvidence, type TrustedCollection } from "./tuf-evidence.ts";
import { judge, type Verdict } from "./verdict.ts";

interface Vectors {
  readonly at: string;
  readonly authority: string;
  readonly org: string;
  readonly alice: string;
  readonly mediaType: string;
  readonly manifest: string;
  readonly sets: readonly { readonly client: string; readonly files: Readonly<Record<string, string>> }[];
}

const vectors: Vectors = JSON.parse(readFileSync(join(import.meta.dirname, "testing", "data", "tuf.json"), "utf8"));
const now = new Date(vectors.at);
const image = artifact(Buffer.from(vectors.manifest, "base64"), vectors.mediaType);
const aliceKey = spkiOf(parsePublicKeyFile(vectors.alice).key) ?? "";
const PEOPLE: People = new Map([[aliceKey, person("alice", ["qa"])]]);

async function read(client: string): Promise<TrustedCollection> {
  const files = vectors.sets.find((set) => set.client === client)?.files ?? {};
  const fetch = async (name: string) => Buffer.from(files[name.replace(/\..*/, "")] ?? "", "base64");
  const gun = parseGun(`${vectors.authority}/${vectors.org}/${client}`);
  const trusted = await readTrusted({ gun, now, known: new Map(), fetch });
  if (trusted === undefined) throw new Error("no trust data");
  return { gun, trusted };
}

function subjectOf(client: string, tag: string | undefined = "1.4", of = image): Subject {
  const repository = parseRepositoryName(`${vectors.org}/${client}`);
  return openSubject({ repository, authority: vectors.authority, tag: parseTag(tag) }, [of]);
}

function verdictOf(collection: TrustedCollection, subject: Subject, people = PEOPLE): Verdict {
  const { evidence } = findTufEvidence(collection, subject);
  const binding = findTagBinding(collection, subject);
  const asked = requirement([row()], { needsTag: true, maxTimestampAgeSeconds: 48 * 3600 });
  return judge({ subject, evidence, binding, people, requirement: asked, now });
}

describe.each([
  ["docker", "targets/releases"],
  ["notary", "targets/alice"],
  ["goldseal", "targets/releases"],
])("what %s signed", (client, released) => {
  it("is alice's, and the tag's by the role that clients ask", async () => {
    const [collection, subject] = [await read(client), subjectOf(client)];

    expect(findTufEvidence(collection, subject).evidence).toMatchObject([
      { format: "tuf", spki: aliceKey, digest: image.digest, statement: { role: "targets/alice", tag: "1.4" } },
    ]);
    expect(findTagBinding(collection, subject)).toMatchObject({ role: released, digest: image.digest });
    expect(verdictOf(collection, subject)).toMatchObject({ allowed: true, rows: [{ who: ["alice"] }], missing: [] });
  });

  it("counts for nobody once her key is removed or was never proved, and for no other repository, tag or image", async () => {
    const collection = await read(client);
    const changed = artifact(Buffer.concat([image.bytes, Buffer.from(" ")]), vectors.mediaType);
    const refused = [
      verdictOf(collection, subjectOf(client), new Map([[aliceKey, person("alice", ["qa"], { removed: true })]])),
      verdictOf(collection, subjectOf(client), new Map([[aliceKey, person("alice", ["qa"], { proved: false })]])),
      verdictOf(collection, subjectOf(client), new Map([[digestOf("another"), person("alice", ["qa"])]])),
      verdictOf(collection, subjectOf("other")),
      verdictOf(collection, subjectOf(client, "1.5")),
      verdictOf(collection, subjectOf(client, "1.4", changed)),
    ];

    expect(refused.map(({ allowed }) => allowed)).toEqual(refused.map(() => false));
  });

  it("cannot be read as another repository's", async () => {
    const files = vectors.sets.find((set) => set.client === client)?.files ?? {};
    const fetch = async (name: string) => Buffer.from(files[name.replace(/\..*/, "")] ?? "", "base64");
    const gun = parseGun(`${vectors.authority}/${vectors.org}/another`);

    await expect(readTrusted({ gun, now, known: new Map(), fetch })).rejects.toMatchObject({ code: "KEY" });
  });
});
