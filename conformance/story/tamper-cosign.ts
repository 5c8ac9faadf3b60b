/** Signatures of real cosign, and each way to make them wrong. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../harness/registry-client.ts";
import { type CosignVersion, cosignSign, makeCosignKey } from "./cosign.ts";
import { type Pushed, pushAttached, pushImage, pushIndex } from "./images.ts";
import { claimKey, ownCosignKey, publicHalf } from "./keys.ts";
import type { Machine } from "./machines.ts";
import {
  askFor,
  type Case,
  mustBeKept,
  mustBeRecorded,
  mustRefuse,
  mustServe,
  ONE_TESTER,
  runCases,
  type Stage,
  TWO_TESTERS,
} from "./tamper.ts";
import { must, type World } from "./world.ts";

const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE = "dev.cosignproject.cosign/signature";

/** Keys that lie in quinn's home, by what they are. */
const KEY = { own: "own", second: "second", stranger: "stranger", dans: "dans" };

export async function checkCosign(world: World): Promise<void> {
  const { quinn, dan } = world.people;
  for (const name of [KEY.own, KEY.second]) await ownCosignKey(quinn, name);
  await makeCosignKey(quinn, KEY.stranger);
  // Whoever gets at dan's key still signs as dan, who is no tester.
  await ownCosignKey(dan, KEY.dans);
  copyFileSync(join(dan.home, `${KEY.dans}.key`), join(quinn.home, `${KEY.dans}.key`));
  await askFor(world, ONE_TESTER);
  for (const version of ["v2", "v3"] as const) {
    await runCases(world, `cosign ${version}`, casesOf(version));
    await askFor(world, TWO_TESTERS);
    await runCases(world, `cosign ${version}`, [onePerson(version)]);
    await askFor(world, ONE_TESTER);
  }
}

async function sign(version: CosignVersion, who: Machine, image: string, key: string): Promise<void> {
  await must(cosignSign(who, version, { key, image }));
}

/** What stands under the image's tag of signatures, or refers to the image. */
async function findSignature(
  version: CosignVersion,
  { repository, quinn }: Stage,
  { digest }: Pushed,
): Promise<string> {
  if (version === "v2") {
    const { status, body } = await quinn.direct.manifest(repository, `${digest.replace(":", "-")}.sig`);
    if (status !== 200) throw new Error(`there is no signature of ${digest}: ${status}`);
    return sha256(body);
  }
  const { body } = await quinn.direct.ask(`/v2/${repository}/referrers/${digest}`);
  const { manifests }: { manifests: { digest: string; artifactType?: string }[] } = JSON.parse(body.toString());
  const found = manifests.find(({ artifactType }) => artifactType === BUNDLE);
  if (found === undefined) throw new Error(`no bundle refers to ${digest}: ${body}`);
  return found.digest;
}

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function readLayer({ repository, quinn }: Stage, signature: string) {
  const { body } = await quinn.direct.manifest(repository, signature);
  const { layers }: { layers: Layer[] } = JSON.parse(body.toString());
  const [layer] = layers;
  if (layer === undefined) throw new Error(`${signature} holds no signature`);
  const blob = await quinn.direct.ask(`/v2/${repository}/blobs/${layer.digest}`);
  return { mediaType: layer.mediaType, bytes: blob.body, annotations: layer.annotations ?? {} };
}

/** Puts these bytes where the image's signature is looked for. */
async function attach(
  version: CosignVersion,
  { repository, quinn }: Stage,
  image: Pushed,
  layer: Attachable,
): Promise<void> {
  const where =
    version === "v2" ? { tag: `${image.digest.replace(":", "-")}.sig` } : { subject: image, artifactType: BUNDLE };
  await pushAttached(quinn.direct, repository, { ...where, layer });
}

interface Attachable {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly annotations?: Readonly<Record<string, string>>;
}

