/** Who speaks for a collection: rotations that the bridge slept through, and those that nobody could make. */
import { ecdsa, idOf, inCertificate } from "../../notary/tuf-files.ts";
import type { Case, Stage } from "./stage.ts";

/** Three rotations, and what `spoil` makes of the second; it answers how to undo that. */
const between = (name: string, spoil: (stage: Stage) => Promise<() => Promise<unknown>>, reason: string): Case => ({
  name: `${name} rotation in the middle`,
  run: async (stage) => {
    await stage.seen();
    const next = await stage.push("better", "2");
    for (let rotation = 0; rotation < 3; rotation++) await stage.rotateRoot();
    await stage.sign({ ann: { 2: next } });
    const undo = await spoil(stage);
    await stage.mustRefuse("2", [403, "trust", reason]);
    await undo();
    await stage.mustVerify("2");
  },
});

const malformed = async ({ world: { thief }, gun }: Stage) => {
  const whole = await thief.writeRoot(gun, 3, Buffer.from("{"));
  return () => thief.writeRoot(gun, 3, whole);
};

const missing = async ({ world: { thief }, gun }: Stage) => {
  // Under a number that nobody asks for.
  await thief.renumberRoot(gun, 3, 1_000_000);
  return () => thief.renumberRoot(gun, 1_000_000, 3);
};

export const ROOTS: readonly Case[] = [
  {
    name: "root rotated while asleep: the rotations are followed",
    run: async (stage) => {
      await stage.seen();
      const next = await stage.push("better", "2");
      for (let rotation = 0; rotation < 3; rotation++) await stage.rotateRoot();
      await stage.sign({ ann: { 2: next } });
      await stage.mustDeploy("2", next);
    },
  },
  between("malformed", malformed, "not JSON: a key in quotes was expected (at character 1)"),
  between("missing", missing, "root 3 is not there"),
  {
    name: "root rotated by new keys alone",
    run: async (stage) => {
      await stage.seen();
      const thiefs = inCertificate(ecdsa(), { cn: stage.gun });
      await stage.world.thief.forge(stage.gun, { root: stage.rootPart(thiefs, [thiefs]).bytes });
      await stage.mustRefuse("1", [
        403,
        "trust",
        "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates",
      ]);
    },
  },
  {
    name: "a collection that was founded anew, under other keys",
    run: async (stage) => {
      await stage.seen();
      const { thief } = stage.world;
      const evil = await stage.push("evil", "1");
      await thief.query(
        "delete from trust_current where collection_id = (select id from trust_collections where gun = $1)",
        [stage.gun],
      );
      await thief.query(
        "delete from trust_files where collection_id = (select id from trust_collections where gun = $1)",
        [stage.gun],
      );
      await stage.found({ ann: { 1: evil } }, ecdsa());
      await stage.mustRefuse("1", [
        403,
        "trust",
        "this is not the root that is trusted here: the server's root 1 is another one",
      ]);
    },
  },
  {
    name: "a collection that the pinned keys did not found",
    run: async (stage) => {
      const evil = await stage.push("evil", "1");
      const thiefs = ecdsa();
      await stage.found({ ann: { 1: evil } }, thiefs);
      const reason = `root 1 is signed by ${idOf(thiefs)}, of the keys pinned for ann/* 1 must`;
      await stage.mustRefuse("1", [403, "trust", reason]);
    },
  },
];
