/** The registry is owned: its rows are rewritten, and snapshot and timestamp are signed anew with its own keys. */
import { ecdsa, type Loose, toFile } from "../../notary/tuf-files.ts";
import type { Pushed } from "../../story/images.ts";
import { type Case, equal, type Refusal, type Stage } from "./stage.ts";
import type { Files } from "./thief.ts";

const DAY_MS = 86_400_000;
const inDays = (days: number): string => new Date(Math.floor(Date.now() / 1000) * 1000 + days * DAY_MS).toISOString();
const expires =
  (at: string) =>
  (signed: Loose): void => {
    signed.expires = at;
  };

/** `1` was the good image, then another one that is just as good; the bridge has seen both. */
async function seenTwice(stage: Stage): Promise<{ readonly old: Files; readonly recent: Pushed }> {
  await stage.seen();
  const old = await stage.files();
  const recent = await stage.push("better", "1");
  const targets = await stage.signed("targets");
  await stage.sign({ ann: { 1: recent } });
  const next = stage.collection.targetsPart(2, (signed) => Object.assign(signed, { delegations: targets.delegations }));
  await stage.collection.push([next]);
  await stage.mustVerify("1");
  return { old, recent };
}

/** `Sun Nov 22 06:59:53 UTC 2026`, and `Wed Dec 2 …`: a day of one digit is no wider. */
function goDate(at: string): string {
  const [weekday, day, month, year, time] = new Date(at).toUTCString().replace(",", "").split(" ");
  return `${weekday} ${month} ${Number(day)} ${time} UTC ${year}`;
}

/** What is said of bytes that are not the role's: they are too many, or others. */
async function mismatch(stage: Stage, role: string, given: Buffer): Promise<Refusal> {
  const { length, hash } = await stage.served(role);
  const file = `https://${stage.world.host}/v2/${stage.gun}/_trust/tuf/${role}.${hash}.json`;
  if (given.length > length) return [502, "registry", `${file}: an answer of more than ${length} bytes`];
  return [403, "trust", `sha256 checksum for ${role} did not match: expected ${hash}`];
}

function only(files: Files, role: string): Files {
  const bytes = files[role];
  if (bytes === undefined) throw new Error(`there is no ${role}`);
  return { [role]: bytes };
}

const rollback = (role: string): Case => ({
  name: `rolled back: ${role}`,
  run: async (stage) => {
    const { old } = await seenTwice(stage);
    const { thief } = stage.world;
    const seen = await stage.version(role);
    if (role === "timestamp") await thief.write(stage.gun, only(old, role));
    else if (role === "snapshot") {
      const { snapshot = Buffer.alloc(0) } = old;
      await thief.write(stage.gun, { snapshot, timestamp: await thief.timestamp(stage.gun, snapshot) });
    } else await thief.forge(stage.gun, only(old, role));
    await stage.mustRefuse("1", [
      403,
      "trust",
      `${role} went back from version ${seen} to ${await stage.version(role)}`,
    ]);
  },
});

