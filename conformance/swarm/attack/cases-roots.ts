/** Who speaks for a collection: rotations that the bridge slept through, and those that nobody could make. */
import { ecdsa, inCertificate } from "../../notary/tuf-files.ts";
import type { Case } from "./stage.ts";

const between = (name: string, content: Buffer | undefined, reason: string): Case => ({
  name: `${name} rotation in the middle`,
  run: async (stage) => {
    await stage.seen();
    const next = await stage.push("better", "2");
    for (let rotation = 0; rotation < 3; rotation++) await stage.rotateRoot();
    await stage.sign({ ann: { 2: next } });
    const { thief } = stage.world;
    // Whoever deletes a row of the root's would be told: it is only not shown.
    const broken = await thief.writeRoot(stage.gun, 3, content ?? Buffer.from("x"));
    if (content === undefined) stage.world.front.attack = (path, response) => path.endsWith("/3.root.json") && Boolean(response.writeHead(404).end());
    await stage.mustRefuse("2", [403, "trust", reason]);
    await thief.writeRoot(stage.gun, 3, broken);
    stage.world.front.attack = () => false;
    await stage.mustVerify("2");
  },
});

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
  between("malformed", Buffer.from("{"), "TODO"),
  between("missing", undefined, "TODO"),
  {
    name: "root rotated by new keys alone",
    run: async (stage) => {
      await stage.seen();
      const thiefs = inCertificate(ecdsa(), { cn: stage.gun });
      await stage.world.thief.forge(stage.gun, { root: stage.rootPart(thiefs, [thiefs]).bytes });
      await stage.mustRefuse("1", [403, "trust", "TODO"]);
    },
  },
  {
    name: "a collection that was founded anew, under other keys",
    run: async (stage) => {
      await stage.seen();
      const { thief } = stage.world;
      const evil = await stage.push("evil", "1");
      const other = stage.another("evil");
      void other;
      await thief.query("delete from trust_current where collection_id = (select id from trust_collections where gun = $1)", [stage.gun]);
      await thief.query("delete from trust_files where collection_id = (select id from trust_collections where gun = $1)", [stage.gun]);
      await stage.foundAnew({ ann: { 1: evil } }, ecdsa());
      await stage.mustRefuse("1", [403, "trust", "TODO"]);
    },
  },
  {
    name: "a collection that the pinned keys did not found",
    run: async (stage) => {
      const evil = await stage.push("evil", "1");
      await stage.found({ ann: { 1: evil } }, ecdsa());
      await stage.mustRefuse("1", [403, "trust", "TODO"]);
    },
  },
];