const casesOf = (version: CosignVersion): Case[] => [
  {
    name: "a tester's signature counts, by tag and by digest",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const pushed = await pushImage(quinn.direct, repository, "1");
      await mustRefuse(stage, "1", /is by nobody/);
      await sign(version, quinn, `${image}@${pushed.digest}`, KEY.own);
      await mustServe(stage, "1");
      await mustServe(stage, pushed.digest);
    },
  },
  signedBy(version, "wrong key", KEY.stranger, /is by nobody; /),
  {
    name: "unproved key, until it is proved",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const [name, pushed] = [`unproved-${version}`, await pushImage(quinn.direct, repository, "1")];
      await makeCosignKey(quinn, name);
      await claimKey(quinn, name, publicHalf(quinn, name));
      await sign(version, quinn, `${image}@${pushed.digest}`, name);
      await mustRefuse(stage, "1", /is by nobody; /);
      await must(quinn.goldseal(`key prove ${name} --key ${name}.pem`), /is proved/);
      await mustServe(stage, "1");
    },
  },
  signedBy(version, "another user's key", KEY.dans, /is by nobody; /),
  {
    name: "stripped referrer",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const pushed = await pushImage(quinn.direct, repository, "1");
      await sign(version, quinn, `${image}@${pushed.digest}`, KEY.own);
      await mustServe(stage, "1");
      const signature = await findSignature(version, stage, pushed);
      await quinn.direct.ask(`/v2/${repository}/manifests/${signature}`, { method: "DELETE" });
      await mustRefuse(stage, "1", /is by nobody/);
    },
  },
  {
    name: "moved tag",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const pushed = await pushImage(quinn.direct, repository, "1");
      await sign(version, quinn, `${image}@${pushed.digest}`, KEY.own);
      await mustServe(stage, "1");
      const other = await pushImage(quinn.direct, repository, "1");
      await mustRefuse(stage, "1", new RegExp(other.digest));
      await mustServe(stage, pushed.digest);
    },
  },
  {
    name: "swapped index child",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const children = [await pushImage(quinn.direct, repository), await pushImage(quinn.direct, repository)] as const;
      const stranger = await pushImage(quinn.direct, repository);
      const index = await pushIndex(quinn.direct, repository, children, "1");
      await sign(version, quinn, `${image}@${index.digest}`, KEY.own);
      for (const reference of ["1", ...children.map(({ digest }) => digest)]) await mustServe(stage, reference);
      await pushIndex(quinn.direct, repository, [children[0], stranger], "1");
      await mustRefuse(stage, "1", /is by nobody/);
      await mustRefuse(stage, stranger.digest, /is by nobody/);
      await mustServe(stage, children[0].digest);
    },
  },
  {
    name: "unrelated entry: the signature of another image, put beside this one",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const [good, bad] = [
        await pushImage(quinn.direct, repository, "good"),
        await pushImage(quinn.direct, repository, "bad"),
      ];
      await sign(version, quinn, `${image}@${good.digest}`, KEY.own);
      const layer = await readLayer(stage, await findSignature(version, stage, good));
      await attach(version, stage, bad, layer);
      await mustServe(stage, "good");
      await mustRefuse(stage, "bad", /is by nobody/);
    },
  },
  {
    name: "parse failure: what is no signature counts for nothing, and hides no good one",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const pushed = await pushImage(quinn.direct, repository, "1");
      const garbage = { mediaType: version === "v2" ? SIMPLE : BUNDLE, bytes: Buffer.from('{"critical": [') };
      await attach(version, stage, pushed, { ...garbage, annotations: { [SIGNATURE]: "AAAA" } });
      await mustRefuse(stage, "1", /is by nobody/);
      await sign(version, quinn, `${image}@${pushed.digest}`, KEY.own);
      await mustServe(stage, "1");
    },
  },
  {
    name: "a changed payload under a good signature",
    run: async (stage) => {
      const { quinn, repository, image } = stage;
      const [good, bad] = [
        await pushImage(quinn.direct, repository, "good"),
        await pushImage(quinn.direct, repository, "bad"),
      ];
      await sign(version, quinn, `${image}@${good.digest}`, KEY.own);
      const { bytes, ...layer } = await readLayer(stage, await findSignature(version, stage, good));
      await attach(version, stage, bad, { ...layer, bytes: renamed(version, bytes, { good, bad }) });
      await mustRefuse(stage, "bad", /is by nobody/);
    },
  },
  {
    name: "re-judged within 5 s of the removal of the key, without anybody reading",
    run: (stage) => removeKey(version, stage),
  },
];

const signedBy = (version: CosignVersion, name: string, key: string, why: RegExp): Case => ({
  name,
  run: async (stage) => {
    const { quinn, repository, image } = stage;
    const pushed = await pushImage(quinn.direct, repository, "1");
    await sign(version, quinn, `${image}@${pushed.digest}`, key);
    await mustRefuse(stage, "1", why);
  },
});

const onePerson = (version: CosignVersion): Case => ({
  name: "one person with two keys is one person",
  run: async (stage) => {
    const { quinn, repository, image } = stage;
    const pushed = await pushImage(quinn.direct, repository, "1");
    for (const key of [KEY.own, KEY.second]) await sign(version, quinn, `${image}@${pushed.digest}`, key);
    await mustRefuse(stage, "1", /2 people of team testers .* is by quinn/);
  },
});

/** The payload says another digest than was signed. */
function renamed(
  version: CosignVersion,
  bytes: Buffer,
  { good, bad }: Readonly<Record<"good" | "bad", Pushed>>,
): Buffer {
  const [from, to] = [good, bad].map(({ digest }) => digest.slice("sha256:".length)) as [string, string];
  if (version === "v2") return Buffer.from(bytes.toString().replaceAll(from, to));
  const bundle = JSON.parse(bytes.toString());
  const payload = Buffer.from(bundle.dsseEnvelope.payload, "base64").toString().replaceAll(from, to);
  bundle.dsseEnvelope.payload = Buffer.from(payload).toString("base64");
  return Buffer.from(JSON.stringify(bundle));
}

/** The key is another one each time: who removed it may prove it again, but only with its private half at hand. */
async function removeKey(version: CosignVersion, stage: Stage): Promise<void> {
  const { quinn, repository, image } = stage;
  const key = `gone-${version}`;
  await ownCosignKey(quinn, key);
  const pushed = await pushImage(quinn.direct, repository, "1");
  await sign(version, quinn, `${image}@${pushed.digest}`, key);
  await mustServe(stage, "1");
  await mustBeKept(stage);
  await must(quinn.goldseal(`key remove ${key}`));
  await mustBeRecorded(stage, "refused");
  await mustRefuse(stage, "1", /is by nobody/);
}