export const TRUST: readonly Case[] = [
  {
    name: "arbitrary software: a delegation that its key did not sign",
    run: async (stage) => {
      await stage.seen();
      const evil = await stage.push("evil", "1");
      await stage.world.thief.forge(stage.gun, stage.forged({ 1: evil }, stage.world.signers.stranger));
      await stage.mustRefuse("1", [403, "unsigned", `${stage.gun} has nothing that is signed as the tag 1`]);
    },
  },
  {
    name: "arbitrary software: targets that the server's snapshot key signed",
    run: async (stage) => {
      await stage.seen();
      const evil = await stage.push("evil", "1");
      const key = await stage.world.thief.serverKey(stage.gun, "snapshot");
      await stage.world.thief.forge(stage.gun, stage.forged({ 1: evil }, key, "targets", 2));
      await stage.mustRefuse("1", [403, "trust", "valid signatures did not meet threshold for targets"]);
    },
  },
  {
    name: "a timestamp by a key that the root does not name",
    run: async (stage) => {
      await stage.seen();
      const { thief } = stage.world;
      const next = await stage.signed("timestamp");
      next.version = Number(next.version) + 1;
      await thief.write(stage.gun, { timestamp: toFile(next, [ecdsa()]) });
      await stage.mustRefuse("1", [403, "trust", "valid signatures did not meet threshold for timestamp"]);
    },
  },
  ...["timestamp", "snapshot", "targets", "targets/ann"].map(rollback),
  {
    name: "mix-and-match: another snapshot than the timestamp speaks of",
    run: async (stage) => {
      const { old } = await seenTwice(stage);
      const { snapshot = Buffer.alloc(0) } = old;
      stage.world.front.attack = (path, response) =>
        /\/snapshot\.[0-9a-f]{64}\.json$/.test(path) && Boolean(response.end(snapshot));
      // Nothing new is asked for while the timestamp is the one that was seen.
      await stage.sign({ ann: { 1: await stage.push("best", "1") } });
      await stage.mustRefuse("1", await mismatch(stage, "snapshot", snapshot));
    },
  },
  {
    name: "mix-and-match: another delegation than the snapshot speaks of",
    run: async (stage) => {
      await stage.seen();
      const { stranger } = stage.world.signers;
      const { "targets/ann": evil = Buffer.alloc(0) } = stage.forged({ 1: await stage.push("evil", "1") }, stranger);
      await stage.sign({ ann: { 1: await stage.push("better", "1") } });
      stage.world.front.attack = (path, response) =>
        /\/targets\/ann\.[0-9a-f]{64}\.json$/.test(path) && Boolean(response.end(evil));
      await stage.mustRefuse("1", await mismatch(stage, "targets/ann", evil));
    },
  },
  {
    name: "a role that vanishes from the snapshot",
    run: async (stage) => {
      await stage.seen();
      const snapshot = (signed: Loose): void => void delete (signed.meta as Loose)["targets/ann"];
      await stage.world.thief.forge(stage.gun, {}, { snapshot });
      await stage.mustRefuse("1", [403, "trust", "targets/ann has vanished, of which version 1 was seen"]);
    },
  },
  {
    name: "expired: the timestamp",
    run: async (stage) => {
      await stage.seen();
      const at = inDays(-1);
      await stage.world.thief.forge(stage.gun, {}, { timestamp: expires(at) });
      await stage.mustRefuse("1", [403, "trust", `timestamp expired at ${goDate(at)}`]);
    },
  },
  {
    name: "expired: the snapshot",
    run: async (stage) => {
      await stage.seen();
      const at = inDays(-1);
      await stage.world.thief.forge(stage.gun, {}, { snapshot: expires(at) });
      await stage.mustRefuse("1", [403, "trust", `snapshot expired at ${goDate(at)}`]);
    },
  },
  {
    name: "expired: targets, signed by their own key",
    run: async (stage) => {
      await stage.seen();
      const at = inDays(-1);
      const targets = await stage.signed("targets");
      const part = stage.collection.targetsPart(2, (signed) =>
        Object.assign(signed, targets, { version: 2, expires: at }),
      );
      await stage.world.thief.forge(stage.gun, { targets: part.bytes });
      await stage.mustRefuse("1", [403, "trust", `targets expired at ${goDate(at)}`]);
    },
  },
  {
    name: "frozen: a timestamp of three days ago is all that is shown",
    run: async (stage) => {
      const image = await stage.push("good", "1");
      await stage.found({ ann: { 1: image } });
      const at = inDays(11);
      // The server's timestamps live for 14 days: it says this one is of then.
      const seen = new Date(Date.parse(at) - 14 * DAY_MS).toISOString();
      await stage.world.thief.forge(stage.gun, {}, { timestamp: expires(at) });
      const stale = `has a timestamp from ${seen}, which is too old here`;
      const advice = `goldseal trust sign ${stage.gun}:1`;
      const tag = `the trust data of ${stage.gun}:1 ${stale}; sign it: ${advice}`;
      const who = `must be signed by one person of team qa with their own key, and is by nobody (a signature of ann ${stale})`;
      const reason = `${tag}; ${image.digest} ${who}; one of them signs it with: ${advice}`;
      await stage.mustRefuse("1", [403, "unsigned", reason]);
    },
  },
  {
    name: "another repository's trust data",
    run: async (stage) => {
      await stage.seen();
      const { thief } = stage.world;
      const victim = stage.another("copy");
      await victim.push("evil", "1");
      await victim.found();
      await thief.write(victim.gun, await stage.files());
      await victim.mustRefuse("1", [
        403,
        "trust",
        "could not validate the path to a trusted root: unable to retrieve valid leaf certificates",
      ]);
    },
  },
  {
    name: "a collection that is gone",
    run: async (stage) => {
      await stage.seen();
      await stage.world.thief.query(
        "delete from trust_current where collection_id = (select id from trust_collections where gun = $1)",
        [stage.gun],
      );
      await stage.mustRefuse("1", [
        ...([403, "trust"] as const),
        `${stage.gun} had trust data, and the registry shows none any more`,
      ]);
    },
  },
  {
    name: "database rewritten: another manifest in the row of the signed one",
    run: async (stage) => {
      const [image, evil] = [await stage.push("good", "1"), await stage.push("evil", "2")];
      await stage.found({ ann: { 1: image } });
      const where = "repository_id = (select id from repositories where name = $1)";
      // Nobody has read it yet: what is known by its digest is not asked for again.
      await stage.world.thief.query(
        `update manifests set content = (select content from manifests where ${where} and digest = $3) where ${where} and digest = $2`,
        [stage.repository, image.digest, evil.digest],
      );
      // The registry's own program sees it, and shows nothing.
      await stage.mustRefuse("1", [502, "registry", `${stage.repository}@${image.digest} is not in the registry`]);
    },
  },
  {
    name: "the signed manifest is not shown",
    run: async (stage) => {
      const image = await stage.seen();
      stage.world.front.attack = (path, response) =>
        path.includes("/manifests/") && Boolean(response.writeHead(404).end("{}"));
      await stage.mustRefuse("1", [502, "registry", `${stage.repository}@${image.digest} is not in the registry`]);
    },
  },
  {
    name: "blob store rewritten: another command under the digest of the signed one's",
    run: async (stage) => {
      const image = await stage.push("good", "1");
      await stage.found({ ann: { 1: image } });
      await stage.mustDeploy("1", image);
      const next = await stage.push("better", "2");
      await stage.sign({ ann: { 1: image, 2: next } });
      stage.world.thief.spoilBlob(await stage.configOf(next), (bytes) =>
        bytes.map((byte) => (byte === 0x65 ? 0x66 : byte)),
      );
      // Everything that people signed holds; it is the engine that finds out what the registry gives it.
      const { last } = await stage.order("2");

      equal([last.outcome?.kind, last.outcome?.rolledBackTo], ["failed", `${stage.gun}@${image.digest}`]);
      if (!/rejected: No such image/.test(last.outcome?.reason ?? "")) throw new Error(last.outcome?.reason);
    },
  },
];
