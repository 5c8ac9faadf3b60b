import { type Digest, digestOf } from "../../oci/digest.ts";
import { parseJson } from "../../oci/json.ts";
import type { Pusher } from "./pusher.ts";
import { REQUESTS } from "./requests.ts";
import type { World } from "./world.ts";

interface BlobState {
  digest: Digest;
  size: string;
  marked: boolean;
  linked: boolean;
}

/** @throws Error for anything acknowledged that is not there, whole */
export async function checkAll(world: World, pushers: readonly Pusher[]): Promise<void> {
  if (world.complaints.length > 0) throw world.complaints[0];
  await checkBlobs(world);
  await checkManifests(world);
  for (const pusher of pushers) await checkTags(world, pusher);
}

/** A row without bytes is a candidate that nothing refers to; whatever bytes there are, are the right ones. */
async function checkBlobs(world: World): Promise<void> {
  const rows = await world.control.query<BlobState>(
    "explore-blobs",
    `select digest, size, unreferenced_at is not null as marked,
       exists (select from repository_blobs l where l.digest = b.digest) as linked from blobs b`,
  );
  for (const { digest, size, marked, linked } of rows) {
    const bytes = await readBlob(world, digest);
    if (bytes === undefined) {
      if (!marked || linked) throw new Error(`${digest} has a row without bytes (marked ${marked}, linked ${linked})`);
    } else if (bytes.length !== Number(size) || digestOf(bytes) !== digest)
      throw new Error(`${digest} has wrong bytes`);
  }
}

/** Every manifest that there is has all it names. */
async function checkManifests(world: World): Promise<void> {
  const rows = await world.control.query<{ repository_id: string; digest: Digest; content: Buffer }>(
    "explore-manifests",
    "select repository_id, digest, content from manifests",
  );
  for (const { repository_id, digest, content } of rows) {
    for (const { digest: needed, table } of namedIn(content)) {
      const text = `select 1 from ${table} where repository_id = $1 and digest = $2`;
      const found = await world.control.query(`explore-has-${table}`, text, [repository_id, needed]);
      if (found.length === 0) throw new Error(`${digest} needs ${needed}, which its repository does not have`);
      if (table === "repository_blobs" && (await readBlob(world, needed)) === undefined)
        throw new Error(`${digest} needs ${needed}, whose bytes are gone`);
    }
  }
}

async function checkTags(world: World, { tags, unsure, repository }: Pusher): Promise<void> {
  for (const [tag, digest] of tags) {
    if (unsure.has(tag)) continue;
    const text = `select t.manifest_digest as digest from tags t join repositories r on r.id = t.repository_id
      where r.name = $1 and t.name = $2`;
    const [row] = await world.control.query<{ digest: Digest }>("explore-tag", text, [repository, tag]);
    if (row?.digest !== digest) throw new Error(`${repository}:${tag} should name ${digest}, but names ${row?.digest}`);
  }
}

/** After two more collections, all of it can be pulled and nothing else is left. */
export async function checkConverged(world: World, pushers: readonly Pusher[]): Promise<void> {
  const { deps, collector } = world.partsOf("collector");
  // A mount that could not be made began one, and nobody goes on with it; its time is not measured here.
  await world.control.query("", "delete from upload_sessions");
  for (let run = 0; run < 2; run++) {
    await world.storage.timePasses();
    await collector.run({ dryRun: false });
  }
  await checkAll(world, pushers);
  const kept = new Set<Digest>();
  const rows = await world.control.query<{ name: string; digest: Digest; content: Buffer }>(
    "explore-kept",
    "select r.name, m.digest, m.content from manifests m join repositories r on r.id = m.repository_id",
  );
  for (const { name, digest, content } of rows) {
    if ((await REQUESTS.manifest(deps, { repository: name, reference: digest })) !== 200)
      throw new Error(`${name}@${digest} cannot be pulled`);
    for (const { digest: needed, table } of namedIn(content)) {
      if (table === "manifests") continue;
      kept.add(needed);
      if ((await REQUESTS.get(deps, { repository: name, digest: needed })) !== 200)
        throw new Error(`${needed} of ${name}@${digest} cannot be pulled`);
    }
  }
  const left = await world.control.query<{ digest: Digest }>("explore-left", "select digest from blobs");
  const needless = left.find(({ digest }) => !kept.has(digest));
  if (needless !== undefined) throw new Error(`${needless.digest} has a row that nothing leads to, still`);
  for (const digest of world.universe.keys()) {
    if (!kept.has(digest) && (await readBlob(world, digest)) !== undefined)
      throw new Error(`${digest} has bytes that nothing leads to, still`);
  }
  await world.storage.checkSwept();
  const loose = await world.control.query("explore-loose", looseManifests);
  if (loose.length > 0) throw new Error(`a manifest is there that nothing leads to, still`);
}

const looseManifests = `select 1 from manifests m
  where not exists (select from tags t where t.repository_id = m.repository_id and t.manifest_digest = m.digest)
    and not exists (select from manifest_children c
      where c.repository_id = m.repository_id and c.child_digest = m.digest)`;

interface Named {
  readonly digest: Digest;
  readonly table: "manifests" | "repository_blobs";
}

function namedIn(content: Buffer): Named[] {
  const manifest = parseJson(content) as { layers?: { digest: Digest }[]; manifests?: { digest: Digest }[] };
  return [
    ...(manifest.layers ?? []).map(({ digest }) => ({ digest, table: "repository_blobs" }) as const),
    ...(manifest.manifests ?? []).map(({ digest }) => ({ digest, table: "manifests" }) as const),
  ];
}

async function readBlob(world: World, digest: Digest): Promise<Buffer | undefined> {
  const reader = await world.partsOf("collector").deps.blobs.open(digest);
  if (reader === undefined) return undefined;
  try {
    const pieces: Buffer[] = [];
    for await (const piece of reader.chunks(0, reader.size - 1)) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  } finally {
    await reader.close();
  }
}
